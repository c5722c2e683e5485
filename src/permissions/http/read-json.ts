import { type JsonObject, isJsonObject } from "../../base/json.ts";
import { HttpProblem } from "./http-problem.ts";
import { type HttpRequest, headerOf } from "./http-exchange.ts";

/** Largest body of a request, bytes: a batch of 1,000 evaluations has room, nothing has more. */
export const MAX_BODY_BYTES = 1024 * 1024;

/**
 * Reads a JSON object. When a body arrives is bounded by the server, which ends a request that is too slow.
 *
 * @throws HttpProblem 400, 413 or 415
 */
export async function readJson(request: HttpRequest): Promise<JsonObject> {
  const type = (headerOf(request, "content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type !== "application/json" && !type.endsWith("+json"))
    throw new HttpProblem(415, "UnsupportedMediaType", `content-type must be application/json, found "${type}"`);
  const encoding = headerOf(request, "content-encoding") ?? "identity";
  if (encoding !== "identity")
    throw new HttpProblem(415, "UnsupportedMediaType", `content-encoding must be identity, found "${encoding}"`);
  const text = decoded(await bytesOf(request));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new HttpProblem(400, "BadRequest", "the body must be JSON"); // the parser's text would quote the body
  }
  if (!isJsonObject(value)) throw new HttpProblem(400, "BadRequest", "the body must be a JSON object");
  return value;
}

async function bytesOf(request: HttpRequest): Promise<Buffer> {
  const tooLarge = (): HttpProblem =>
    new HttpProblem(413, "RequestEntityTooLarge", `the body has at most ${MAX_BODY_BYTES} bytes`);
  if (Number(headerOf(request, "content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decoded(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HttpProblem(400, "BadRequest", "the body must be UTF-8"); // what is broken is not worth quoting
  }
}
