/** Time as a parameter. Wall time is for people and for expiry; monotonic time is for durations and decisions. */
export interface Clock {
  /** Wall clock, Unix milliseconds. May jump both ways. */
  now(): number;
  /** Monotonic clock, milliseconds from an arbitrary origin. Never goes back. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};

interface Sleeper {
  readonly due: number;
  readonly wake: () => void;
}

/** A clock that moves only when told to: one of the two fakes with a licence. */
export class ManualClock implements Clock {
  #now: number;
  #monotonic = 0;
  #sleepers: Sleeper[] = [];

  /** @param startMs wall clock at the start, Unix milliseconds */
  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Number of sleepers, so that a test can wait until the code under test sleeps. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason as Error);
      };
      const sleeper: Sleeper = {
        due: this.#monotonic + ms,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** Moves both clocks forward and wakes, in order of their time, every sleeper that came due; lets each run before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    for (;;) {
      const next = this.#sleepers.filter((s) => s.due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#now += Math.max(0, next.due - this.#monotonic);
      this.#monotonic = Math.max(this.#monotonic, next.due);
      this.#sleepers = this.#sleepers.filter((s) => s !== next);
      next.wake();
      await Promise.resolve();
      await Promise.resolve();
    }
    this.#now += end - this.#monotonic;
    this.#monotonic = end;
    await Promise.resolve();
  }

  /** Moves the wall clock only, in either direction. */
  jumpWall(ms: number): void {
    this.#now += ms;
  }
}

/** RFC 3339 in UTC with millisecond digits, for example `2026-01-10T08:00:00.000Z`. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

/** {@link rfc3339} for who writes many times that lie close together, such as one per decision: a second's text is made once. */
export class Timestamps {
  #second = Number.NaN;
  #prefix = "";

  text(ms: number): string {
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#prefix = rfc3339(second * 1000).slice(0, -4);
      this.#second = second;
    }
    const rest = Math.floor(ms - second * 1000);
    return `${this.#prefix}${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}Z`;
  }
}

/** RFC 3339 in UTC without fraction, as Kubernetes writes `metav1.Time`. */
export function rfc3339Seconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
