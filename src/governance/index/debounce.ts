import type { Clock } from "../../base/clock.ts";

interface Pending {
  readonly firstMs: number;
  dueMs: number;
}

/** Options of {@link Debounce}. */
export interface DebounceOptions {
  /** Quiet time after the last touch, milliseconds. */
  readonly quietMs: number;
  /** Longest wait after the first touch, milliseconds. */
  readonly maxMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly fire: (key: string) => void;
}

/** Joins bursts per key: fires once it has been quiet for a while, or after the longest wait. One sleeper per pending key. */
export class Debounce {
  readonly #options: DebounceOptions;
  readonly #pending = new Map<string, Pending>();

  constructor(options: DebounceOptions) {
    this.#options = options;
  }

  touch(key: string): void {
    const { clock, quietMs, maxMs, signal } = this.#options;
    if (signal.aborted) return;
    const now = clock.monotonic();
    const pending = this.#pending.get(key);
    if (pending !== undefined) {
      pending.dueMs = Math.min(now + quietMs, pending.firstMs + maxMs);
      return;
    }
    const started: Pending = { firstMs: now, dueMs: now + Math.min(quietMs, maxMs) };
    this.#pending.set(key, started);
    this.#wait(key, started).catch(() => {
      this.#pending.delete(key); // aborted while waiting: that is the way to stop
    });
  }

  async #wait(key: string, pending: Pending): Promise<void> {
    const { clock, signal, fire } = this.#options;
    for (let now = clock.monotonic(); now < pending.dueMs; now = clock.monotonic())
      await clock.sleep(pending.dueMs - now, signal);
    this.#pending.delete(key);
    fire(key);
  }
}
