import type { KubeObject, Unstructured } from "../../api/object.ts";
import { apiVersionOf } from "../../api/resource-type.ts";
import type { Clock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import type { DiscoveredResource, ObjectList, WatchEvent } from "../cluster.ts";
import { badRequest } from "./api-errors.ts";
import type { EncodedEvents } from "./encoded-events.ts";
import type { Exchange } from "./exchange.ts";
import { negotiate, type Representation } from "./negotiation.ts";
import type { ServedCluster } from "./served-cluster.ts";
import { columnsOf } from "./table/resource-columns.ts";
import {
  type IncludeObject,
  partialMetadata,
  rowOf,
  tableEnvelope,
  tableOf,
  type TableOptions,
  watchTable,
} from "./table/table.ts";

const INCLUDES: readonly IncludeObject[] = ["None", "Metadata", "Object"];

/** {@link Presentation.listForm}. */
export interface ListForm {
  readonly envelope: JsonObject;
  readonly member: "items" | "rows";
  readonly itemOf: (object: KubeObject) => JsonObject;
}

/** How the objects of one request are shown: as they are, as a table, or as metadata only. */
export class Presentation {
  readonly #representation: Representation;
  readonly #resource: DiscoveredResource;
  readonly #table: TableOptions;
  readonly #events: EncodedEvents;
  /** Distinguishes encodings of one object: representation and, for tables, their columns. */
  readonly #form: string;
  #firstEvent = true;

  /**
   * @param events encoded events shared by the watches of one server
   * @throws ApiStatusError 406 for nothing acceptable, 400 for an unknown `includeObject`
   */
  constructor(
    exchange: Exchange,
    cluster: ServedCluster,
    resource: DiscoveredResource,
    clock: Clock,
    events: EncodedEvents,
  ) {
    this.#representation = negotiate(exchange.header("accept"));
    this.#resource = resource;
    this.#events = events;
    const include = exchange.query.get("includeObject") || "Metadata";
    const includeObject = INCLUDES.find((known) => known === include);
    if (includeObject === undefined) throw badRequest(`unrecognized includeObject value: ${JSON.stringify(include)}`);
    const { group, version } = resource;
    const isTable = this.#representation.as === "Table";
    const printerColumns = isTable ? cluster.resourceDetails(group, version, resource.resource).printerColumns : [];
    this.#table = {
      columns: isTable ? columnsOf(group, resource.resource, printerColumns) : [],
      includeObject,
      nowMs: clock.now(),
    };
    this.#form = isTable ? `Table/${includeObject}/${JSON.stringify(printerColumns)}` : this.#representation.as;
  }

  get encoding(): Representation {
    return this.#representation;
  }

  object(object: KubeObject): JsonObject {
    const json = asJson(object);
    switch (this.#representation.as) {
      case "object":
        return json;
      case "Table":
        return tableOf([json], { resourceVersion: object.metadata.resourceVersion }, this.#table);
      case "PartialObjectMetadata":
      case "PartialObjectMetadataList":
        return partialMetadata(json);
    }
  }

  list(list: ObjectList<KubeObject>): JsonObject {
    const { envelope, member, itemOf } = this.listForm(list);
    return { ...envelope, [member]: list.items.map(itemOf) };
  }

  /** A list taken apart: everything but its items, the name of their member, and how each is shown. */
  listForm(list: ObjectList<KubeObject>): ListForm {
    const metadata = {
      resourceVersion: list.resourceVersion,
      continue: list.continue,
      remainingItemCount: list.remainingItemCount,
    };
    switch (this.#representation.as) {
      case "Table":
        return {
          envelope: tableEnvelope(metadata, this.#table),
          member: "rows",
          itemOf: (object) => rowOf(asJson(object), this.#table),
        };
      case "PartialObjectMetadata":
      case "PartialObjectMetadataList":
        return {
          envelope: { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata },
          member: "items",
          itemOf: (object) => partialMetadata(asJson(object)),
        };
      case "object":
        return {
          envelope: { kind: `${this.#resource.kind}List`, apiVersion: apiVersionOf(this.#resource), metadata },
          member: "items",
          itemOf: asJson,
        };
    }
  }

  /** One line of a watch, with its line end. Tables say their columns once, in the first line. */
  eventLine(event: WatchEvent<Unstructured>, nowMs: number): Uint8Array {
    if (event.type === "BOOKMARK") return Buffer.from(line({ type: "BOOKMARK", object: this.#bookmark(event) }));
    const { apiVersion, metadata } = event.object;
    const isTable = this.#representation.as === "Table";
    const first = isTable && this.#firstEvent;
    this.#firstEvent = false;
    // Ages are told in seconds.
    const form = isTable ? `${this.#form}/${first}/${Math.floor(nowMs / 1000)}` : this.#form;
    const key = `${event.type}/${metadata.uid}/${metadata.resourceVersion}/${apiVersion}/${form}`;
    return this.#events.line(key, () => {
      const object = isTable
        ? watchTable(asJson(event.object), { ...this.#table, nowMs }, first)
        : this.object(event.object);
      return line({ type: event.type, object });
    });
  }

  #bookmark(event: { readonly resourceVersion: string; readonly initialEventsEnd: boolean }): JsonObject {
    const metadata = {
      resourceVersion: event.resourceVersion,
      creationTimestamp: null,
      ...(event.initialEventsEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    };
    switch (this.#representation.as) {
      case "object":
        return { kind: this.#resource.kind, apiVersion: apiVersionOf(this.#resource), metadata };
      case "Table":
        return { kind: "Table", apiVersion: "meta.k8s.io/v1", metadata, columnDefinitions: null, rows: [] };
      case "PartialObjectMetadata":
      case "PartialObjectMetadataList":
        return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
    }
  }
}

function line(document: JsonObject): string {
  return `${JSON.stringify(document)}\n`;
}

/** Objects are plain JSON (api/object.ts); only the compiler cannot see it. */
function asJson(object: KubeObject): JsonObject {
  return object as unknown as JsonObject;
}
