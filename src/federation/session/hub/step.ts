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
export type HubTag = { readonly kind: "retry"; readonly id: string };

/** The hub's end of a stream. */
export type HubPipe = Pipe<HubTag>;
