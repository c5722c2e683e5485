import { fullJitter } from "../../../base/backoff.ts";
import type { Random } from "../../../base/random.ts";
import {
  BROKEN_OFF_DOUBLINGS,
  HEALTH_PER_DOUBLING_MS,
  MAX_RETRY_AFTER_MS,
  RECONNECT,
  RECONNECT_DOUBLINGS,
  REDIAL,
} from "../limits.ts";

/**
 * When to dial again (lessons §1.7): full jitter, never sooner than the hub asked. A retry-after gets up to 10 % more, so that agents sent
 * away together do not come back together; it is the agent's place in the hub's queue, so the backoff of earlier failures does not
 * add to it: a place that nobody takes would lengthen everybody's wait. Nor is being sent away a failure that lengthens the
 * backoff of the next one: an agent that was moved twice is as healthy as before.
 *
 * Two things grow apart from each other. What a hub answered and then broke off may be the hub's load, so it doubles a ceiling up to half
 * a minute, which only health brings down again. What nobody answered was a path or a process that is away: it doubles a
 * ceiling of its own, of some seconds, which is forgotten as soon as anybody answers.
 */
export class Reconnect {
  readonly #random: Random;
  /** Failures that a hub had a part in, less what health took back. */
  #failures = 0;
  /** Dials in a row that nobody answered. */
  #unanswered = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Failures of late, for people. */
  get attempt(): number {
    return this.#failures + this.#unanswered;
  }

  /** A stream that was live for `liveMs` ended. Returns the delay, milliseconds. */
  delayMs(liveMs: number, retryAfterMs: number): number {
    this.#unanswered = 0;
    const doublings = Math.floor(liveMs / HEALTH_PER_DOUBLING_MS);
    if (doublings > 0) this.#failures = Math.max(0, Math.min(this.#failures, RECONNECT_DOUBLINGS) - doublings);
    const backoff = fullJitter(RECONNECT, retryAfterMs > 0 ? 0 : this.#failures, this.#random);
    if (retryAfterMs <= 0) this.#failures++;
    const asked = Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
    return Math.max(backoff, asked * (1 + 0.1 * this.#random.next()));
  }

  /** A hub answered a dial and broke it off before the stream was open: it may have no time to say more. Returns the delay, milliseconds. */
  brokenOffMs(): number {
    this.#failures = Math.max(this.#failures, BROKEN_OFF_DOUBLINGS);
    return this.delayMs(0, 0);
  }

  /** A dial ended that no hub answered. Returns the delay, milliseconds. */
  redialMs(): number {
    return fullJitter(REDIAL, this.#unanswered++, this.#random);
  }
}
