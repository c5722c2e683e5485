import type { ObjectSchema } from "@marcbachmann/cel-js";
import type { SchemaNode } from "../schema-node.ts";
import { celName } from "./cel-values.ts";

/** Deepest schema that is followed; what lies below is not checked. */
const MAX_DEPTH = 12;

/** Static type of the values of a schema, as the CEL checker takes it: `dyn` wherever the schema leaves a choice. */
export function celType(schema: SchemaNode, root: boolean, depth = 0): string | ObjectSchema {
  if (schema.intOrString || schema.nullable || schema.preserveUnknown || schema.embeddedResource || depth > MAX_DEPTH)
    return "dyn";
  switch (schema.type) {
    case "integer":
      return "int";
    case "number":
      return "double";
    case "boolean":
      return "bool";
    case "string":
      return schema.format === undefined ? "string" : "dyn";
    case "array":
      return `list<${simple(schema.items, depth)}>`;
    case "object":
      return objectType(schema, root, depth);
    case undefined:
      return "dyn";
  }
}

function objectType(schema: SchemaNode, root: boolean, depth: number): string | ObjectSchema {
  if (schema.additional) return `map<string, ${simple(schema.additional, depth)}>`;
  const fields: ObjectSchema = root ? { apiVersion: "string", kind: "string", metadata: "dyn" } : {};
  for (const name of schema.propertyNames) {
    const property = schema.property(name);
    const escaped = celName(name);
    if (property && escaped !== undefined && !(root && name === "metadata"))
      fields[escaped] = celType(property, false, depth + 1);
  }
  return Object.keys(fields).length > 0 ? fields : "dyn";
}

/** Element type of a list or map. */
function simple(schema: SchemaNode | undefined, depth: number): string {
  const type = schema ? celType(schema, false, depth + 1) : "dyn";
  return typeof type === "string" ? type : "dyn";
}
