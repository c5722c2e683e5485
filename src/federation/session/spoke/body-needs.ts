import type { Digest } from "../../../base/digest.ts";
import type { IndexItem } from "../../index/index-document.ts";
import { forEachBody } from "../../index/plan-index.ts";
import type { BlobFetching } from "./blob-fetching.ts";
import type { SpokeStep } from "./step.ts";

/**
 * Which bodies are needed, and by whom: counts of the items and last good versions that name a body, and the items that wait for one.
 * A body that nothing names any more is forgotten.
 */
export class BodyNeeds {
  readonly #bodies: BlobFetching;
  readonly #counts: Map<Digest, number> = new Map();
  readonly #waiters: Map<Digest, Set<string>> = new Map();

  constructor(bodies: BlobFetching) {
    this.#bodies = bodies;
  }

  /** Something names the bodies of `item`. */
  hold(item: IndexItem): void {
    forEachBody(item, (digest) => this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1));
  }

  /** It does not any more. */
  release(item: IndexItem, step: SpokeStep): void {
    forEachBody(item, (digest) => {
      const left = (this.#counts.get(digest) ?? 0) - 1;
      if (left > 0) {
        this.#counts.set(digest, left);
        return;
      }
      this.#counts.delete(digest);
      this.#bodies.forget(digest, step);
    });
  }

  /** Forgets what a process before this one held and nothing names: the first clean-up. */
  sweep(step: SpokeStep): void {
    for (const digest of this.#bodies.stored()) if (!this.#counts.has(digest)) this.#bodies.forget(digest, step);
  }

  /** True when every body of `item` is held and checked; otherwise they are fetched, and `key` waits for them. */
  held(item: IndexItem, key: string, step: SpokeStep): boolean {
    let held = true;
    forEachBody(item, (digest, size) => {
      if (this.#bodies.holds(digest)) return;
      held = false;
      let waiters = this.#waiters.get(digest);
      if (waiters === undefined) {
        waiters = new Set();
        this.#waiters.set(digest, waiters);
      }
      waiters.add(key);
      this.#bodies.want(digest, size, step);
    });
    return held;
  }

  /** `key` does not wait for the bodies of `item` any more. */
  unwait(item: IndexItem, key: string): void {
    forEachBody(item, (digest) => {
      const waiters = this.#waiters.get(digest);
      if (waiters?.delete(key) === true && waiters.size === 0) this.#waiters.delete(digest);
    });
  }

  /** Takes the keys that wait for a body. */
  takeWaiters(digest: Digest): readonly string[] {
    const waiters = this.#waiters.get(digest);
    if (waiters === undefined) return [];
    this.#waiters.delete(digest);
    return [...waiters];
  }

  /** The first body that `item` waits for, with the hub's reason, for people; empty when none is missing. */
  missing(item: IndexItem): string {
    let missing = "";
    forEachBody(item, (digest) => {
      if (missing !== "" || this.#bodies.holds(digest)) return;
      const reason = this.#bodies.reasonOf(digest);
      missing = `body ${digest}${reason === "" ? "" : ` (${reason})`}`;
    });
    return missing;
  }
}
