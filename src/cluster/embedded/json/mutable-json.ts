import { isDeepStrictEqual } from "node:util";
import type { JsonValue } from "../../../base/json.ts";

/** JSON that the write path owns alone and may change until it is stored. */
export type Json = null | boolean | number | string | Json[] | JsonMap;

/** A mutable JSON object. */
export interface JsonMap {
  [key: string]: Json;
}

/** True for a mutable JSON object (not null, not an array). */
export function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value is not JSON: a function, a bigint, a class instance, or nested too deeply. */
export class NotJsonError extends Error {
  override readonly name = "NotJsonError";
}

/** Deepest nesting an object may have; the API server's own decoder stops near 10,000, no real object passes 100. */
const MAX_DEPTH = 500;

/**
 * Deep copy as `JSON.parse(JSON.stringify(value))` would give it: members that are undefined do not exist.
 *
 * @throws NotJsonError for what JSON cannot hold
 */
export function cloneJson(value: unknown, depth = 0): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) throw new NotJsonError(`${value} is not a JSON number`);
      return value;
    case "object": {
      if (value === null) return null;
      if (depth > MAX_DEPTH) throw new NotJsonError(`nesting is deeper than ${MAX_DEPTH} levels`);
      if (Array.isArray(value)) {
        const list: Json[] = [];
        for (const item of value as readonly unknown[]) {
          list.push(item === undefined ? null : cloneJson(item, depth + 1));
        }
        return list;
      }
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) {
        throw new NotJsonError("only plain objects are JSON (times are RFC 3339 strings)");
      }
      return cloneMap(value, depth);
    }
    default:
      throw new NotJsonError(`${typeof value} is not JSON`);
  }
}

/** {@link cloneJson} of an object. */
export function cloneMap(value: object, depth = 0): JsonMap {
  const map: JsonMap = {};
  for (const [key, member] of Object.entries(value) as [string, unknown][]) {
    if (member === undefined) continue;
    setMember(map, key, cloneJson(member, depth + 1));
  }
  return map;
}

/** Assigns a member whatever its name: `__proto__` from a client must become data, not a prototype. */
export function setMember(map: JsonMap, key: string, value: Json): void {
  if (key === "__proto__") {
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    map[key] = value;
  }
}

/** Own member of a map, or undefined. */
export function member(map: JsonMap, key: string): Json | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Own member that is a map, or undefined. */
export function memberMap(map: JsonMap, key: string): JsonMap | undefined {
  const value = member(map, key);
  return isMap(value) ? value : undefined;
}

/** Own member that is a string; the empty string for anything else. */
export function memberText(map: JsonMap | undefined, key: string): string {
  const value = map ? member(map, key) : undefined;
  return typeof value === "string" ? value : "";
}

/** Member that is a map, created when it is missing or something else. */
export function ensureMap(map: JsonMap, key: string): JsonMap {
  const present = memberMap(map, key);
  if (present) return present;
  const created: JsonMap = {};
  setMember(map, key, created);
  return created;
}

/** Equal as JSON: order of members does not matter, order of items does. */
export function jsonEqual(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return a === b || isDeepStrictEqual(a, b);
}

/** Freezes the whole tree, so that an object handed to many readers cannot be changed by one. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    for (const child of Object.values(value) as unknown[]) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}

/** JSON text with sorted members: the form of list map keys and set values in FieldsV1. */
export function sortedJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(sortedJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const map = value as { readonly [key: string]: JsonValue };
    const members = Object.keys(map)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${sortedJson(map[key] ?? null)}`);
    return `{${members.join(",")}}`;
  }
  return JSON.stringify(value);
}
