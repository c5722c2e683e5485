import { apiVersionOf } from "../../../api/resource-type.ts";
import { cloneMap, ensureMap, isMap, type JsonMap, member, NotJsonError } from "../json/mutable-json.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { dropForbiddenNulls } from "../schema/defaulting.ts";
import { badRequest } from "../status-errors.ts";

/** Copies what a client sent into an object of the write path's own. @throws ApiStatusError 400 */
export function decodeObject(resource: ServedResource, value: object): JsonMap {
  const object = decodeJson(value);
  const apiVersion = apiVersionOf(resource);
  checkTypeMeta(object, "apiVersion", apiVersion, "API version");
  checkTypeMeta(object, "kind", resource.kind, "kind");
  const metadata = ensureMap(object, "metadata");
  // Go reads null as absent.
  for (const [name, value] of Object.entries(metadata)) if (value === null) delete metadata[name];
  // And a null text as the empty one.
  for (const field of ["labels", "annotations"]) {
    const texts = member(metadata, field);
    if (isMap(texts)) for (const [name, value] of Object.entries(texts)) if (value === null) texts[name] = "";
  }
  return object;
}

/** {@link decodeObject} of a whole object. Nulls that its schema does not allow are absent; an applied configuration keeps them. */
export function decodeWhole(resource: ServedResource, value: object): JsonMap {
  const object = decodeObject(resource, value);
  if (resource.custom) dropForbiddenNulls(object, resource.schema);
  return object;
}

/** Copies a JSON object. @throws ApiStatusError 400 for what JSON cannot hold */
export function decodeJson(value: object): JsonMap {
  try {
    return cloneMap(value);
  } catch (error) {
    if (error instanceof NotJsonError) throw badRequest(`the object is not JSON: ${error.message}`);
    throw error;
  }
}

function checkTypeMeta(object: JsonMap, field: "apiVersion" | "kind", expected: string, words: string): void {
  const given = member(object, field);
  if (given === undefined || given === "") object[field] = expected;
  else if (given !== expected) {
    throw badRequest(
      `the ${words} in the data (${typeof given === "string" ? given : JSON.stringify(given)}) does not match the expected ${words} (${expected})`,
    );
  }
}

/** 400 of strict field validation. */
export function strictDecodingError(resource: ServedResource, unknown: readonly string[]): Error {
  const fields = unknown.map((path) => `unknown field ${JSON.stringify(path)}`).join(", ");
  return badRequest(
    `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: strict decoding error: ${fields}`,
  );
}
