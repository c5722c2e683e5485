import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { stringify } from "yaml";
import type { JsonObject } from "../../base/json.ts";
import type { ApiStatusError } from "../api-status-error.ts";
import { statusDocument } from "../status-document.ts";
import type { User } from "./user.ts";

/** Warnings of one answer; more are cut. */
const MAX_WARNINGS = 32;
/** Longest text of one warning. */
const MAX_WARNING_CHARACTERS = 256;

/** One request with its answer: what handlers work on. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly #warnings: string[] = [];

  constructor(request: IncomingMessage, response: ServerResponse, user: User) {
    const target = request.url ?? "/";
    const mark = target.indexOf("?");
    this.request = request;
    this.response = response;
    this.path = mark < 0 ? target : target.slice(0, mark);
    this.query = new URLSearchParams(mark < 0 ? "" : target.slice(mark + 1));
    this.user = user;
  }

  /** A header of the request; the first value when there are several. */
  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /** Adds a `Warning` header to the answer; kubectl shows it. */
  warn(message: string): void {
    if (this.#warnings.length >= MAX_WARNINGS) return;
    const text = message.slice(0, MAX_WARNING_CHARACTERS).replaceAll(/[^\x20-\x7e]/g, "?");
    const warning = `299 - "${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
    if (!this.#warnings.includes(warning)) this.#warnings.push(warning);
  }

  /** Answers with a JSON or YAML document. */
  send(
    code: number,
    document: JsonObject,
    as: { readonly encoding: "json" | "yaml"; readonly contentType: string },
  ): void {
    this.sendText(code, as.encoding === "yaml" ? stringify(document) : this.#json(document), as.contentType);
  }

  /** Answers with a JSON document that carries its digest as ETag, or with 304 when the client has it. */
  sendTagged(document: JsonObject, contentType = "application/json"): void {
    const text = this.#json(document);
    const etag = `"${createHash("sha256").update(text).digest("hex").toUpperCase()}"`;
    this.response.setHeader("etag", etag);
    this.response.setHeader("vary", "Accept");
    if (this.header("if-none-match") === etag) this.sendText(304, "", contentType);
    else this.sendText(200, text, contentType);
  }

  /** Answers with a refusal as a `metav1.Status`. */
  refuse(error: ApiStatusError): void {
    const { retryAfterSeconds } = error.details;
    if (retryAfterSeconds !== undefined) this.response.setHeader("retry-after", String(retryAfterSeconds));
    if (error.code === 401) this.response.setHeader("www-authenticate", 'Bearer realm="seam"');
    this.send(error.code, statusDocument(error), { encoding: "json", contentType: "application/json" });
  }

  /** Answers with text. Bytes of the request that nobody read end the connection: they cannot be told from the next request. */
  sendText(code: number, text: string, contentType: string): void {
    const { response } = this;
    if (!this.request.complete) response.setHeader("connection", "close");
    if (this.#warnings.length > 0) response.setHeader("warning", this.#warnings);
    response.setHeader("cache-control", "no-cache, private");
    if (code !== 304) response.setHeader("content-type", contentType);
    const body = Buffer.from(text);
    if (code !== 304) response.setHeader("content-length", body.length);
    response.writeHead(code);
    response.end(this.request.method === "HEAD" || code === 304 ? undefined : body);
  }

  /** People get indented JSON: with `?pretty`, and with curl or a browser. */
  #json(document: JsonObject): string {
    const asked = this.query.get("pretty");
    const agent = this.header("user-agent") ?? "";
    const pretty = asked === null ? /^(curl|Wget|Mozilla\/5\.0)/.test(agent) : asked !== "false" && asked !== "0";
    return pretty ? `${JSON.stringify(document, undefined, 2)}\n` : `${JSON.stringify(document)}\n`;
  }
}
