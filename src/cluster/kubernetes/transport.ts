import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { Agent, type Dispatcher, ProxyAgent } from "undici";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { ApiStatusError } from "../api-status-error.ts";
import { errorOfStatus } from "../status-document.ts";
import type { Credentials, Endpoint } from "./credentials.ts";

/** Longest time for one answer with all its retries. */
export const REQUEST_DEADLINE_MS = 60_000;
/** Longest wait for TCP and TLS. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Silence on a connection after which TCP asks whether the peer is there, milliseconds; Linux asks ten times, a second apart. */
const TCP_PROBE_AFTER_MS = 10_000;
/** Idle connections are kept this long; a kube-apiserver keeps them longer. */
const KEEP_ALIVE_MS = 30_000;
/** Requests in flight; more wait. Watches have connections of their own. */
const MAX_CONNECTIONS = 64;
/** A larger answer is refused, compressed or not. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** A compressed body is read in pieces of this size, each parsed at once. */
const GUNZIP_CHUNK_BYTES = 64 * 1024;
/** Attempts after the first that a Retry-After may ask for. */
const MAX_RETRIES = 8;
/** Longest Retry-After that is obeyed, seconds. */
const MAX_RETRY_AFTER_SECONDS = 30;
/** Read at most this much of an error's body. */
const MAX_ERROR_BYTES = 1024 * 1024;

/** One request to the API server. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path with query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An answer whose body is read: what `B` is, the reader of the call decides. */
export interface ApiAnswer<B = string> {
  readonly status: number;
  /** Value of a header, lower-case name. */
  header(name: string): string | undefined;
  /** Values of the `Warning` headers. */
  readonly warnings: readonly string[];
  readonly body: B;
}

/** The bytes of an answer as they arrive, uncompressed. Every chunk gives the call its whole deadline again. */
export type BodyReader<B> = (chunks: AsyncIterable<Uint8Array>) => Promise<B>;

interface Agents {
  readonly key: string;
  readonly requests: Dispatcher;
  readonly watches: Dispatcher;
}

/**
 * HTTP connections to one API server: credentials, deadlines, retries when the server asks for them, and errors as
 * {@link ApiStatusError}. Plain HTTP/1.1: one watch cannot stall another, and a cut connection ends exactly one call.
 */
export class Transport {
  readonly #endpoint: Endpoint;
  readonly #basePath: string;
  readonly #origin: string;
  readonly #userAgent: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #open = new Set<Promise<void>>();
  #agents: Agents | undefined;

  constructor(parts: {
    readonly endpoint: Endpoint;
    readonly userAgent: string;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    const url = new URL(parts.endpoint.server);
    this.#endpoint = parts.endpoint;
    this.#origin = url.origin;
    this.#basePath = url.pathname.replace(/\/+$/, "");
    this.#userAgent = parts.userAgent;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /**
   * Sends a request and reads the whole answer.
   *
   * @throws ApiStatusError for every refusal; Error for a broken connection or a passed deadline
   */
  call(request: ApiRequest): Promise<ApiAnswer> {
    return this.#within(request, "no whole answer", async (signal) =>
      answerOf(await this.#attempts(request, signal), (response) => response.body.text()),
    );
  }

  /**
   * Sends a request and hands the answer's body to `read` as it arrives. The server may compress it.
   *
   * @throws ApiStatusError for every refusal; Error for a broken connection or silence for as long as a deadline; what `read` throws
   */
  callReading<B>(request: ApiRequest, read: BodyReader<B>): Promise<ApiAnswer<B>> {
    const compressible = { ...request, headers: { ...request.headers, "accept-encoding": "gzip" } };
    return this.#within(request, "nothing more of the answer", async (signal, progress) =>
      answerOf(await this.#attempts(compressible, signal), (response) => read(progressing(plain(response), progress))),
    );
  }

  /**
   * Opens a stream whose body is read by the caller, with no deadline of its own once the headers came.
   *
   * @throws ApiStatusError for every refusal; Error for a broken connection
   */
  async stream(request: ApiRequest, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> & { destroy(): void }> {
    const timer = new AbortController();
    const late = new AbortController();
    void this.#clock.sleep(REQUEST_DEADLINE_MS, timer.signal).then(
      () => late.abort(new Error(`${request.method} ${request.path}: no headers within ${REQUEST_DEADLINE_MS} ms`)),
      () => undefined, // the headers came first
    );
    try {
      const all = AbortSignal.any([signal, late.signal, this.#closing.signal]);
      const response = await this.#send(request, all, "watches");
      if (response.statusCode !== 200) throw await this.#refusal(response);
      return response.body;
    } finally {
      timer.abort();
    }
  }

  /** Ends every call and stream, and releases the connections. */
  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) this.#closing.abort(new Error("the connection to the API server was closed"));
    const agents = this.#agents;
    this.#agents = undefined;
    await Promise.all([agents?.requests.destroy(), agents?.watches.destroy(), ...this.#open]);
  }

  /** Runs a call against its deadline, which `progress` begins anew. */
  async #within<R>(
    request: ApiRequest,
    missing: string,
    run: (signal: AbortSignal, progress: () => void) => Promise<R>,
  ): Promise<R> {
    const clock = this.#clock;
    const deadline = new AbortController();
    const timer = new AbortController();
    let lastMs = clock.monotonic();
    const expire = async (): Promise<void> => {
      for (;;) {
        const leftMs = lastMs + REQUEST_DEADLINE_MS - clock.monotonic();
        if (leftMs <= 0) break;
        await clock.sleep(leftMs, timer.signal);
      }
      deadline.abort(new Error(`${request.method} ${request.path}: ${missing} within ${REQUEST_DEADLINE_MS} ms`));
    };
    expire().catch(() => undefined); // the answer came first
    const done = this.#track();
    try {
      return await run(AbortSignal.any([deadline.signal, this.#closing.signal]), () => {
        lastMs = clock.monotonic();
      });
    } finally {
      timer.abort();
      done();
    }
  }

  #track(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#open.add(promise);
    return () => {
      this.#open.delete(promise);
      resolve();
    };
  }

  async #attempts(request: ApiRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    let renewed = false;
    let reconnected = false;
    for (let retries = 0; ;) {
      let response: Dispatcher.ResponseData;
      try {
        response = await this.#send(request, signal, "requests");
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        // A kept-alive connection that the server had just closed: reading again is safe, writing again may not be.
        if (request.method !== "GET" || reconnected) throw error;
        reconnected = true;
        continue;
      }
      if (response.statusCode < 400) return response;
      const refusal = await this.#refusal(response);
      if (refusal.code === 401 && !renewed) {
        renewed = true;
        this.#endpoint.forget();
        continue;
      }
      const after = refusal.details.retryAfterSeconds;
      // With Retry-After the server says that it has not begun to work on the request.
      if ((refusal.code !== 429 && refusal.code !== 503) || after === undefined || retries >= MAX_RETRIES)
        throw refusal;
      retries++;
      this.#log.debug(
        { path: request.path, code: refusal.code, retryAfterSeconds: after },
        "the API server asks to wait",
      );
      await this.#clock.sleep(Math.min(after, MAX_RETRY_AFTER_SECONDS) * 1000, signal);
    }
  }

  async #send(request: ApiRequest, signal: AbortSignal, use: "requests" | "watches"): Promise<Dispatcher.ResponseData> {
    signal.throwIfAborted();
    const credentials = await this.#endpoint.credentials();
    const agents = this.#agentsFor(credentials);
    return agents[use].request({
      origin: this.#origin,
      path: `${this.#basePath}${request.path}`,
      method: request.method,
      headers: {
        accept: "application/json",
        "user-agent": this.#userAgent,
        ...credentials.headers,
        ...request.headers,
      },
      body: request.body ?? null,
      signal,
    });
  }

