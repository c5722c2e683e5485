import { type AuditTrail, silentTrail } from "../../api/audit-record.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { jittered } from "../../base/random.ts";
import type { HubAuditSink } from "./hub-audit-sink.ts";

/** Age at which events are removed, days (permissions §12.3). */
export const DEFAULT_RETENTION_DAYS = 400;
/** Time between looks for events that are too old, milliseconds, ±10 %. */
const INTERVAL_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Options of {@link startAuditRetention}. */
export interface AuditRetentionOptions {
  readonly sink: Pick<HubAuditSink, "retain">;
  readonly retentionDays: number;
  /** The hub's own audit log, which says that something was removed; absent: nothing is recorded. */
  readonly trail?: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Removes what is too old now and then every hour. `closed` resolves after the signal has aborted. */
export function startAuditRetention(options: AuditRetentionOptions): { readonly closed: Promise<void> } {
  const { sink, retentionDays, trail = silentTrail, clock, random, log, signal } = options;
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        const beforeMs = clock.now() - retentionDays * DAY_MS;
        const removed = await sink.retain(beforeMs, signal);
        if (removed > 0) {
          log.info({ removed, retentionDays }, "audit events removed by age");
          await trail.record({
            action: "audit.removed",
            decision: "system",
            subject: "retention",
            resource: "audit log",
            details: { removed, retentionDays, before: rfc3339(beforeMs) },
          });
        }
        await clock.sleep(jittered(random, INTERVAL_MS), signal);
      } catch (error) {
        if (signal.aborted) return;
        log.error({ error: errorMessage(error) }, "audit events could not be removed");
        try {
          await clock.sleep(jittered(random, INTERVAL_MS), signal);
        } catch {
          return; // stopped while waiting
        }
      }
    }
  };
  return { closed: run() };
}
