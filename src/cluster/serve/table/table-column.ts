import { isJsonObject, type JsonObject, type JsonValue } from "../../../base/json.ts";

/** What one cell holds. */
export type Cell = string | number | boolean | null;

/** One column of a `meta.k8s.io/v1 Table`. */
export interface TableColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  /** `name` marks the column that names the object. */
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, higher only with `-o wide`. */
  readonly priority: number;
  /** The value for an object, at a time in Unix milliseconds. */
  readonly cell: (object: JsonObject, nowMs: number) => Cell;
}

/** The value at a path of member names; undefined when a step is missing. */
export function at(object: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = object;
  for (const name of path) {
    if (!isJsonObject(value)) return undefined;
    value = value[name];
  }
  return value;
}

/** The text at a path; empty when there is none. */
export function textAt(object: JsonValue | undefined, ...path: readonly string[]): string {
  const value = at(object, ...path);
  return typeof value === "string"
    ? value
    : typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : "";
}

/** The number at a path; 0 when there is none. */
export function numberAt(object: JsonValue | undefined, ...path: readonly string[]): number {
  const value = at(object, ...path);
  return typeof value === "number" ? value : 0;
}

/** The list at a path; empty when there is none. */
export function listAt(object: JsonValue | undefined, ...path: readonly string[]): readonly JsonValue[] {
  const value = at(object, ...path);
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
}

/** Number of members at a path. */
export function sizeAt(object: JsonValue | undefined, ...path: readonly string[]): number {
  const value = at(object, ...path);
  return isJsonObject(value) ? Object.keys(value).length : Array.isArray(value) ? value.length : 0;
}

/** `text`, or `<none>` for nothing. */
export function orNone(text: string): string {
  return text === "" ? "<none>" : text;
}
