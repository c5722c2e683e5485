import type { Clock } from "../../../base/clock.ts";
import { LifecycleQueue, type LifecycleQueueOptions } from "./lifecycle-queue.ts";

/** Longest single sleep: timers of the platform end at 24 days. Who is due later is looked at once in between. */
const MAX_DELAY_MS = 60 * 60 * 1000;

/** A {@link LifecycleQueue} whose keys can also be added for later: each key waits at most once, for its earliest time. */
export class DelayedQueue {
  readonly #queue: LifecycleQueue;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #due = new Map<string, number>();
  readonly #sleeping = new Set<Promise<void>>();

  constructor(options: LifecycleQueueOptions) {
    this.#queue = new LifecycleQueue(options);
    this.#clock = options.clock;
    this.#signal = options.signal;
  }

  add(key: string): void {
    this.#queue.add(key);
  }

  /** Adds the key after at least `ms` milliseconds. */
  addAfter(key: string, ms: number): void {
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const delay = Math.min(ms, MAX_DELAY_MS);
    const due = this.#clock.monotonic() + delay;
    const known = this.#due.get(key);
    if (this.#signal.aborted || (known !== undefined && known <= due)) return;
    this.#due.set(key, due);
    const sleeping = this.#wake(key, delay, due);
    this.#sleeping.add(sleeping);
    void sleeping.finally(() => this.#sleeping.delete(sleeping));
  }

  async #wake(key: string, delay: number, due: number): Promise<void> {
    try {
      await this.#clock.sleep(delay, this.#signal);
    } catch {
      return; // closing
    }
    if (this.#due.get(key) !== due) return; // an earlier time took its place
    this.#due.delete(key);
    this.add(key);
  }

  /** Resolves when no work is under way; after the signal also when nothing sleeps any more. */
  async idle(): Promise<void> {
    if (this.#signal.aborted) await Promise.all(this.#sleeping);
    await this.#queue.idle();
  }
}
