import type { Clock } from "../../base/clock.ts";

/** Longest time one timer runs; a later deadline is looked at again then. */
const LONGEST_TIMER_MS = 2 ** 30;

/**
 * Wakes a session machine at its deadline. A deadline that moves away costs nothing: the timer that runs finds it not due and
 * starts again; only one that comes nearer replaces the timer.
 */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Infinity;
  #deadlineMs = Infinity;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** @param deadlineMs monotonic; Infinity for never */
  set(deadlineMs: number): void {
    this.#deadlineMs = deadlineMs;
    if (deadlineMs < this.#timerDueMs) this.#start();
  }

  stop(): void {
    this.#deadlineMs = Infinity;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerDueMs = Infinity;
  }

  #start(): void {
    clearTimeout(this.#timer);
    const now = this.#clock.monotonic();
    // Timers may fire a fraction early; rounding up keeps the tick at or after the deadline.
    const ms = Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(this.#deadlineMs - now)));
    this.#timerDueMs = now + ms;
    this.#timer = setTimeout(this.#fire, ms);
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    this.#timerDueMs = Infinity;
    if (this.#deadlineMs === Infinity) return;
    if (this.#clock.monotonic() < this.#deadlineMs) {
      this.#start();
      return;
    }
    this.#deadlineMs = Infinity;
    this.#ring();
  };
}
