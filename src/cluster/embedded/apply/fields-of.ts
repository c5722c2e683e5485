import { isMap, type Json, type JsonMap } from "../json/mutable-json.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import { EMPTY, type FieldSet, LEAF, setOf } from "./field-set.ts";
import { isNamedField, itemElement, memberSchema, shapeOf } from "./merge-shape.ts";

/** The paths a configuration speaks about (structured-merge-diff `ToFieldSet`). */
export function fieldsOf(value: Json, schema: SchemaNode | undefined): FieldSet {
  const shape = shapeOf(value, schema);
  if (shape === "leaf") return LEAF;
  if (Array.isArray(value)) {
    if (shape === "map") return EMPTY;
    const children: [string, FieldSet][] = [];
    for (const item of value) {
      const inner = shape === "listSet" ? LEAF : fieldsOf(item, schema?.items);
      children.push([itemElement(item, schema, shape), { member: true, children: inner.children }]);
    }
    return setOf(children);
  }
  return isMap(value) ? fieldsOfMap(value, schema) : LEAF;
}

function fieldsOfMap(map: JsonMap, schema: SchemaNode | undefined): FieldSet {
  const children: [string, FieldSet][] = [];
  for (const [name, value] of Object.entries(map)) {
    const inner = fieldsOf(value, memberSchema(schema, name));
    const empty = value === null || (isMap(value) && Object.keys(value).length === 0);
    const member = inner.member || empty || !isNamedField(schema, name);
    children.push([`f:${name}`, { member, children: inner.children }]);
  }
  return setOf(children);
}
