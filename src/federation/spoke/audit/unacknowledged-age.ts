/** Looks remembered: enough for an age of many looks. */
const MAX_LOOKS = 64;

/** Tells, from looks at a log's highest number, which numbers it has had for how long; pure. */
export class UnacknowledgedAge {
  readonly #looks: { readonly atMs: number; readonly last: bigint }[] = [];

  /** What the log's highest number was at a time of a monotonic clock; times rise. */
  note(atMs: number, last: bigint): void {
    this.#looks.push({ atMs, last });
    if (this.#looks.length > MAX_LOOKS) this.#looks.shift();
  }

  /** Highest number that the log has had since `beforeMs` or longer; 0 when none is known to be so old. */
  olderThan(beforeMs: number): bigint {
    return this.#looks.findLast(({ atMs }) => atMs <= beforeMs)?.last ?? 0n;
  }
}
