import { isMap, jsonEqual, type Json } from "../json/mutable-json.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import { EMPTY, type FieldSet, isEmpty, LEAF, setOf, union } from "./field-set.ts";
import { indexItems, memberSchema, shapeOf } from "./merge-shape.ts";

/** Where two objects differ. */
export interface FieldComparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

const SAME: FieldComparison = { added: EMPTY, modified: EMPTY, removed: EMPTY };
const ADDED: FieldComparison = { added: LEAF, modified: EMPTY, removed: EMPTY };
const REMOVED: FieldComparison = { added: EMPTY, modified: EMPTY, removed: LEAF };
const MODIFIED: FieldComparison = { added: EMPTY, modified: LEAF, removed: EMPTY };

export function isSame(comparison: FieldComparison): boolean {
  return isEmpty(comparison.added) && isEmpty(comparison.modified) && isEmpty(comparison.removed);
}

/** Compares by structure (structured-merge-diff `Compare`); a new or lost node counts with all its paths. */
export function compareFields(
  before: Json | undefined,
  after: Json | undefined,
  schema: SchemaNode | undefined,
): FieldComparison {
  if (before === after) return SAME;
  if (before === undefined) return after === undefined ? SAME : { ...SAME, added: wholeOf(after, schema) };
  if (after === undefined) return { ...SAME, removed: wholeOf(before, schema) };
  // Beside a map or associative list, null is an empty one; two empty ones of different form are leaves.
  if ((before === null && isEmptyValue(after)) || (after === null && isEmptyValue(before))) return MODIFIED;
  if (before === null && shapeOf(after, schema) !== "leaf") return compareFields(emptyLike(after), after, schema);
  if (after === null && shapeOf(before, schema) !== "leaf") return compareFields(before, emptyLike(before), schema);
  const shape = shapeOf(before, schema);
  if (shape !== shapeOf(after, schema)) {
    return { added: wholeOf(after, schema), modified: LEAF, removed: childrenOnly(wholeOf(before, schema)) };
  }
  if (shape === "leaf") return jsonEqual(before, after) ? SAME : MODIFIED;
  if (Array.isArray(before) && Array.isArray(after) && shape !== "map") {
    const left = indexItems(before, schema, shape);
    const right = indexItems(after, schema, shape);
    const items = schema?.items;
    return gather(new Set([...left.keys(), ...right.keys()]), (element) => {
      const l = left.get(element);
      const r = right.get(element);
      if (shape === "listSet") return l === undefined ? ADDED : r === undefined ? REMOVED : SAME;
      return compareFields(l, r, items);
    });
  }
  if (!isMap(before) || !isMap(after)) return MODIFIED;
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const parts: [string, FieldComparison][] = [];
  for (const name of names) {
    const l = Object.hasOwn(before, name) ? before[name] : undefined;
    const r = Object.hasOwn(after, name) ? after[name] : undefined;
    const part = compareFields(l, r, memberSchema(schema, name));
    if (part !== SAME) parts.push([`f:${name}`, part]);
  }
  return combine(parts);
}

function isEmptyValue(value: Json): boolean {
  return Array.isArray(value) ? value.length === 0 : isMap(value) && Object.keys(value).length === 0;
}

function emptyLike(value: Json): Json {
  return Array.isArray(value) ? [] : {};
}

function gather(elements: Iterable<string>, compare: (element: string) => FieldComparison): FieldComparison {
  const parts: [string, FieldComparison][] = [];
  for (const element of elements) {
    const part = compare(element);
    if (part !== SAME) parts.push([element, part]);
  }
  return combine(parts);
}

function combine(parts: readonly [string, FieldComparison][]): FieldComparison {
  if (parts.length === 0) return SAME;
  return {
    added: setOf(parts.map(([element, part]) => [element, part.added] as const)),
    modified: setOf(parts.map(([element, part]) => [element, part.modified] as const)),
    removed: setOf(parts.map(([element, part]) => [element, part.removed] as const)),
  };
}

/** All paths of a value, inner nodes included. */
function wholeOf(value: Json, schema: SchemaNode | undefined): FieldSet {
  const shape = shapeOf(value, schema);
  if (shape === "leaf") return LEAF;
  const children: [string, FieldSet][] = [];
  if (Array.isArray(value)) {
    if (shape === "map") return LEAF;
    for (const [element, item] of indexItems(value, schema, shape)) {
      children.push([element, shape === "listSet" ? LEAF : wholeOf(item, schema?.items)]);
    }
  } else if (isMap(value)) {
    for (const [name, member] of Object.entries(value)) {
      children.push([`f:${name}`, wholeOf(member, memberSchema(schema, name))]);
    }
  }
  return setOf(children, true);
}

function childrenOnly(set: FieldSet): FieldSet {
  return { member: false, children: set.children };
}

/** Paths whose value is new or different. */
export function changedFields(comparison: FieldComparison): FieldSet {
  return union(comparison.modified, comparison.added);
}
