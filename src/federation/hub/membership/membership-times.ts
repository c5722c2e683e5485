/**
 * Times of a membership. A replica stops serving `serveMs` after it began its last successful renewal; the others take it for gone
 * `durationMs` after they saw a renewal. Both are measured by monotonic clocks, so the difference is what clocks may differ in speed
 * and a renewal may be late on its way; nobody's wall clock matters.
 */
export interface MembershipTimes {
  /** Pause between two renewals, milliseconds; jittered. */
  readonly renewMs: number;
  /** One request may take so long, milliseconds; then the next attempt begins. */
  readonly requestMs: number;
  /** A replica serves so long after the start of its last renewal, milliseconds. */
  readonly serveMs: number;
  /** Others take a replica for gone after so long without a renewal, milliseconds: whole seconds, since the Lease says it in seconds. */
  readonly durationMs: number;
  /** The Lease of a replica that is gone is deleted after so long, milliseconds. */
  readonly forgetMs: number;
}

/** An agent is served again within 10 s whatever happens to its replica; half a write per second and replica. */
export const MEMBERSHIP_TIMES: MembershipTimes = {
  renewMs: 2_000,
  requestMs: 1_500,
  serveMs: 5_000,
  durationMs: 8_000,
  forgetMs: 60_000,
};
