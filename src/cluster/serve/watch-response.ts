import type { Unstructured } from "../../api/object.ts";
import { type Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import { ApiStatusError, isExpired } from "../api-status-error.ts";
import type { WatchEvent } from "../cluster.ts";
import { statusDocument } from "../status-document.ts";
import type { Exchange } from "./exchange.ts";
import type { Presentation } from "./presentation.ts";

/** A client that takes nothing for this long is cut: what waits for it is memory of the server. */
export const STUCK_CLIENT_MS = 30_000;

/**
 * Streams the events of a watch, one JSON document per line, until it ends, the client goes or `signal` aborts. Takes the next event
 * only when the client took the last, so a slow client slows its own watch and no other.
 *
 * @throws ApiStatusError when the watch is refused before its first event, other than 410: that is told in the stream
 */
export async function streamWatch(
  exchange: Exchange,
  events: AsyncIterable<WatchEvent<Unstructured>>,
  presentation: Presentation,
  parts: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  const { response } = exchange;
  const { clock, signal } = parts;
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next();
  // A bad selector is refused in the first step; there may be no first event for hours.
  const refusal = await Promise.race([next.then(nothing, (error: unknown) => ({ error })), turn()]);
  if (refusal !== undefined && !isExpired(refusal.error)) throw refusal.error;

  response.setHeader("content-type", "application/json");
  response.setHeader("cache-control", "no-cache, private");
  response.writeHead(200);
  response.flushHeaders();
  try {
    for (;;) {
      const step = await next;
      if (step.done === true || signal.aborted) break;
      const line = `${JSON.stringify(presentation.event(step.value, clock.now()))}\n`;
      if (!response.write(line) && !(await drained(exchange, clock, signal))) {
        if (!signal.aborted) {
          parts.log.warn({ path: exchange.path, user: exchange.user.name }, "cut a watch whose client takes nothing");
          response.destroy();
        }
        return;
      }
      next = iterator.next();
    }
  } catch (error) {
    if (!signal.aborted) {
      if (!(error instanceof ApiStatusError))
        parts.log.error({ path: exchange.path, error: errorMessage(error) }, "a watch failed");
      response.write(`${JSON.stringify(errorEvent(error))}\n`);
    }
  } finally {
    await iterator.return?.();
    response.end();
  }
}

function errorEvent(error: unknown): JsonObject {
  const status =
    error instanceof ApiStatusError
      ? error
      : new ApiStatusError(500, "InternalError", "an error on the server ended the watch");
  return { type: "ERROR", object: statusDocument(status) };
}

/** True when the client took what was written; false when it did not in time, left, or the watch was aborted. */
async function drained(exchange: Exchange, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const { response } = exchange;
  const over = new AbortController();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const onDrain = (): void => resolve(true);
  const onEnd = (): void => resolve(false);
  response.once("drain", onDrain);
  response.once("close", onEnd);
  signal.addEventListener("abort", onEnd, { once: true });
  clock.sleep(STUCK_CLIENT_MS, over.signal).then(onEnd, nothing);
  if (signal.aborted || response.destroyed) onEnd();
  try {
    return await promise;
  } finally {
    over.abort();
    response.off("drain", onDrain);
    response.off("close", onEnd);
    signal.removeEventListener("abort", onEnd);
  }
}

function nothing(): undefined {
  return undefined;
}

function turn(): Promise<undefined> {
  return new Promise((resolve) => {
    setImmediate(() => resolve(undefined));
  });
}
