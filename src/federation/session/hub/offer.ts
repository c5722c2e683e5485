import type { Digest } from "../../../base/digest.ts";
import type { DesiredIndex } from "../../hub/ports.ts";
import type { RangeDigests } from "../../index/range-digest.ts";

/**
 * How to say to one agent what it should hold. A plan holds references only; `encodeOffer` builds the message, and a shell that
 * serves many agents keeps the result per (form, base, desired), since only the frame's header differs between streams.
 */
export interface OfferPlan {
  /**
   * `full`: everything; `diff`: against `base`; `ranges`: whole ranges of items; `unchanged`: positions only; `reference`: the body is
   * fetched by digest.
   */
  readonly form: "full" | "diff" | "ranges" | "unchanged" | "reference";
  readonly desired: DesiredIndex;
  /** The index the agent holds; set for `diff`. */
  readonly base: DesiredIndex | undefined;
  /** What is replaced of an index that only the agent has; set for `ranges`. */
  readonly ranges: ReplacedRanges | undefined;
  /**
   * Digests of bodies that should ride along, smallest budget first considered. The shell adds those that are in memory at once and
   * leaves out the rest: the agent fetches what did not come.
   */
  readonly inline: readonly Digest[];
}

/** Ranges of the agent's index that differ from `desired`. */
export interface ReplacedRanges {
  /** Digest of the index the agent holds. */
  readonly baseDigest: string;
  readonly paths: readonly Uint8Array[];
  /** Those of `desired`. */
  readonly digests: RangeDigests;
}
