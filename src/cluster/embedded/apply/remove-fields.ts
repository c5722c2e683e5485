import { isMap, type Json, type JsonMap, setMember } from "../json/mutable-json.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import type { FieldSet } from "./field-set.ts";
import { itemElement, memberSchema, shapeOf } from "./merge-shape.ts";

/**
 * The value without the paths of `set`. A map or list that becomes empty by it is null, as structured-merge-diff leaves it: where the
 * schema allows no null, the write path drops the member.
 */
export function removeFields(value: Json, set: FieldSet, schema: SchemaNode | undefined): Json {
  if (set.children.size === 0) return value;
  const shape = shapeOf(value, schema);
  if (shape === "leaf") return value;
  if (Array.isArray(value)) return shape === "map" ? value : removeItems(value, set, schema, shape);
  return isMap(value) ? removeMembers(value, set, schema) : value;
}

function removeMembers(map: JsonMap, set: FieldSet, schema: SchemaNode | undefined): JsonMap | null {
  const kept: JsonMap = {};
  for (const [name, value] of Object.entries(map)) {
    const removed = set.children.get(`f:${name}`);
    if (removed?.member) continue;
    setMember(kept, name, removed ? removeFields(value, removed, memberSchema(schema, name)) : value);
  }
  return Object.keys(kept).length > 0 ? kept : null;
}

function removeItems(
  list: readonly Json[],
  set: FieldSet,
  schema: SchemaNode | undefined,
  shape: "listMap" | "listSet",
): Json[] | null {
  const kept: Json[] = [];
  for (const item of list) {
    const removed = set.children.get(itemElement(item, schema, shape));
    if (removed?.member) continue;
    kept.push(removed ? removeFields(item, removed, schema?.items) : item);
  }
  return kept.length > 0 ? kept : null;
}
