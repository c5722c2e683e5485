import { fullJitter } from "../../../base/backoff.ts";
import type { Random } from "../../../base/random.ts";
import { HEALTHY_STREAM_MS, MAX_RETRY_AFTER_MS, RECONNECT } from "../limits.ts";

/**
 * When to dial again (lessons §1.7): full jitter, back to the start after a minute of health, never sooner than the hub asked. A
 * retry-after gets up to 10 % more, so that agents sent away together do not come back together; it is the agent's place in the hub's
 * queue, so the backoff of earlier failures does not add to it: a place that nobody takes would lengthen everybody's wait. Nor is being
 * sent away a failure that lengthens the backoff of the next one: an agent that was moved twice is as healthy as before.
 */
export class Reconnect {
  readonly #random: Random;
  #attempt = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Attempts since the last health. */
  get attempt(): number {
    return this.#attempt;
  }

  /** A stream that was live for `liveMs` ended, or a dial failed (0). Returns the delay, milliseconds. */
  delayMs(liveMs: number, retryAfterMs: number): number {
    if (liveMs >= HEALTHY_STREAM_MS) this.#attempt = 0;
    const backoff = fullJitter(RECONNECT, retryAfterMs > 0 ? 0 : this.#attempt, this.#random);
    if (retryAfterMs <= 0) this.#attempt++;
    const asked = Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
    return Math.max(backoff, asked * (1 + 0.1 * this.#random.next()));
  }
}
