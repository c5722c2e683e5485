import type { JsonObject, JsonValue } from "../../../base/json.ts";
import { isJsonObject } from "../../../base/json.ts";
import type { TableColumn } from "./table-column.ts";
import { at, textAt } from "./table-column.ts";

/** What a row says about its object (`includeObject`). */
export type IncludeObject = "None" | "Metadata" | "Object";

/** How tables of one request are made. */
export interface TableOptions {
  readonly columns: readonly TableColumn[];
  readonly includeObject: IncludeObject;
  /** Unix milliseconds: ages count up to here. */
  readonly nowMs: number;
}

/** List metadata of a table. */
export interface TableMetadata {
  readonly resourceVersion?: string | undefined;
  readonly continue?: string | undefined;
  readonly remainingItemCount?: number | undefined;
}

/** A `meta.k8s.io/v1 Table` of objects. */
export function tableOf(objects: readonly JsonObject[], metadata: TableMetadata, options: TableOptions): JsonObject {
  return { ...tableEnvelope(metadata, options), rows: objects.map((object) => rowOf(object, options)) };
}

/** A table without its rows. */
export function tableEnvelope(metadata: TableMetadata, options: TableOptions): JsonObject {
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { ...metadata },
    columnDefinitions: options.columns.map(columnDefinition),
  };
}

/** A table of one changed object for a watch; the columns are said only in the first event. */
export function watchTable(object: JsonObject, options: TableOptions, first: boolean): JsonObject {
  const metadata = { resourceVersion: textAt(object, "metadata", "resourceVersion") };
  const table = tableOf([object], metadata, options);
  return first ? table : { ...table, columnDefinitions: null };
}

/** `PartialObjectMetadata` of an object: what it is called and labelled, not what it says. */
export function partialMetadata(object: JsonObject): JsonObject {
  return {
    kind: "PartialObjectMetadata",
    apiVersion: "meta.k8s.io/v1",
    metadata: isJsonObject(object["metadata"]) ? object["metadata"] : {},
  };
}

function columnDefinition(column: TableColumn): JsonObject {
  return {
    name: column.name,
    type: column.type,
    format: column.format,
    description: column.description,
    priority: column.priority,
  };
}

/** One row: its cells and what `includeObject` says. */
export function rowOf(object: JsonObject, options: TableOptions): JsonObject {
  const phase = textAt(object, "status", "phase");
  const finished = object["kind"] === "Pod" && (phase === "Succeeded" || phase === "Failed");
  return {
    cells: options.columns.map((column): JsonValue => column.cell(object, options.nowMs)),
    ...(finished
      ? {
          conditions: [
            {
              type: "Completed",
              status: "True",
              reason: phase,
              message: textAt(at(object, "status"), "message") || "The pod has finished.",
            },
          ],
        }
      : {}),
    ...(options.includeObject === "None"
      ? {}
      : { object: options.includeObject === "Object" ? object : partialMetadata(object) }),
  };
}
