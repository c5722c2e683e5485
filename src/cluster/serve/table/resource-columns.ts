import type { PrinterColumn } from "../../../api/builtin.ts";
import { AGE, DEFAULT_COLUMNS, NAME } from "./columns.ts";
import { CONFIGURATION_COLUMNS } from "./configuration-columns.ts";
import { age } from "./human-duration.ts";
import { findValues, type JsonPath, parseJsonPath } from "./json-path.ts";
import { NETWORK_COLUMNS } from "./network-columns.ts";
import type { Cell, TableColumn } from "./table-column.ts";
import { WORKLOAD_COLUMNS } from "./workload-columns.ts";

/** Groups whose kinds are built in always have a short name or end in `.k8s.io`. */
const BUILT_IN_GROUPS: ReadonlySet<string> = new Set(["", "apps", "batch", "autoscaling", "policy"]);

/**
 * Columns of a resource: those of its CRD, else those of the built-in kind, else name and age.
 *
 * @param printerColumns `additionalPrinterColumns` of the CRD version
 */
export function columnsOf(
  group: string,
  resource: string,
  printerColumns: readonly PrinterColumn[],
): readonly TableColumn[] {
  if (printerColumns.length > 0) return [NAME, ...printerColumns.map(customColumn)];
  const key = `${group}/${resource}`;
  const known = WORKLOAD_COLUMNS.get(key) ?? CONFIGURATION_COLUMNS.get(key) ?? NETWORK_COLUMNS.get(key);
  if (known !== undefined) return known;
  return BUILT_IN_GROUPS.has(group) || group.endsWith(".k8s.io") ? DEFAULT_COLUMNS : [NAME, AGE];
}

/** A column that a CRD defines. A path that leads nowhere, or to another type, leaves the cell empty. */
function customColumn(definition: PrinterColumn): TableColumn {
  const path = parseJsonPath(definition.jsonPath);
  return {
    name: definition.name,
    type: definition.type,
    format: definition.format ?? "",
    description: definition.description ?? "",
    priority: definition.priority ?? 0,
    cell: (object, nowMs) => (path === undefined ? null : customCell(definition.type, path, object, nowMs)),
  };
}

function customCell(type: PrinterColumn["type"], path: JsonPath, object: unknown, nowMs: number): Cell {
  const [value] = findValues(path, object);
  if (value === undefined || value === null) return null;
  switch (type) {
    case "string":
      return typeof value === "string"
        ? value
        : typeof value === "object"
          ? JSON.stringify(value)
          : `${value as number}`;
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      return typeof value === "string" ? age(value, nowMs) : null;
  }
}
