import { createHash } from "node:crypto";
import { constants, Http2ServerResponse } from "node:http2";
import { gzip } from "node:zlib";
import { stringify } from "yaml";
import type { Clock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import type { ApiStatusError } from "../api-status-error.ts";
import { statusDocument } from "../status-document.ts";
import type { ApiRequest, ApiResponse } from "./api-request.ts";
import { GZIP_LEVEL, ResponseStream } from "./response-stream.ts";
import type { User } from "./user.ts";

/** Warnings of one answer; more are cut. */
const MAX_WARNINGS = 32;
/** Longest text of one warning. */
const MAX_WARNING_CHARACTERS = 256;
/** Smaller answers are not worth compressing; the threshold of kube-apiserver. */
export const MIN_GZIP_BYTES = 128 * 1024;

/** A document as it is sent, with its digest. */
export interface TaggedText {
  readonly text: string;
  /** Quoted. */
  readonly etag: string;
}

/** The text of a document and its ETag. */
export function taggedText(document: JsonObject): TaggedText {
  const text = `${JSON.stringify(document)}\n`;
  return { text, etag: `"${createHash("sha256").update(text).digest("hex").toUpperCase()}"` };
}

/** One request with its answer: what handlers work on. */
export class Exchange {
  readonly request: ApiRequest;
  readonly response: ApiResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Who asks; set once the request is authenticated. */
  user: User = { name: "", groups: [] };
  readonly #warnings: string[] = [];
  #status = 0;

  constructor(request: ApiRequest, response: ApiResponse) {
    const target = request.url ?? "/";
    const mark = target.indexOf("?");
    this.request = request;
    this.response = response;
    this.path = mark < 0 ? target : target.slice(0, mark);
    this.query = new URLSearchParams(mark < 0 ? "" : target.slice(mark + 1));
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

  /** Answers with a document and its ETag, or with 304 when the client has it. */
  sendTagged(document: TaggedText, contentType = "application/json"): void {
    this.response.setHeader("etag", document.etag);
    this.response.setHeader("vary", "Accept");
    if (this.header("if-none-match") === document.etag) this.sendText(304, "", contentType);
    else
      this.sendText(
        200,
        this.pretty ? this.#json(JSON.parse(document.text) as JsonObject) : document.text,
        contentType,
      );
  }

  /** Answers with a refusal as a `metav1.Status`. */
  refuse(error: ApiStatusError): void {
    const { retryAfterSeconds } = error.details;
    if (retryAfterSeconds !== undefined) this.response.setHeader("retry-after", String(retryAfterSeconds));
    if (error.code === 401) this.response.setHeader("www-authenticate", 'Bearer realm="seam"');
    this.send(error.code, statusDocument(error), { encoding: "json", contentType: "application/json" });
  }

  /** HTTP code of the answer; 0 before there is one. */
  get status(): number {
    return this.#status;
  }

  /** Answers with text, compressed when it is large and the client can read it so. */
  sendText(code: number, text: string, contentType: string): void {
    this.#status = code;
    if (code === 304 || this.request.method === "HEAD") {
      this.#head(code, contentType, code === 304 ? {} : { "content-length": Buffer.byteLength(text) });
      this.#finish();
      return;
    }
    if (text.length >= MIN_GZIP_BYTES && this.#acceptsGzip()) {
      gzip(text, { level: GZIP_LEVEL }, (_error, compressed) => {
        this.#head(code, contentType, {
          "content-length": compressed.length,
          "content-encoding": "gzip",
          vary: "Accept, Accept-Encoding",
        });
        this.#finish(compressed);
      });
      return;
    }
    const body = Buffer.from(text);
    this.#head(code, contentType, { "content-length": body.length });
    this.#finish(body);
  }

  /**
   * Begins an answer in chunks.
   *
   * @param compress whether it may be compressed: an answer that comes little by little is not
   */
  stream(
    contentType: string,
    compress: boolean,
    clock: Clock,
    signal: AbortSignal,
    headers: Readonly<Record<string, string | number>> = {},
  ): ResponseStream {
    const gzip = compress && this.#acceptsGzip();
    this.#status = 200;
    this.#head(200, contentType, gzip ? { "content-encoding": "gzip", vary: "Accept, Accept-Encoding" } : headers);
    this.response.flushHeaders?.();
    return new ResponseStream(this.response, { clock, signal, gzip });
  }

  /** People get indented JSON: with `?pretty`, and with curl or a browser. */
  get pretty(): boolean {
    const asked = this.query.get("pretty");
    const agent = this.header("user-agent") ?? "";
    return asked === null ? /^(curl|Wget|Mozilla\/5\.0)/.test(agent) : asked !== "false" && asked !== "0";
  }

  #head(code: number, contentType: string, more: Readonly<Record<string, string | number>>): void {
    const { request, response } = this;
    if (response.headersSent) return;
    // Bytes of the request that nobody read end an HTTP/1.1 connection: they cannot be told from the next request.
    if (!request.complete && !(response instanceof Http2ServerResponse)) response.setHeader("connection", "close");
    if (this.#warnings.length > 0) response.setHeader("warning", this.#warnings);
    response.writeHead(code, {
      "cache-control": "no-cache, private",
      ...(code === 304 ? {} : { "content-type": contentType }),
      ...more,
    });
  }

  #finish(body?: Uint8Array): void {
    const { request, response } = this;
    if (!(response instanceof Http2ServerResponse)) {
      if (body !== undefined) response.write(body);
      response.end();
      return;
    }
    const { stream } = response;
    const unread = !request.complete && !stream.endAfterHeaders && !request.readableEnded;
    // The rest of a body that nobody reads is not waited for: it would hold the stream open. Node itself would close the stream before
    // the answer is on its way, which the first read prevents.
    if (unread) {
      stream.read(0);
      const cut = (): void => {
        stream.close(constants.NGHTTP2_NO_ERROR);
        stream.resume(); // a stream with data that nobody took is never released
      };
      stream.once("finish", () => setImmediate(() => setImmediate(cut)));
    }
    if (body !== undefined) response.write(body);
    response.end();
  }

  #acceptsGzip(): boolean {
    return /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:\s*(?:,|$)))/.test(this.header("accept-encoding") ?? "");
  }

  #json(document: JsonObject): string {
    return this.pretty ? `${JSON.stringify(document, undefined, 2)}\n` : `${JSON.stringify(document)}\n`;
  }
}
