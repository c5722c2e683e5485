import type { Random } from "./random.ts";

/** Shape of an exponential backoff. */
export interface BackoffPolicy {
  /** Ceiling of the first delay, milliseconds. */
  readonly baseMs: number;
  /** Growth per attempt. */
  readonly factor: number;
  /** Highest ceiling, milliseconds. */
  readonly capMs: number;
}

/** Full jitter: uniform in [0, min(cap, base * factor^attempt)]. Attempts count from 0. */
export function fullJitter(policy: BackoffPolicy, attempt: number, random: Random): number {
  return random.next() * backoffCeiling(policy, attempt);
}

/** The ceiling of {@link fullJitter}, milliseconds. */
export function backoffCeiling(policy: BackoffPolicy, attempt: number): number {
  return Math.min(policy.capMs, policy.baseMs * policy.factor ** Math.min(attempt, 64));
}
