import { findCondition } from "../../api/conditions.ts";
import type { Condition } from "../../api/kinds/condition.ts";
import type { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import type { CacheEvent } from "../../controller/cache/indexed-store.ts";
import type { EventRecorder } from "../../controller/events.ts";

/** Transitions of a snapshot that people are told of by an Event (permissions §10.5). */
const TOLD: readonly {
  readonly condition: string;
  readonly status: Condition["status"];
  readonly type: "Normal" | "Warning";
  readonly reason: string;
}[] = [
  { condition: "Acknowledged", status: "True", type: "Normal", reason: "SnapshotDelivered" },
  { condition: "Compliant", status: "False", type: "Warning", reason: "SnapshotDriftDetected" },
  { condition: "OutOfSync", status: "True", type: "Warning", reason: "SnapshotOutOfSync" },
];

/** Records the transitions in a change of a snapshot: a condition that reaches a status, once per transition. */
export function recordTransition(events: Pick<EventRecorder, "record">, event: CacheEvent<PermissionSnapshot>): void {
  if (event.type !== "MODIFIED") return;
  for (const { condition, status, type, reason } of TOLD) {
    const now = findCondition(event.object.status?.conditions, condition);
    const then = findCondition(event.old.status?.conditions, condition);
    if (now?.status === status && then?.status !== status) events.record(event.object, type, reason, now.message);
  }
}
