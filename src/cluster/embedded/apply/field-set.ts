import type { JsonValue } from "../../../base/json.ts";
import { isMap, type Json, type JsonMap, setMember } from "../json/mutable-json.ts";

/**
 * A set of field paths as a tree, the in-memory form of FieldsV1. Path elements are its strings: `f:name`, `k:{"name":"a"}`, `v:1`.
 * Trees are never changed after they are built.
 */
export interface FieldSet {
  /** Whether the path to this node is itself in the set (FieldsV1's "."). */
  readonly member: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

const NO_CHILDREN: ReadonlyMap<string, FieldSet> = new Map();

export const EMPTY: FieldSet = { member: false, children: NO_CHILDREN };
export const LEAF: FieldSet = { member: true, children: NO_CHILDREN };

export function isEmpty(set: FieldSet): boolean {
  return !set.member && set.children.size === 0;
}

function node(member: boolean, children: ReadonlyMap<string, FieldSet>): FieldSet {
  if (children.size > 0) return { member, children };
  return member ? LEAF : EMPTY;
}

/** A set with these children; empty ones are left out. */
export function setOf(children: Iterable<readonly [string, FieldSet]>, member = false): FieldSet {
  const map = new Map<string, FieldSet>();
  for (const [element, child] of children) if (!isEmpty(child)) map.set(element, child);
  return node(member, map);
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  const children = new Map(a.children);
  for (const [element, child] of b.children) {
    const other = children.get(element);
    children.set(element, other ? union(other, child) : child);
  }
  return node(a.member || b.member, children);
}

/** Paths of `a` that are not in `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(a) || isEmpty(b)) return a;
  const children = new Map<string, FieldSet>();
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    const rest = other ? difference(child, other) : child;
    if (!isEmpty(rest)) children.set(element, rest);
  }
  return node(a.member && !b.member, children);
}

/** {@link difference} that also drops everything below a path of `b`. */
export function recursiveDifference(a: FieldSet, b: FieldSet): FieldSet {
  if (b.member) return EMPTY;
  const children = new Map<string, FieldSet>();
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    const rest = other ? recursiveDifference(child, other) : child;
    if (!isEmpty(rest)) children.set(element, rest);
  }
  return node(a.member, children);
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    const both = other ? intersection(child, other) : EMPTY;
    if (!isEmpty(both)) children.set(element, both);
  }
  return node(a.member && b.member, children);
}

export function sameSet(a: FieldSet, b: FieldSet): boolean {
  if (a.member !== b.member || a.children.size !== b.children.size) return false;
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    if (!other || !sameSet(child, other)) return false;
  }
  return true;
}

/** FieldsV1 of a set. */
export function encodeFields(set: FieldSet): JsonMap {
  const json: JsonMap = {};
  if (set.member && set.children.size > 0) json["."] = {};
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element);
    if (child) setMember(json, element, encodeFields(child));
  }
  return json;
}

/** Reads FieldsV1. Elements of unknown form are kept: they are only compared. */
export function decodeFields(json: JsonValue | Json | undefined): FieldSet {
  return typeof json === "object" && isMap(json as Json) ? decodeChildren(json as JsonMap) : EMPTY;
}

function decodeChildren(json: JsonMap): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [element, child] of Object.entries(json)) {
    if (element !== "." && isMap(child)) children.set(element, decodeNode(child));
  }
  return node(false, children);
}

function decodeNode(json: JsonMap): FieldSet {
  const { children } = decodeChildren(json);
  return node(Object.hasOwn(json, ".") || children.size === 0, children);
}

/**
 * Paths in the notation of conflict messages: `.spec.containers[name="a"].image`. Of each level the members come first, then what is below
 * them, as structured-merge-diff iterates.
 */
export function* pathsOf(set: FieldSet, prefix = ""): Generator<string> {
  const elements = [...set.children.keys()].sort();
  for (const element of elements) if (set.children.get(element)?.member) yield prefix + elementText(element);
  for (const element of elements) {
    const child = set.children.get(element);
    if (child) yield* pathsOf(child, prefix + elementText(element));
  }
}

function elementText(element: string): string {
  const rest = element.slice(2);
  switch (element.slice(0, 2)) {
    case "f:":
      return `.${rest}`;
    case "v:":
      return `[=${rest}]`;
    case "k:": {
      const keys = Object.entries(JSON.parse(rest) as JsonMap).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      return `[${keys.join(",")}]`;
    }
    default:
      return `[${rest}]`;
  }
}
