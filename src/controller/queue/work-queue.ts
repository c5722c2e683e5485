import { type BackoffPolicy, fullJitter } from "../../base/backoff.ts";
import { invariant } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { TokenBucket, type TokenRate } from "../../base/token-bucket.ts";

/** Retry delays of one key, as controller-runtime's default: 5 ms doubling to about 16 minutes, here with full jitter. */
export const DEFAULT_RETRY: BackoffPolicy = { baseMs: 50, factor: 2, capMs: 300_000 };

/** Retries of all keys together, as client-go's overall limiter: a broken dependency does not turn every key into load. */
export const DEFAULT_OVERALL: TokenRate = { perSecond: 50, burst: 500 };

/** More distinct keys than any cluster holds objects of one type: reaching it is a bug. */
const MAX_KEYS = 1_000_000;

/**
 * Rate-limited work queue in the manner of client-go: a key stands in it once, is handed to one worker at a time, and when it is
 * added while being worked on it comes back after {@link done}.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #retry: BackoffPolicy;
  readonly #overall: TokenBucket;
  readonly #onReady: () => void;
  /** Keys to hand out, in order. A Set keeps insertion order and is its own duplicate check. */
  readonly #ready = new Set<string>();
  /** Where handing out stands: looking for the first key from the start would pass all that were handed out before. */
  #next = this.#ready.values();
  readonly #processing = new Set<string>();
  /** Added while being processed: ready again at {@link done}. */
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  /** Monotonic due time of delayed keys. */
  readonly #delayed = new Map<string, number>();
  readonly #waiters: ((key: string | undefined) => void)[] = [];
  #sleep: { readonly due: number; readonly cancel: AbortController } | undefined;
  #closed = false;

  constructor(parts: {
    readonly clock: Clock;
    readonly random: Random;
    readonly retry?: BackoffPolicy;
    readonly overall?: TokenRate;
    /** Called for every key that becomes ready, for metrics. */
    readonly onReady?: () => void;
  }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#retry = parts.retry ?? DEFAULT_RETRY;
    this.#overall = new TokenBucket(parts.overall ?? DEFAULT_OVERALL, parts.clock.monotonic());
    this.#onReady = parts.onReady ?? (() => {});
  }

  /** Keys that are ready. */
  get depth(): number {
    return this.#ready.size;
  }

  /** True when no key is ready or being worked on; delayed keys do not count. */
  get idle(): boolean {
    return this.#ready.size === 0 && this.#processing.size === 0;
  }

  /** Makes `key` ready, once; forgets a delay it may have. */
  add(key: string): void {
    if (this.#closed) return;
    this.#delayed.delete(key);
    if (this.#processing.has(key)) {
      this.#again.add(key);
      return;
    }
    if (this.#ready.has(key)) return;
    this.#onReady();
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      this.#processing.add(key);
      waiter(key);
      return;
    }
    this.#ready.add(key);
    invariant(this.#ready.size <= MAX_KEYS, "work queue holds more keys than a cluster can have objects");
  }

  /** Makes `key` ready after `ms`, or sooner when it already has an earlier due time. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const due = this.#clock.monotonic() + ms;
    const existing = this.#delayed.get(key);
    if (existing !== undefined && existing <= due) return;
    this.#delayed.set(key, due);
    this.#sleepUntil(due);
  }

  /** Makes `key` ready after its own exponential backoff, or later when all retries together come too fast. */
  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const ownMs = fullJitter(this.#retry, failures, this.#random);
    this.addAfter(key, Math.max(1, ownMs, this.#overall.reserveMs(this.#clock.monotonic())));
  }

  /** Ends the backoff of `key`: its next failure starts at the base delay. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Failures of `key` since it was last forgotten. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, when there is one; undefined after {@link close}. Every key must be given back with {@link done}. */
  next(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    const key = this.#first();
    if (key !== undefined) {
      this.#ready.delete(key);
      this.#processing.add(key);
      return Promise.resolve(key);
    }
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #first(): string | undefined {
    if (this.#ready.size === 0) return undefined;
    const next = this.#next.next();
    if (next.done !== true) return next.value;
    // It had reached the end, and saw nothing of what came after.
    this.#next = this.#ready.values();
    return this.#next.next().value;
  }

  /** Gives a key back after work. */
  done(key: string): void {
    this.#processing.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  /** Stops handing out keys and wakes every waiter with undefined. */
  close(): void {
    this.#closed = true;
    this.#ready.clear();
    this.#again.clear();
    this.#delayed.clear();
    this.#sleep?.cancel.abort();
    this.#sleep = undefined;
    for (const waiter of this.#waiters.splice(0)) waiter(undefined);
  }

  /** Sleeps until `due` unless it already sleeps until an earlier time. */
  #sleepUntil(due: number): void {
    if (this.#sleep !== undefined && this.#sleep.due <= due) return;
    this.#sleep?.cancel.abort();
    const cancel = new AbortController();
    this.#sleep = { due, cancel };
    this.#clock.sleep(Math.max(0, due - this.#clock.monotonic()), cancel.signal).then(
      () => this.#wake(cancel),
      () => {
        // Cancelled for an earlier key or by close: whoever cancelled goes on.
      },
    );
  }

  #wake(cancel: AbortController): void {
    if (this.#sleep?.cancel !== cancel) return;
    this.#sleep = undefined;
    const now = this.#clock.monotonic();
    let next = Infinity;
    for (const [key, due] of this.#delayed) {
      if (due <= now) this.add(key);
      else next = Math.min(next, due);
    }
    if (next !== Infinity) this.#sleepUntil(next);
  }
}
