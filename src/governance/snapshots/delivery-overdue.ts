import type { ConditionUpdate } from "../../api/conditions.ts";
import type { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";

/** Freshness windows after which an unacknowledged version makes its tenant out of sync, and degraded (permissions §10.5, R-6.5). */
const OUT_OF_SYNC_WINDOWS = 2;
const DEGRADED_WINDOWS = 6;

/** Condition OutOfSync, and when it will be another by the mere passing of time. */
export interface DeliveryState {
  readonly condition: ConditionUpdate;
  /** Unix milliseconds; undefined when only an acknowledgement changes it. */
  readonly changesAtMs: number | undefined;
}

/**
 * How overdue the acknowledgement of a snapshot's version is, pure. The clock runs from the time the version was made, which stands on the
 * object, so a restart of the hub forgets nothing.
 */
export function deliveryState(snapshot: PermissionSnapshot, nowMs: number): DeliveryState {
  const { version, generatedAt, snapshotTimestamp, freshnessWindowSeconds = 300 } = snapshot.spec;
  const { lastAckedVersion } = snapshot.status ?? {};
  const observedGeneration = snapshot.metadata.generation ?? 0;
  const type = "OutOfSync";
  if (lastAckedVersion === version)
    return {
      condition: { type, status: "False", reason: "Acknowledged", message: `version ${version}`, observedGeneration },
      changesAtMs: undefined,
    };
  const sinceText = snapshotTimestamp ?? generatedAt ?? "";
  const sinceMs = Date.parse(sinceText);
  const windowMs = freshnessWindowSeconds * 1000;
  const overdueAtMs = sinceMs + OUT_OF_SYNC_WINDOWS * windowMs;
  const degradedAtMs = sinceMs + DEGRADED_WINDOWS * windowMs;
  const what = `expected ${version} since ${sinceText}, last acknowledged ${lastAckedVersion ?? "nothing"}`;
  if (nowMs < overdueAtMs)
    return {
      condition: { type, status: "False", reason: "AwaitingAck", message: what, observedGeneration },
      changesAtMs: overdueAtMs,
    };
  const degraded = nowMs >= degradedAtMs;
  return {
    condition: {
      type,
      status: "True",
      reason: degraded ? "DegradedSecurityState" : "AcknowledgementOverdue",
      message: `${what}; see seamctl agents for the tenant, no new pack is delivered to it meanwhile`,
      observedGeneration,
    },
    changesAtMs: degraded ? undefined : degradedAtMs,
  };
}
