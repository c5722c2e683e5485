import type { AuditSinkPosition } from "../hub/ports.ts";
import type { Asking } from "./asking.ts";

/**
 * `present`: the stored numbers after one, ascending, some of them. `covered`: the highest number up to which ranges cover the one
 * asked about, or none.
 */
export type ContiguityQuestion =
  | { readonly ask: "present"; readonly after: bigint }
  | { readonly ask: "covered"; readonly number: bigint };

/** Answer to either question. */
export type ContiguityAnswer = readonly bigint[];

/** What a batch added to a chain. */
export interface AddedNumbers {
  /** First and last number; the numbers between them are in the batch. */
  readonly first: bigint;
  readonly last: bigint;
  /** True when the batch is more than consecutive stored events: holes, refusals, records that close ranges. */
  readonly irregular: boolean;
}

/** The position after a batch when it can be told without looking: the log's next events came, and nothing lies beyond them. */
export function followedBy(before: AuditSinkPosition, added: AddedNumbers): AuditSinkPosition | undefined {
  if (added.irregular || before.highest !== before.contiguousThrough || added.first !== before.highest + 1n)
    return undefined;
  return { contiguousThrough: added.last, highest: added.last };
}

/** How far numbers reach without a hole: over stored events and over closed ranges. */
export function* contiguousThrough(from: bigint): Asking<ContiguityQuestion, ContiguityAnswer, bigint> {
  let reached = from;
  for (;;) {
    const before = reached;
    for (const number of yield { ask: "present", after: reached }) {
      if (number !== reached + 1n) break;
      reached = number;
    }
    const [covered = 0n] = yield { ask: "covered", number: reached + 1n };
    if (covered > reached) reached = covered;
    if (reached === before) return reached;
  }
}

/** Collects what a batch added, number by number. */
export class AddedRun {
  #first: bigint | undefined;
  #last = 0n;
  #irregular = false;

  /** `closes`: the number's event closes a range or was refused. */
  add(sequence: bigint, closes: boolean): void {
    if (this.#first === undefined) this.#first = sequence;
    else if (sequence !== this.#last + 1n) this.#irregular = true;
    if (closes) this.#irregular = true;
    if (sequence > this.#last) this.#last = sequence;
  }

  /** Undefined when nothing was added. */
  get numbers(): AddedNumbers | undefined {
    const first = this.#first;
    return first === undefined ? undefined : { first, last: this.#last, irregular: this.#irregular };
  }
}
