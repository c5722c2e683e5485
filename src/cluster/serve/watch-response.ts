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

/**
 * Streams the events of a watch, one JSON document per line, until it ends, the client goes or `signal` aborts. Takes the next event
 * only when the client took the last, so a slow client slows its own watch and no other.
 *
 * @param parts `onEvent` hears of every event that is sent
 * @throws ApiStatusError when the watch is refused before its first event, other than 410: that is told in the stream
 */
export async function streamWatch(
  exchange: Exchange,
  events: AsyncIterable<WatchEvent<Unstructured>>,
  presentation: Presentation,
  parts: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal; readonly onEvent?: () => void },
): Promise<void> {
  const { clock, signal } = parts;
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next();
  // A bad selector is refused in the first step; there may be no first event for hours.
  const refusal = await Promise.race([next.then(nothing, (error: unknown) => ({ error })), turn()]);
  if (refusal !== undefined && !isExpired(refusal.error)) throw refusal.error;

  const stream = exchange.stream("application/json", false, clock, signal);
  try {
    for (;;) {
      const step = await next;
      if (step.done === true || signal.aborted) break;
      const taken = stream.write(presentation.eventLine(step.value, clock.now()));
      parts.onEvent?.();
      if (taken !== true && !(await taken)) {
        if (stream.stuck)
          parts.log.warn({ path: exchange.path, user: exchange.user.name }, "cut a watch whose client takes nothing");
        return;
      }
      next = iterator.next();
    }
  } catch (error) {
    if (!signal.aborted) {
      if (!(error instanceof ApiStatusError))
        parts.log.error({ path: exchange.path, error: errorMessage(error) }, "a watch failed");
      await stream.write(`${JSON.stringify(errorEvent(error))}\n`);
    }
  } finally {
    await iterator.return?.();
    stream.end();
  }
}

function errorEvent(error: unknown): JsonObject {
  const status =
    error instanceof ApiStatusError
      ? error
      : new ApiStatusError(500, "InternalError", "an error on the server ended the watch");
  return { type: "ERROR", object: statusDocument(status) };
}

function nothing(): undefined {
  return undefined;
}

function turn(): Promise<undefined> {
  return new Promise((resolve) => {
    setImmediate(() => resolve(undefined));
  });
}
