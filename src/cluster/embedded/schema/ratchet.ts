import { isMap, jsonEqual, type Json, type JsonMap } from "../json/mutable-json.ts";
import type { FieldError } from "../status-errors.ts";

/** Value at the member names of `path`; undefined where there is none. */
function valueAt(object: JsonMap, path: readonly string[]): Json | undefined {
  let value: Json | undefined = object;
  for (const name of path) value = isMap(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}

/**
 * Drops errors about values that an update left as they were (apiextensions "validation ratcheting"): an object that became invalid
 * when its CRD was tightened can still be changed elsewhere and deleted. Below a list the whole list must be unchanged.
 */
export function ratchet(errors: readonly FieldError[], object: JsonMap, old: JsonMap): FieldError[] {
  return errors.filter((error) => {
    if (error.field === "<nil>") return true;
    const bracket = error.field.indexOf("[");
    const path = (bracket < 0 ? error.field : error.field.slice(0, bracket)).split(".");
    // What is missing is missing from its parent.
    if (error.reason === "FieldValueRequired" && bracket < 0) path.pop();
    const value = valueAt(object, path);
    return value === undefined || path.length === 0 || !jsonEqual(value, valueAt(old, path));
  });
}
