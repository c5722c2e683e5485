import { isJsonObject, type JsonValue } from "../../base/json.ts";
import { ApiStatusError } from "../api-status-error.ts";
import type { JsonPatchOperation, Patch } from "../cluster.ts";
import { badRequest, unsupportedMediaType } from "./api-errors.ts";
import { type DecodedBody, decodeJson, mediaType } from "./request-body.ts";

const PATCH_TYPES: ReadonlyMap<string, Patch["type"]> = new Map([
  ["application/json-patch+json", "json"],
  ["application/merge-patch+json", "merge"],
  ["application/strategic-merge-patch+json", "strategic"],
  ["application/apply-patch+yaml", "apply"],
]);

/** The kind of patch that a content type names. @throws ApiStatusError 415 */
export function patchType(contentType: string | undefined): Patch["type"] {
  const type = PATCH_TYPES.get(mediaType(contentType));
  if (type === undefined) throw unsupportedMediaType([...PATCH_TYPES.keys()]);
  return type;
}

/** Reads the JSON of a patch. @throws ApiStatusError 400 as the API words it */
export function decodePatch(body: Uint8Array): DecodedBody {
  try {
    return decodeJson(body, "Patch");
  } catch (error) {
    if (!(error instanceof ApiStatusError)) throw error;
    throw badRequest(`error decoding patch: ${error.message.replace(/^.*parse error: /s, "")}`);
  }
}

/** The operations of a JSON patch. @throws ApiStatusError 400 */
export function jsonPatch(value: JsonValue): readonly JsonPatchOperation[] {
  if (!Array.isArray(value)) throw badRequest("error decoding patch: a JSON patch is a list of operations");
  return (value as readonly JsonValue[]).map(patchOperation);
}

function patchOperation(value: JsonValue): JsonPatchOperation {
  if (!isJsonObject(value)) throw badRequest("error decoding patch: an operation is an object");
  const { op, path, from, value: operand } = value;
  const known = (["add", "remove", "replace", "move", "copy", "test"] as const).find((each) => each === op);
  if (known === undefined) throw badRequest(`error decoding patch: unexpected kind: ${show(op)}`);
  if (typeof path !== "string") throw badRequest("error decoding patch: an operation has a path");
  return {
    op: known,
    path,
    ...(typeof from === "string" ? { from } : {}),
    ...(operand === undefined ? {} : { value: operand }),
  };
}

function show(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}
