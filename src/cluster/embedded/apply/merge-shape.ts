import { isMap, type Json, type JsonMap, member, sortedJson } from "../json/mutable-json.ts";
import type { SchemaNode } from "../schema/schema-node.ts";

/** How a value takes part in structured merge; without a schema maps are granular and lists atomic ("deduced"). */
export type MergeShape = "map" | "listMap" | "listSet" | "leaf";

export function shapeOf(value: Json, schema: SchemaNode | undefined): MergeShape {
  if (Array.isArray(value)) {
    if (schema?.listType === "map") return "listMap";
    return schema?.listType === "set" ? "listSet" : "leaf";
  }
  if (isMap(value)) return schema?.atomicMap ? "leaf" : "map";
  return "leaf";
}

/** Schema of a member; undefined when it is deduced. */
export function memberSchema(schema: SchemaNode | undefined, name: string): SchemaNode | undefined {
  return schema?.property(name) ?? schema?.additional;
}

/** Whether the schema names the member: named ones are not path members of their own unless empty. */
export function isNamedField(schema: SchemaNode | undefined, name: string): boolean {
  return schema?.property(name) !== undefined;
}

/** FieldsV1 element of a list item: its key fields, with their defaults, or its value. */
export function itemElement(item: Json, schema: SchemaNode | undefined, shape: "listMap" | "listSet"): string {
  if (shape === "listSet") return `v:${sortedJson(item)}`;
  const key: JsonMap = {};
  for (const name of schema?.listMapKeys ?? []) {
    const value = (isMap(item) ? member(item, name) : undefined) ?? schema?.items?.property(name)?.default;
    if (value !== undefined) key[name] = value;
  }
  return `k:${sortedJson(key)}`;
}

/** Items by element, in order; of equal elements the first counts. */
export function indexItems(
  list: readonly Json[],
  schema: SchemaNode | undefined,
  shape: "listMap" | "listSet",
): Map<string, Json> {
  const index = new Map<string, Json>();
  for (const item of list) {
    const element = itemElement(item, schema, shape);
    if (!index.has(element)) index.set(element, item);
  }
  return index;
}
