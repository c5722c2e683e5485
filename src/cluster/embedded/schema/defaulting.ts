import { cloneJson, isMap, type Json, type JsonMap, setMember } from "../json/mutable-json.ts";
import type { SchemaNode } from "./schema-node.ts";

/**
 * Fills in schema defaults, nested ones too, also for a null where the schema is not nullable (apiextensions "defaulting and nullable").
 */
export function applyDefaults(value: Json, schema: SchemaNode): void {
  if (!schema.hasDefaults) return;
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) for (const item of value) applyDefaults(item, items);
    return;
  }
  if (isMap(value)) defaultMap(value, schema);
}

/** Drops null members where the schema is not nullable; nulls the schema says nothing about stay. */
export function dropForbiddenNulls(value: Json, schema: SchemaNode): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) for (const item of value) dropForbiddenNulls(item, items);
    return;
  }
  if (!isMap(value)) return;
  const { additional } = schema;
  for (const [name, child] of Object.entries(value)) {
    const below = schema.property(name) ?? additional;
    if (!below) continue;
    if (child === null && !below.nullable) delete value[name];
    else dropForbiddenNulls(child, below);
  }
}

function defaultMap(map: JsonMap, schema: SchemaNode): void {
  for (const name of schema.propertyNames) {
    const child = schema.property(name);
    if (!child?.hasDefaults) continue;
    let current = Object.hasOwn(map, name) ? map[name] : undefined;
    if (current === null && !child.nullable && child.default !== undefined) current = undefined;
    if (current === undefined) {
      if (child.default === undefined) continue;
      current = cloneJson(child.default);
      setMember(map, name, current);
    }
    applyDefaults(current, child);
  }
  const { additional } = schema;
  if (!additional?.hasDefaults) return;
  for (const [key, current] of Object.entries(map)) {
    if (schema.property(key)) continue;
    applyDefaults(current, additional);
  }
}
