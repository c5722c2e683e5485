import type { IncomingMessage } from "node:http";
import { parseDocument, YAMLError } from "yaml";
import { errorMessage } from "../../base/errors.ts";
import type { JsonValue } from "../../base/json.ts";
import { badRequest, bodyTooLarge, unsupportedMediaType } from "./api-errors.ts";
import { duplicateMembers } from "./duplicate-members.ts";

/** Largest request body, as kube-apiserver limits it. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** Values that one YAML document may expand to through its aliases. */
const MAX_YAML_ALIASES = 100;
/** Beginning of a body that an error quotes. */
const QUOTED_CHARACTERS = 200;

/** A decoded body. */
export interface DecodedBody {
  readonly value: JsonValue;
  /** What strict decoding objects to: duplicate members, in the words of Kubernetes. */
  readonly strictErrors: readonly string[];
}

/**
 * Reads the whole body.
 *
 * @throws ApiStatusError 413 over {@link MAX_BODY_BYTES}, 400 when it is not UTF-8
 */
export async function readBody(request: IncomingMessage): Promise<string> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > MAX_BODY_BYTES) throw bodyTooLarge(MAX_BODY_BYTES);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw bodyTooLarge(MAX_BODY_BYTES);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks, bytes));
  } catch {
    throw badRequest("the body of the request is not UTF-8");
  }
}

/**
 * Decodes a body by its content type: JSON (also when there is none) or YAML.
 *
 * @param kind what the body should be, for the error text
 * @throws ApiStatusError 415, 400
 */
export function decodeBody(text: string, contentType: string | undefined, kind: string): DecodedBody {
  switch (mediaType(contentType)) {
    case "":
    case "application/json":
      return decodeJson(text, kind);
    case "application/yaml":
      return decodeYaml(text, kind);
    default:
      throw unsupportedMediaType(["application/json", "application/yaml"]);
  }
}

/** Decodes YAML, of which JSON is a part and by far the most common. @throws ApiStatusError 400 */
export function decodeYaml(text: string, kind: string): DecodedBody {
  if (text.trimStart().startsWith("{")) {
    try {
      return decodeJson(text, kind);
    } catch {
      // a flow mapping that is not JSON
    }
  }
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

/** The media type without its parameters, lower case; empty when there is none. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? "").split(";", 1).join("").trim().toLowerCase();
}

function decodeJson(text: string, kind: string): DecodedBody {
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
