import type { Clock } from "../../base/clock.ts";
import type { Ready } from "../session/ready.ts";
import { Alarm } from "../wire/alarm.ts";

/**
 * Carries out Readys strictly in order: writes first, effects after they are durable. Readys that wait together share one
 * transaction. A Ready without writes behind an empty queue is performed at once; one without effects waits a moment for the next,
 * since nobody can tell how durable it is.
 */
export class ReadyQueue<Write, Effect> {
  readonly #persist: (writes: readonly Write[]) => Promise<void>;
  readonly #perform: (effect: Effect) => void;
  readonly #failed: (error: unknown) => void;
  readonly #lagging: (lags: boolean) => void;
  readonly #clock: Clock;
  readonly #rest: Alarm;
  #waiting: Ready<Write, Effect>[] = [];
  #running = false;
  #lags = false;
  #dead = false;

  constructor(parts: {
    readonly clock: Clock;
    readonly persist: (writes: readonly Write[]) => Promise<void>;
    readonly perform: (effect: Effect) => void;
    /** The store refused: nothing more is performed. */
    readonly failed: (error: unknown) => void;
    /** The disk does not keep up (true) or does again (false). */
    readonly lagging: (lags: boolean) => void;
  }) {
    this.#persist = parts.persist;
    this.#perform = parts.perform;
    this.#failed = parts.failed;
    this.#lagging = parts.lagging;
    this.#clock = parts.clock;
    this.#rest = new Alarm(parts.clock, () => this.#start());
  }

  push(ready: Ready<Write, Effect>): void {
    if (this.#dead) return;
    for (const effect of ready.atOnce) this.#perform(effect);
    if (ready.persist.length === 0 && ready.afterPersist.length === 0) return;
    this.#waiting.push(ready);
    if (this.#waiting.length > LAG_ABOVE) this.#lag(true);
    if (ready.afterPersist.length > 0 || this.#lags) this.#start();
    else if (!this.#running && this.#waiting.length === 1) this.#rest.set(this.#clock.monotonic() + REST_MS);
  }

  /** Performs nothing more. */
  stop(): void {
    this.#dead = true;
    this.#waiting = [];
    this.#rest.stop();
  }

  #start(): void {
    this.#rest.stop();
    if (!this.#running) void this.#run();
  }

  /** Runs without a pause until something has to be made durable; what effects push meanwhile waits its turn. */
  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      const writes = group.length === 1 ? (group[0]?.persist ?? []) : group.flatMap(({ persist }) => persist);
      try {
        if (writes.length > 0) await this.#persist(writes);
      } catch (error) {
        if (this.#dead) return;
        this.stop();
        this.#failed(error);
        return;
      }
      for (const { afterPersist } of group)
        for (const effect of afterPersist) {
          if (this.#dead) return;
          this.#perform(effect);
        }
      if (this.#waiting.length < LAG_BELOW) this.#lag(false);
    }
    this.#running = false;
  }

  #lag(lags: boolean): void {
    if (this.#lags === lags) return;
    this.#lags = lags;
    this.#lagging(lags);
  }
}

/** Longest rest of writes that no effect waits for, milliseconds. */
const REST_MS = 5;
/** Readys waiting for the disk above which the stream is not read, and below which it is read again (lessons §4.4). */
const LAG_ABOVE = 32;
const LAG_BELOW = 16;
