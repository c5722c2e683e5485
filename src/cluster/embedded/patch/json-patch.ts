import type { JsonPatchOperation } from "../../cluster.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import {
  cloneJson,
  isMap,
  jsonEqual,
  type Json,
  type JsonMap,
  member,
  NotJsonError,
  setMember,
} from "../json/mutable-json.ts";
import { badRequest } from "../status-errors.ts";

/** Operations in one patch (the API server's `maxJSONPatchOperations`). */
const MAX_OPERATIONS = 10_000;
/** What all copies of one patch may add (the API server's `JSONPatchMaxCopyBytes`): each could double the document. */
const MAX_COPIED_BYTES = 3 * 1024 * 1024;

/** 422 without the reason, as the API server answers; the reason is for the log of whoever debugs a patch in process. */
function unapplicable(why: string): ApiStatusError {
  const refusal = new ApiStatusError(422, "Invalid", "the server rejected our request due to an error in our request");
  refusal.cause = why;
  return refusal;
}

function tokens(path: string): string[] {
  if (path === "") return [];
  if (!path.startsWith("/")) throw badRequest(`invalid JSON pointer ${JSON.stringify(path)}`);
  return path
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function indexOf(token: string, length: number, path: string): number {
  if (!/^(?:0|[1-9]\d*)$/.test(token) || Number(token) >= length) {
    throw unapplicable(`index ${JSON.stringify(token)} of ${path} is out of bounds`);
  }
  return Number(token);
}

function step(value: Json | undefined, token: string, path: string): Json {
  if (Array.isArray(value)) return value[indexOf(token, value.length, path)] ?? null;
  const found = isMap(value) ? member(value, token) : undefined;
  if (found === undefined) throw unapplicable(`path ${path} does not exist`);
  return found;
}

function resolve(document: Json, path: string): Json {
  return tokens(path).reduce<Json>((value, token) => step(value, token, path), document);
}

/** A document whose root can be replaced. */
interface Holder {
  document: Json;
  /** What `copy` operations added so far. */
  copiedBytes: number;
}

function parentOf(holder: Holder, path: string): readonly [Json, string] {
  const parts = tokens(path);
  const last = parts.pop() ?? "";
  return [parts.reduce<Json>((value, token) => step(value, token, path), holder.document), last];
}

function add(holder: Holder, path: string, value: Json): void {
  if (path === "") {
    holder.document = value;
    return;
  }
  const [parent, last] = parentOf(holder, path);
  if (Array.isArray(parent)) {
    parent.splice(last === "-" ? parent.length : indexOf(last, parent.length + 1, path), 0, value);
  } else if (isMap(parent)) {
    setMember(parent, last, value);
  } else {
    throw unapplicable(`path ${path} does not exist`);
  }
}

/** Replaces an item of a list or a member of an object; as in the API server, the member need not be there. */
function replace(holder: Holder, path: string, value: Json): void {
  const [parent] = path === "" ? [undefined] : parentOf(holder, path);
  if (Array.isArray(parent)) remove(holder, path);
  add(holder, path, value);
}

function remove(holder: Holder, path: string): Json {
  const [parent, last] = parentOf(holder, path);
  const removed = step(parent, last, path);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else if (isMap(parent)) delete parent[last];
  return removed;
}

function valueOf(operation: JsonPatchOperation): Json {
  if (operation.value === undefined) throw badRequest(`${operation.op} operation without a value`);
  try {
    return cloneJson(operation.value);
  } catch (error) {
    if (error instanceof NotJsonError) throw badRequest(`the value of ${operation.path} is not JSON: ${error.message}`);
    throw error;
  }
}

function run(holder: Holder, operation: JsonPatchOperation): void {
  const { path } = operation;
  switch (operation.op) {
    case "add":
      add(holder, path, valueOf(operation));
      return;
    case "remove":
      remove(holder, path);
      return;
    case "replace":
      replace(holder, path, valueOf(operation));
      return;
    case "move":
      add(holder, path, remove(holder, operation.from ?? ""));
      return;
    case "copy": {
      const copied = resolve(holder.document, operation.from ?? "");
      holder.copiedBytes += JSON.stringify(copied).length;
      if (holder.copiedBytes > MAX_COPIED_BYTES)
        throw new ApiStatusError(
          413,
          "RequestEntityTooLarge",
          `Request entity too large: Unable to complete the copy, the accumulated size increase of copy is ${holder.copiedBytes}, exceeding the limit ${MAX_COPIED_BYTES}`,
        );
      add(holder, path, cloneJson(copied));
      return;
    }
    case "test":
      if (!jsonEqual(resolve(holder.document, path), valueOf(operation))) {
        throw unapplicable(`testing value ${path} failed`);
      }
      return;
    default:
      throw badRequest(`unknown JSON patch operation ${JSON.stringify(operation.op)}`);
  }
}

/** RFC 6902; takes ownership of `document`. @throws ApiStatusError 400 malformed, 413 too many operations, 422 not applicable */
export function applyJsonPatch(document: JsonMap, operations: readonly JsonPatchOperation[]): JsonMap {
  if (!Array.isArray(operations)) throw badRequest("a JSON patch is a list of operations");
  if (operations.length > MAX_OPERATIONS) {
    throw new ApiStatusError(
      413,
      "RequestEntityTooLarge",
      `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${operations.length}`,
    );
  }
  const holder: Holder = { document, copiedBytes: 0 };
  for (const operation of operations as readonly JsonPatchOperation[]) run(holder, operation);
  if (!isMap(holder.document)) throw badRequest("a JSON patch must leave an object");
  return holder.document;
}
