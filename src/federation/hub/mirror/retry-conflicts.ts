import { type BackoffPolicy, backoffCeiling, fullJitter } from "../../../base/backoff.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Random } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";

/** Other writers that may get in between one read and its write before the attempt is given up. */
const MAX_CONFLICTS = 10;
const WAIT: BackoffPolicy = { baseMs: 4, factor: 2, capMs: 500 };

/**
 * Runs a read-modify-write again while another writer gets in between (409 Conflict, AlreadyExists, or 404 for an object that was
 * deleted under it), with a jittered pause that grows, so that contenders part.
 *
 * @throws what `attempt` threw last
 */
export async function retryConflicts<T>(
  parts: { readonly clock: Clock; readonly random: Random },
  attempt: () => Promise<T>,
): Promise<T> {
  for (let conflicts = 0; ; conflicts++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isStatus(error, "Conflict", "AlreadyExists", "NotFound") || conflicts >= MAX_CONFLICTS) throw error;
      const half = backoffCeiling(WAIT, conflicts) / 2;
      await parts.clock.sleep(half + fullJitter(WAIT, conflicts, parts.random) / 2);
    }
  }
}
