import { type BackoffPolicy, fullJitter } from "../../base/backoff.ts";
import type { Random } from "../../base/random.ts";

/** When to try again for the `attempt`-th time (from 0): full jitter, but never sooner than half of the base. */
export function retryAtMs(policy: BackoffPolicy, attempt: number, random: Random, nowMs: number): number {
  return nowMs + Math.max(policy.baseMs / 2, fullJitter(policy, attempt, random));
}
