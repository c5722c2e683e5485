/**
 * Finds the earliest deadline that lies after now. What was due by now was done in this step, or waits for an event (room, drain, an
 * answer): a deadline in the past would only make the shell spin. One of them serves all steps of a machine, so that looking at a dozen
 * deadlines after every frame makes no lists.
 */
export class Soonest {
  #nowMs = 0;
  #atMs = Infinity;

  /** A step ends: nothing is known yet. */
  begin(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#atMs = Infinity;
  }

  see(deadlineMs: number): void {
    if (deadlineMs > this.#nowMs && deadlineMs < this.#atMs) this.#atMs = deadlineMs;
  }

  /**
   * The earliest of what was seen; Infinity when there is none. Whole milliseconds, rounded up: a clock that counts in fractions must not
   * wake the shell just before the time.
   */
  get atMs(): number {
    return Math.ceil(this.#atMs);
  }
}
