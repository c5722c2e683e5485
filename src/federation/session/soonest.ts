/**
 * The earliest of `deadlines` that lies after `nowMs`; Infinity when none does. What was due by `nowMs` was done in this step, or waits
 * for an event (room, drain, an answer): a deadline in the past would only make the shell spin. Whole milliseconds, rounded up: a clock that counts in fractions must not wake the shell just before the time.
 */
export function soonestAfter(nowMs: number, deadlines: readonly number[]): number {
  let soonest = Infinity;
  for (const deadline of deadlines) if (deadline > nowMs && deadline < soonest) soonest = deadline;
  return Math.ceil(soonest);
}
