import { createGzip, type Gzip } from "node:zlib";
import type { Clock } from "../../base/clock.ts";
import type { ApiResponse } from "./api-request.ts";

/** A client that takes nothing for this long is cut: what waits for it is memory of the server. */
export const STUCK_CLIENT_MS = 30_000;

/** The fastest level: an API server on the same machine gains nothing from smaller answers. */
export const GZIP_LEVEL = 1;

/**
 * A chunked answer of which the next part is made only when the client took the last: a slow client slows itself and holds no memory of
 * the server beyond what one part is.
 */
export class ResponseStream {
  readonly #response: ApiResponse;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #gzip: Gzip | undefined;
  #stuck = false;

  /** @param signal aborts when the client goes or the server stops */
  constructor(
    response: ApiResponse,
    parts: { readonly clock: Clock; readonly signal: AbortSignal; readonly gzip: boolean },
  ) {
    this.#response = response;
    this.#clock = parts.clock;
    this.#signal = parts.signal;
    if (parts.gzip) {
      this.#gzip = createGzip({ level: GZIP_LEVEL });
      this.#gzip.on("data", (chunk: Buffer) => {
        if (!response.write(chunk)) this.#gzip?.pause();
      });
      this.#gzip.once("end", () => response.end());
      response.on("drain", () => this.#gzip?.resume());
    }
  }

  /** Whether the client was cut because it took nothing for {@link STUCK_CLIENT_MS}. */
  get stuck(): boolean {
    return this.#stuck;
  }

  /** False when the client is gone, was cut or the server stops: nothing more is to be written. */
  write(chunk: Uint8Array | string): true | Promise<boolean> {
    const sink = this.#gzip ?? this.#response;
    if (sink.write(chunk)) return true;
    return this.#drained(sink);
  }

  /** Ends the answer; without effect on one that was cut. */
  end(): void {
    if (this.#gzip !== undefined) this.#gzip.end();
    else this.#response.end();
  }

  async #drained(sink: Gzip | ApiResponse): Promise<boolean> {
    const over = new AbortController();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onDrain = (): void => resolve(true);
    const onEnd = (): void => resolve(false);
    sink.once("drain", onDrain);
    this.#signal.addEventListener("abort", onEnd, { once: true });
    this.#clock.sleep(STUCK_CLIENT_MS, over.signal).then(
      () => {
        this.#stuck = true;
        resolve(false);
      },
      () => undefined, // drained or gone first
    );
    if (this.#signal.aborted) onEnd();
    try {
      const taken = await promise;
      if (!taken && !this.#signal.aborted) this.#response.destroy();
      return taken;
    } finally {
      over.abort();
      sink.off("drain", onDrain);
      this.#signal.removeEventListener("abort", onEnd);
    }
  }
}
