import { age } from "./human-duration.ts";
import { type Cell, orNone, type TableColumn, textAt } from "./table-column.ts";
import type { JsonObject } from "../../../base/json.ts";

/** A column that is always shown. */
export function column(name: string, cell: TableColumn["cell"], type: TableColumn["type"] = "string"): TableColumn {
  return { name, type, format: "", description: "", priority: 0, cell };
}

/** A column that only `-o wide` shows. */
export function wide(name: string, cell: TableColumn["cell"], type: TableColumn["type"] = "string"): TableColumn {
  return { ...column(name, cell, type), priority: 1 };
}

/** A column with the text at a path, `<none>` when it is missing. */
export function textColumn(name: string, ...path: readonly string[]): TableColumn {
  return column(name, (object) => orNone(textAt(object, ...path)));
}

/** Name of the object. */
export const NAME: TableColumn = {
  name: "Name",
  type: "string",
  format: "name",
  description: "Name of the object, unique within its namespace.",
  priority: 0,
  cell: (object) => textAt(object, "metadata", "name"),
};

/** Time since the object was created. */
export const AGE: TableColumn = {
  ...column("Age", (object, now): Cell => age(textAt(object, "metadata", "creationTimestamp"), now)),
  description: "Time since the object was created.",
};

/** Columns of built-in kinds that have no printer of their own. */
export const DEFAULT_COLUMNS: readonly TableColumn[] = [
  NAME,
  column("Created At", (object: JsonObject) => textAt(object, "metadata", "creationTimestamp"), "date"),
];