  async #refusal(response: Dispatcher.ResponseData): Promise<ApiStatusError> {
    const text = await readAtMost(response.body, MAX_ERROR_BYTES);
    const retryAfter = Number(headerOf(response, "retry-after"));
    let body: unknown = text;
    try {
      body = JSON.parse(text);
    } catch {
      // not a Status document: quoted as it is
    }
    return errorOfStatus(
      response.statusCode,
      body,
      Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : undefined,
    );
  }

  /** Connections are made anew when certificates change; those in use end by themselves. */
  #agentsFor(credentials: Credentials): Agents {
    this.#closing.signal.throwIfAborted();
    const key = JSON.stringify([credentials.caPem, credentials.clientCertPem, credentials.clientKeyPem]);
    if (this.#agents?.key === key) return this.#agents;
    const old = this.#agents;
    this.#agents = { key, requests: this.#agent(credentials, MAX_CONNECTIONS), watches: this.#agent(credentials) };
    if (old !== undefined) {
      Promise.all([old.requests.close(), old.watches.close()]).catch((error: unknown) => {
        this.#log.warn({ error: errorMessage(error) }, "connections with the former credentials did not close cleanly");
      });
    }
    return this.#agents;
  }

  #agent(credentials: Credentials, connections?: number): Dispatcher {
    const tls = {
      ...(credentials.caPem === undefined ? {} : { ca: credentials.caPem }),
      ...(credentials.clientCertPem === undefined ? {} : { cert: credentials.clientCertPem }),
      ...(credentials.clientKeyPem === undefined ? {} : { key: credentials.clientKeyPem }),
      ...(this.#endpoint.serverName === undefined ? {} : { servername: this.#endpoint.serverName }),
      rejectUnauthorized: this.#endpoint.verifyServer,
    };
    const shared = {
      allowH2: false,
      // Deadlines are kept here with the clock that was passed in.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      ...(connections === undefined ? {} : { connections, maxResponseSize: MAX_ANSWER_BYTES }),
    };
    const connect = { ...tls, timeout: CONNECT_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelay: TCP_PROBE_AFTER_MS };
    return this.#endpoint.proxyUrl === undefined
      ? new Agent({ ...shared, connect })
      : new ProxyAgent({ ...shared, uri: this.#endpoint.proxyUrl, requestTls: connect });
  }
}

async function answerOf<B>(
  response: Dispatcher.ResponseData,
  read: (response: Dispatcher.ResponseData) => Promise<B>,
): Promise<ApiAnswer<B>> {
  return {
    status: response.statusCode,
    header: (name) => headerOf(response, name),
    warnings: [response.headers["warning"] ?? []].flat(),
    body: await read(response),
  };
}

/** The bytes of a body, uncompressed. */
function plain(response: Dispatcher.ResponseData): AsyncIterable<Uint8Array> {
  if (headerOf(response, "content-encoding") !== "gzip") return response.body;
  const gunzip = createGunzip({ chunkSize: GUNZIP_CHUNK_BYTES });
  // Its failures, and those of the connection, reach the reader of the last stream.
  pipeline(response.body, gunzip, () => undefined);
  return gunzip;
}

async function* progressing(chunks: AsyncIterable<Uint8Array>, progress: () => void): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    progress();
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    yield chunk;
  }
}

function headerOf(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function readAtMost(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
