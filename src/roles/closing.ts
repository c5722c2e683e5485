import { aborted } from "../base/aborted.ts";
import type { Log } from "../base/log.ts";
import { errorMessage } from "../base/errors.ts";

/** Parts of a process that are stopped in an order: what depends on others stops before them. */
export class ClosingOrder {
  readonly #stages: { readonly name: string; readonly stop: AbortController; readonly closed: Promise<void>[] }[] = [];

  /** Adds a stage; later stages stop earlier. Returns the signal for what belongs to it. */
  stage(name: string): AbortSignal {
    const stop = new AbortController();
    this.#stages.push({ name, stop, closed: [] });
    return stop.signal;
  }

  /** Adds something that closes with the newest stage. */
  add(closed: Promise<void>): void {
    this.#stages.at(-1)?.closed.push(closed);
  }

  /** Stops the stages from the newest to the oldest once `signal` aborts. Every stage is stopped, whatever failed before. */
  async closeOn(signal: AbortSignal, log: Log): Promise<void> {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    for (const stage of this.#stages.toReversed()) {
      stage.stop.abort(signal.reason);
      for (const result of await Promise.allSettled(stage.closed)) {
        if (result.status === "rejected")
          log.error({ stage: stage.name, error: errorMessage(result.reason) }, "did not stop cleanly");
      }
    }
  }
}

/** Closes a cluster at the end of its stage. Resolves when it is closed. */
export async function closeOnAbort(
  signal: AbortSignal,
  cluster: { readonly close: () => Promise<void> },
): Promise<void> {
  await aborted(signal);
  await cluster.close();
}
