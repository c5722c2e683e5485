import type { Pipe } from "../pipe.ts";
import type { SpokeEffect } from "./effects.ts";
import type { SpokeWrite } from "./record.ts";

/** One running step of the agent's machine: the time, what must become durable, and what follows. */
export interface SpokeStep {
  /** Monotonic clock, milliseconds. */
  readonly nowMs: number;
  /** Wall clock, Unix milliseconds. */
  readonly wallMs: number;
  /** Effects that need not wait for `persist`. */
  readonly atOnce: SpokeEffect[];
  readonly persist: SpokeWrite[];
  readonly out: SpokeEffect[];
}

/** A report of an item: what it says is the item's state at `stamp`. */
export interface SentReport {
  readonly key: string;
  readonly stamp: number;
}

/** What the acknowledgement of a frame completes at the agent. */
export type SpokeTag =
  | { readonly kind: "fact"; readonly key: string; readonly reportVersion: bigint }
  | { readonly kind: "items"; readonly reports: readonly SentReport[] }
  | { readonly kind: "audit" }
  | { readonly kind: "request"; readonly requestId: string };

/** The agent's end of a stream. */
export type SpokePipe = Pipe<SpokeTag>;
