import { isMap, type Json } from "../json/mutable-json.ts";
import { badRequest, type FieldError } from "../status-errors.ts";
import type { ServedResource } from "./served-resource.ts";

/** Drops null members: typed Go decoding reads null as absent. Schemas of CRDs are raw JSON, where null may be a default. */
export function dropNulls(value: Json): void {
  if (Array.isArray(value)) {
    for (const item of value) dropNulls(item);
  } else if (isMap(value)) {
    for (const [name, child] of Object.entries(value)) {
      if (child === null) delete value[name];
      else if (name !== "openAPIV3Schema") dropNulls(child);
    }
  }
}

/** Kind of a mismatch as `encoding/json` names it. */
const GO_TYPES: Readonly<Record<string, string>> = {
  integer: "int32",
  boolean: "bool",
  object: "map[string]",
  array: "[]",
};

/** What `encoding/json` calls the values it found. */
const GO_VALUES: Readonly<Record<string, string>> = { integer: "number", boolean: "bool" };

/** The same findings in the words of hand-written Go validation, which built-in kinds have instead of schemas. @throws ApiStatusError 400 */
export function builtinErrors(resource: ServedResource, errors: readonly FieldError[]): FieldError[] {
  return errors.map((error) => {
    if (error.reason === "FieldValueTypeInvalid") {
      const types = /^Invalid value: "?(?<found>\w+)"?: .* must be of type (?<expected>\w+)/.exec(
        error.message,
      )?.groups;
      const expected = types?.["expected"] ?? "";
      throw badRequest(
        `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: json: cannot unmarshal ${GO_VALUES[types?.["found"] ?? ""] ?? types?.["found"] ?? "value"} into Go struct field ${resource.kind}.${error.field} of type ${GO_TYPES[expected] ?? expected}`,
      );
    }
    // A list merged by names reports the second of two by the field that is the key.
    const twice = /^Duplicate value: \{"name":("[^"]*")\}$/.exec(error.message)?.[1];
    if (twice !== undefined) {
      return { reason: "FieldValueDuplicate", field: `${error.field}.name`, message: `Duplicate value: ${twice}` };
    }
    if (error.message.endsWith("should have at least 1 items")) {
      return { reason: "FieldValueRequired", field: error.field, message: "Required value" };
    }
    const port = /port$/i.test(error.field) && / in body should be (?:less|greater) than/.test(error.message);
    const plain = error.message.replace(`${error.field} in body should`, "must");
    return { ...error, message: port ? plain.replace(/must be .*$/, "must be between 1 and 65535, inclusive") : plain };
  });
}
