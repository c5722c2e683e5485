import type { AuditRecord } from "../../api/audit-record.ts";
import { describe, expect, it } from "vitest";
import type { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { deliveryState } from "./delivery-overdue.ts";
import { recordTransition } from "./snapshot-events.ts";

const MADE = "2026-01-10T08:00:00Z";
const MADE_MS = Date.parse(MADE);
const MINUTE_MS = 60_000;

function snapshot(status: PermissionSnapshot["status"] = {}): PermissionSnapshot {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "PermissionSnapshot",
    metadata: { name: "snapshot-c1", namespace: "seam-system", generation: 3 },
    spec: { targetCluster: "c1", version: "e1.s2.b", snapshotTimestamp: MADE, freshnessWindowSeconds: 300 },
    status,
  };
}

describe("delivery of a snapshot", () => {
  it.each<readonly [number, string, string, number | undefined]>([
    [0, "False", "AwaitingAck", 10],
    [9, "False", "AwaitingAck", 10],
    [10, "True", "AcknowledgementOverdue", 30],
    [30, "True", "DegradedSecurityState", undefined],
  ])("unacknowledged for %i minutes", (minutes, status, reason, changes) => {
    const { condition, changesAtMs } = deliveryState(
      snapshot({ lastAckedVersion: "e1.s1.a" }),
      MADE_MS + minutes * MINUTE_MS,
    );
    expect(condition).toMatchObject({ type: "OutOfSync", status, reason, observedGeneration: 3 });
    expect(condition.message).toContain(`expected e1.s2.b since ${MADE}, last acknowledged e1.s1.a`);
    expect(changesAtMs).toBe(changes === undefined ? undefined : MADE_MS + changes * MINUTE_MS);
  });

  it("is in order as soon as the version is acknowledged, however late", () => {
    const late = MADE_MS + 1_000 * MINUTE_MS;
    expect(deliveryState(snapshot({ lastAckedVersion: "e1.s2.b" }), late)).toMatchObject({
      condition: { status: "False", reason: "Acknowledged" },
      changesAtMs: undefined,
    });
  });

  it("tells transitions once, by events and in the audit log", () => {
    const told: string[] = [];
    const events = { record: (_: unknown, type: string, reason: string) => void told.push(`${type} ${reason}`) };
    const logged: string[] = [];
    const trail = { record: async ({ action }: AuditRecord) => void logged.push(action) };
    const at = (type: string, status: "True" | "False") =>
      snapshot({ conditions: [{ type, status, reason: "R", message: "m", lastTransitionTime: MADE }] });
    const change = (type: string, from: "True" | "False", to: "True" | "False") =>
      recordTransition(events, trail, { type: "MODIFIED", old: at(type, from), object: at(type, to) });
    change("Acknowledged", "False", "True");
    change("Acknowledged", "True", "True");
    change("Acknowledged", "True", "False");
    change("Compliant", "True", "False");
    change("Compliant", "False", "True");
    change("OutOfSync", "False", "True");
    expect(told).toEqual(["Normal SnapshotDelivered", "Warning SnapshotDriftDetected", "Warning SnapshotOutOfSync"]);
    expect(logged).toEqual(["permissionsnapshot.drift_detected"]);
    const acknowledge = (from: string, to: string): void => {
      const [old, object] = [from, to].map((lastAckedVersion) => snapshot({ lastAckedVersion }));
      if (old !== undefined && object !== undefined) recordTransition(events, trail, { type: "MODIFIED", old, object });
    };
    acknowledge("", "e1.s2.b");
    acknowledge("e1.s2.b", "e1.s2.b");
    acknowledge("e1.s2.b", "e1.s3.c");
    expect(logged.slice(1)).toEqual(["permissionsnapshot.delivered", "permissionsnapshot.delivered"]);
  });
});
