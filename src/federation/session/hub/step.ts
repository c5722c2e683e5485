import { type BackoffPolicy, fullJitter } from "../../../base/backoff.ts";
import type { Random } from "../../../base/random.ts";
import type { Pipe } from "../pipe.ts";
import type { HubEffect } from "./effects.ts";

/** One running step of the hub's machine: the time and where effects go. */
export interface HubStep {
  /** Monotonic clock, milliseconds. */
  readonly nowMs: number;
  /** Wall clock, Unix milliseconds. */
  readonly wallMs: number;
  readonly out: HubEffect[];
}

/** What the acknowledgement of a frame completes on the hub. */
export type HubTag = { readonly kind: "retry"; readonly key: string };

/** The hub's end of a stream. */
export type HubPipe = Pipe<HubTag>;

/** When to try again for the `attempt`-th time (from 0): half of the ceiling fixed, half random, so that a retry is never at once. */
export function retryAtMs(policy: BackoffPolicy, attempt: number, random: Random, nowMs: number): number {
  return nowMs + Math.max(policy.baseMs / 2, fullJitter(policy, attempt, random));
}

/** Numbers what the shell has to answer. */
export class Tokens {
  #last = 0;

  next(): number {
    return ++this.#last;
  }
}
