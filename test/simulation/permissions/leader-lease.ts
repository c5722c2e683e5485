/** How long a lease holds without renewal, milliseconds. */
const HOLD_MS = 6_000;
/** A holder stops to write this long before others may take the lease, milliseconds. */
const MARGIN_MS = 1_500;

/** The leader's Lease of the management side. */
export class LeaderLease {
  /** Pause between two renewals, milliseconds. */
  readonly renewMs = 2_000;
  #holder = "";
  #renewedMs = -Infinity;

  /** Takes or renews the lease; false while somebody else has it. */
  acquire(name: string, nowMs: number): boolean {
    if (this.#holder !== name && nowMs < this.#renewedMs + HOLD_MS) return false;
    this.#holder = name;
    this.#renewedMs = nowMs;
    return true;
  }

  /** The fence of leader-only writes. */
  holds(name: string, nowMs: number): boolean {
    return this.#holder === name && nowMs < this.#renewedMs + HOLD_MS - MARGIN_MS;
  }
}
