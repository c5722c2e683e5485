import { Http2ServerRequest } from "node:http2";
import { parseDocument, YAMLError } from "yaml";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { JsonValue } from "../../base/json.ts";
import { badRequest, bodyTooLarge, bodyTooSlow, unsupportedMediaType, yamlTooLarge } from "./api-errors.ts";
import type { ApiRequest } from "./api-request.ts";
import { duplicateMembers } from "./duplicate-members.ts";
import { PROTOBUF_MEDIA_TYPE, type ProtobufDecoder } from "./protobuf/decode.ts";

/** Largest request body, as kube-apiserver limits it. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** Longest time for a whole request. */
export const REQUEST_TIMEOUT_MS = 60_000;
/** Largest YAML that is not JSON: people write it, and reading it holds the process for a quarter of a second. */
export const MAX_YAML_BYTES = 256 * 1024;
/** Brackets within brackets of a YAML flow; deeper ones take the parser minutes. */
const MAX_YAML_FLOW_DEPTH = 500;
/** Values that one YAML document may expand to through its aliases. */
const MAX_YAML_ALIASES = 100;
/** Beginning of a body that an error quotes. */
const QUOTED_CHARACTERS = 200;

/** What custom resources accept; a kind without a protobuf form is answered with this list. */
const ACCEPTED = ["application/json", "application/yaml"];

/** A decoded body. */
export interface DecodedBody {
  readonly value: JsonValue;
  /** What strict decoding objects to: duplicate members, in the words of Kubernetes. */
  readonly strictErrors: readonly string[];
}

/**
 * Reads the whole body.
 *
 * @throws ApiStatusError 413 over {@link MAX_BODY_BYTES}, 408 when it takes longer than {@link REQUEST_TIMEOUT_MS}
 */
export async function readBody(request: ApiRequest, clock: Clock): Promise<Uint8Array> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > MAX_BODY_BYTES) throw bodyTooLarge(MAX_BODY_BYTES);
  const chunks: Buffer[] = [];
  let bytes = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (request.destroyed) throw endedEarly();
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
    else {
      chunks.length = 0; // what still comes until the answer ends the request is dropped
      reject(bodyTooLarge(MAX_BODY_BYTES));
    }
  });
  request.once("end", resolve);
  request.once("close", () => reject(endedEarly()));
  request.once("error", () => reject(endedEarly()));
  // Of HTTP/1.1 the server itself cuts a request that takes too long.
  if (!(request instanceof Http2ServerRequest)) await promise;
  else {
    const over = new AbortController();
    clock.sleep(REQUEST_TIMEOUT_MS, over.signal).then(
      () => reject(bodyTooSlow(REQUEST_TIMEOUT_MS)),
      () => undefined, // the body came first
    );
    try {
      await promise;
    } finally {
      over.abort();
    }
  }
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, bytes);
}

/**
 * Decodes a body by its content type: JSON (also when there is none), YAML, or protobuf for the built-in kinds that typed clients
 * send.
 *
 * @param kind what the body should be, for the error text
 * @throws ApiStatusError 415, 400
 */
export function decodeBody(
  body: Uint8Array,
  contentType: string | undefined,
  kind: string,
  protobuf: ProtobufDecoder,
): DecodedBody {
  switch (mediaType(contentType)) {
    case "":
    case "application/json":
      return decodeJson(body, kind);
    case "application/yaml":
      return decodeYaml(body, kind);
    case PROTOBUF_MEDIA_TYPE:
      return { value: decodeProtobuf(body, kind, protobuf), strictErrors: [] };
    default:
      throw unsupportedMediaType(ACCEPTED);
  }
}

/** Decodes YAML, of which JSON is a part and by far the most common. @throws ApiStatusError 400 */
export function decodeYaml(body: Uint8Array, kind: string): DecodedBody {
  const text = utf8(body);
  if (text.trimStart().startsWith("{")) {
    try {
      return jsonOf(text, kind);
    } catch {
      // a flow mapping that is not JSON
    }
  }
  if (body.length > MAX_YAML_BYTES) throw yamlTooLarge(MAX_YAML_BYTES);
  if (flowDepth(text) > MAX_YAML_FLOW_DEPTH)
    throw unreadable(kind, "yaml", `nesting is deeper than ${MAX_YAML_FLOW_DEPTH} levels`, text);
  // YAML 1.1 as Kubernetes reads it, but dates stay strings.
  const document = parseDocument(text, {
    version: "1.1",
    uniqueKeys: true,
    prettyErrors: true,
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || tag.tag !== "tag:yaml.org,2002:timestamp"),
  });
  const strictErrors: string[] = [];
  for (const error of document.errors) {
    if (error.code !== "DUPLICATE_KEY") throw unreadable(kind, "yaml", error.message, text);
    strictErrors.push(`line ${error.linePos?.[0].line ?? 0}: key already set in map`);
  }
  try {
    // A round trip gives plain JSON: no Maps, no shared branches, no values that JSON does not have.
    const value: unknown = document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
    return { value: JSON.parse(JSON.stringify(value ?? null)) as JsonValue, strictErrors };
  } catch (error) {
    if (error instanceof YAMLError || error instanceof Error) throw unreadable(kind, "yaml", error.message, text);
    throw error;
  }
}

/** An upper bound of how deep flow collections are nested: brackets inside of texts count too. */
function flowDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === 0x5b || character === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (character === 0x5d || character === 0x7d) depth = Math.max(0, depth - 1);
  }
  return deepest;
}

/** The media type without its parameters, lower case; empty when there is none. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? "").split(";", 1).join("").trim().toLowerCase();
}

/** Decodes JSON. @throws ApiStatusError 400 */
export function decodeJson(body: Uint8Array, kind: string): DecodedBody {
  return jsonOf(utf8(body), kind);
}

/** There is nobody to read it; the log and the metrics do. */
function endedEarly(): Error {
  return badRequest("the body of the request ended early");
}

function decodeProtobuf(body: Uint8Array, kind: string, decoder: ProtobufDecoder): JsonValue {
  let value: JsonValue | undefined;
  try {
    value = decoder.decode(body);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw badRequest(`the object provided is unrecognized (must be of type ${kind}): ${error.message}`);
  }
  if (value === undefined) throw unsupportedMediaType(ACCEPTED);
  return value;
}

function utf8(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw badRequest("the body of the request is not UTF-8");
  }
}

function jsonOf(text: string, kind: string): DecodedBody {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw unreadable(kind, "json", errorMessage(error), text);
  }
  return { value, strictErrors: duplicateMembers(text).map((path) => `duplicate field ${JSON.stringify(path)}`) };
}

function unreadable(kind: string, format: "json" | "yaml", why: string, text: string): Error {
  const quoted = text.length > QUOTED_CHARACTERS ? `${text.slice(0, QUOTED_CHARACTERS)} ...` : text;
  return badRequest(
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; ${format} parse error: ${why} (${quoted})`,
  );
}
