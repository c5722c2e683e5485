import { type BackoffPolicy, fullJitter } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

/** What supervision tells its owner. */
export interface SupervisionEvents {
  /** A loop threw; it restarts after `delayMs`. */
  onFailure(name: string, error: unknown, consecutive: number, delayMs: number): void;
}

const RESTART: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 30_000 };
/** A run that lasted this long resets the count of consecutive failures. */
const HEALTHY_RUN_MS = 60_000;

/**
 * Runs `body` until `signal` aborts, restarting it with full-jitter backoff when it throws or returns early.
 * Resolves when the signal has aborted and the last run has ended; never rejects.
 */
export async function supervise(
  name: string,
  body: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
  parts: { readonly clock: Clock; readonly random: Random; readonly events: SupervisionEvents },
): Promise<void> {
  let consecutive = 0;
  while (!signal.aborted) {
    const started = parts.clock.monotonic();
    let failure: unknown = new Error(`${name} returned before it was stopped`);
    try {
      await body(signal);
    } catch (error) {
      failure = error;
    }
    if (signal.aborted) return;
    consecutive = parts.clock.monotonic() - started >= HEALTHY_RUN_MS ? 1 : consecutive + 1;
    const delayMs = fullJitter(RESTART, consecutive - 1, parts.random);
    parts.events.onFailure(name, failure, consecutive, delayMs);
    try {
      await parts.clock.sleep(delayMs, signal);
    } catch {
      return; // aborted while waiting: that is the way to stop
    }
  }
}
