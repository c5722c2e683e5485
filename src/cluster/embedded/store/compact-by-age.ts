import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { ObjectStore } from "./object-store.ts";

/** Watch history is kept for one to two of these (kube-apiserver `--etcd-compaction-interval`). */
export const COMPACTION_INTERVAL_MS = 5 * 60_000;

/** Drops history that is older than {@link COMPACTION_INTERVAL_MS} until `signal` aborts. */
export async function compactByAge(store: ObjectStore, clock: Clock, log: Log, signal: AbortSignal): Promise<void> {
  for (let version = 0; ;) {
    try {
      await clock.sleep(COMPACTION_INTERVAL_MS, signal);
    } catch {
      return; // closing: that is how the loop ends
    }
    try {
      await store.compact(version);
    } catch (error) {
      log.warn({ error: errorMessage(error) }, "old watch history was not dropped");
    }
    version = store.version; // by the next round everything up to here is one interval old
  }
}
