import { type AuditAction, type AuditTrail, auditObject } from "../../api/audit-record.ts";
import { findCondition } from "../../api/conditions.ts";
import type { Condition } from "../../api/kinds/condition.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import type { CacheEvent } from "../../controller/cache/indexed-store.ts";
import type { EventRecorder } from "../../controller/events.ts";

/** Transitions of a snapshot that people are told of by an Event, and by the audit log (permissions §10.5). */
const TOLD: readonly {
  readonly condition: string;
  readonly status: Condition["status"];
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly action?: AuditAction;
}[] = [
  { condition: "Acknowledged", status: "True", type: "Normal", reason: "SnapshotDelivered" },
  {
    condition: "Compliant",
    status: "False",
    type: "Warning",
    reason: "SnapshotDriftDetected",
    action: "permissionsnapshot.drift_detected",
  },
  { condition: "OutOfSync", status: "True", type: "Warning", reason: "SnapshotOutOfSync" },
];

/** Records the transitions in a change of a snapshot: a condition that reaches a status, once per transition. */
export function recordTransition(
  events: Pick<EventRecorder, "record">,
  trail: AuditTrail,
  event: CacheEvent<PermissionSnapshot>,
): void {
  if (event.type !== "MODIFIED") return;
  const { metadata, spec } = event.object;
  const acknowledged = event.object.status?.lastAckedVersion ?? "";
  // Each version, also when one is acknowledged so soon after another that the condition stays as it is.
  if (acknowledged !== "" && acknowledged !== event.old.status?.lastAckedVersion)
    void trail.record({
      ...auditObject(PermissionSnapshot, metadata),
      action: "permissionsnapshot.delivered",
      decision: "system",
      subject: `cluster:${spec.targetCluster}`,
      snapshotVersion: acknowledged,
      code: "SnapshotDelivered",
    });
  for (const { condition, status, type, reason, action } of TOLD) {
    const now = findCondition(event.object.status?.conditions, condition);
    const then = findCondition(event.old.status?.conditions, condition);
    if (now?.status !== status || then?.status === status) continue;
    events.record(event.object, type, reason, now.message);
    if (action !== undefined)
      void trail.record({
        ...auditObject(PermissionSnapshot, metadata),
        action,
        decision: "system",
        subject: `cluster:${spec.targetCluster}`,
        snapshotVersion: spec.version,
        code: reason,
        details: { message: now.message },
      });
  }
}
