import { isMap, type Json, type JsonMap } from "../json/mutable-json.ts";
import { fieldPath, itemPath } from "./path.ts";
import type { SchemaNode } from "./schema-node.ts";

/** Members every object has, also an embedded resource. */
const ENVELOPE = new Set(["apiVersion", "kind", "metadata"]);

/**
 * Removes members the schema does not name (structural schemas, "pruning") and returns their paths: `unknown field` of strict
 * validation. `metadata` of the root and of embedded resources is not the schema's to prune.
 */
export function prune(object: JsonMap, schema: SchemaNode): string[] {
  const unknown: string[] = [];
  pruneMap(object, schema, "", true, unknown);
  return unknown;
}

function pruneValue(value: Json, schema: SchemaNode, path: string, unknown: string[]): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) value.forEach((item, i) => pruneValue(item, items, itemPath(path, i), unknown));
  } else if (isMap(value)) {
    pruneMap(value, schema, path, schema.embeddedResource, unknown);
  }
}

function pruneMap(map: JsonMap, schema: SchemaNode, path: string, envelope: boolean, unknown: string[]): void {
  const { additional } = schema;
  for (const key of Object.keys(map)) {
    if (envelope && ENVELOPE.has(key)) continue;
    const child = schema.property(key) ?? additional;
    if (child) {
      pruneValue(map[key] ?? null, child, fieldPath(path, key), unknown);
    } else if (!schema.preserveUnknown) {
      unknown.push(fieldPath(path, key));
      delete map[key];
    }
  }
}
