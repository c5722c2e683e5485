import type { Clock } from "../../base/clock.ts";

/** Longest time one timer runs; a later deadline is looked at again then. */
const LONGEST_TIMER_MS = 2 ** 30;

/** Timers of more than this end on a multiple of that, milliseconds: the runtime keeps a list for each length, and a hub has thousands. */
const COARSE_ABOVE_MS = 1_000;
const COARSE_MS = 64;

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
    const exact = Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(this.#deadlineMs - now)));
    const ms = exact <= COARSE_ABOVE_MS ? exact : Math.ceil(exact / COARSE_MS) * COARSE_MS;
    this.#timerDueMs = now + ms;
    this.#timer = setTimeout(Alarm.#fired, ms, this);
  }

  /** One function for all alarms: there are thousands. */
  static #fired(this: void, alarm: Alarm): void {
    alarm.#fire();
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerDueMs = Infinity;
    if (this.#deadlineMs === Infinity) return;
    if (this.#clock.monotonic() < this.#deadlineMs) {
      this.#start();
      return;
    }
    this.#deadlineMs = Infinity;
    this.#ring();
  }
}
