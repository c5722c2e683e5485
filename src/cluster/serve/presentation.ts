import type { KubeObject, Unstructured } from "../../api/object.ts";
import { apiVersionOf } from "../../api/resource-type.ts";
import type { Clock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import type { DiscoveredResource, ObjectList, WatchEvent } from "../cluster.ts";
import { badRequest } from "./api-errors.ts";
import type { Exchange } from "./exchange.ts";
import { negotiate, type Representation } from "./negotiation.ts";
import type { ServedCluster } from "./served-cluster.ts";
import { columnsOf } from "./table/resource-columns.ts";
import { type IncludeObject, partialMetadata, tableOf, type TableOptions, watchTable } from "./table/table.ts";

const INCLUDES: readonly IncludeObject[] = ["None", "Metadata", "Object"];

/** How the objects of one request are shown: as they are, as a table, or as metadata only. */
export class Presentation {
  readonly #representation: Representation;
  readonly #resource: DiscoveredResource;
  readonly #table: TableOptions;
  #firstEvent = true;

  /** @throws ApiStatusError 406 for nothing acceptable, 400 for an unknown `includeObject` */
  constructor(exchange: Exchange, cluster: ServedCluster, resource: DiscoveredResource, clock: Clock) {
    this.#representation = negotiate(exchange.header("accept"));
    this.#resource = resource;
    const include = exchange.query.get("includeObject") || "Metadata";
    const includeObject = INCLUDES.find((known) => known === include);
    if (includeObject === undefined) throw badRequest(`unrecognized includeObject value: ${JSON.stringify(include)}`);
    const { group, version } = resource;
    const printerColumns =
      this.#representation.as === "Table"
        ? cluster.resourceDetails(group, version, resource.resource).printerColumns
        : [];
    this.#table = {
      columns: columnsOf(group, resource.resource, printerColumns),
      includeObject,
      nowMs: clock.now(),
    };
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
    const metadata = {
      resourceVersion: list.resourceVersion,
      continue: list.continue,
      remainingItemCount: list.remainingItemCount,
    };
    const items = list.items.map(asJson);
    switch (this.#representation.as) {
      case "Table":
        return tableOf(items, metadata, this.#table);
      case "PartialObjectMetadata":
      case "PartialObjectMetadataList":
        return {
          kind: "PartialObjectMetadataList",
          apiVersion: "meta.k8s.io/v1",
          metadata,
          items: items.map(partialMetadata),
        };
      case "object":
        return { kind: `${this.#resource.kind}List`, apiVersion: apiVersionOf(this.#resource), metadata, items };
    }
  }

  /** One line of a watch. Tables say their columns once, in the first line. */
  event(event: WatchEvent<Unstructured>, nowMs: number): JsonObject {
    if (event.type === "BOOKMARK") return { type: "BOOKMARK", object: this.#bookmark(event) };
    const json = asJson(event.object);
    if (this.#representation.as !== "Table") return { type: event.type, object: this.object(event.object) };
    const first = this.#firstEvent;
    this.#firstEvent = false;
    return { type: event.type, object: watchTable(json, { ...this.#table, nowMs }, first) };
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

/** Objects are plain JSON (api/object.ts); only the compiler cannot see it. */
function asJson(object: KubeObject): JsonObject {
  return object as unknown as JsonObject;
}
