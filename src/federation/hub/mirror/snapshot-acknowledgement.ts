import type { SnapshotReceiptReport } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { PermissionSnapshot, PermissionSnapshotStatus } from "../../../api/kinds/permission-snapshot.ts";

/** What the hub says in a snapshot's status about its tenant. */
export interface SnapshotAcknowledgement {
  readonly fields: Pick<PermissionSnapshotStatus, "lastAckedVersion" | "lastSeen" | "drift">;
  readonly condition: ConditionUpdate;
}

/** `lastSeen` alone is not worth a write more often than this, milliseconds. */
export const LAST_SEEN_INTERVAL_MS = 60_000;

/**
 * Status of a snapshot after its tenant's report. A version counts as acknowledged only when version and content hash are those of
 * the current snapshot; a rejection never moves it. Pure.
 *
 * @param nowText RFC 3339
 */
export function acknowledgeSnapshot(
  snapshot: PermissionSnapshot,
  report: SnapshotReceiptReport,
  nowText: string,
): SnapshotAcknowledgement {
  const { version, contentHash } = snapshot.spec;
  const current = report.snapshotVersion === version;
  const acked = current && report.contentHash === contentHash && report.syncStatus === "InSync";
  const lastAckedVersion = acked ? version : snapshot.status?.lastAckedVersion;
  return {
    fields: {
      ...(lastAckedVersion === undefined ? {} : { lastAckedVersion }),
      lastSeen: quietly(snapshot.status?.lastSeen, nowText),
      drift: lastAckedVersion !== version,
    },
    condition: condition(snapshot, report, { current, acked }),
  };
}

function condition(
  snapshot: PermissionSnapshot,
  report: SnapshotReceiptReport,
  verdict: { readonly current: boolean; readonly acked: boolean },
): ConditionUpdate {
  const type = "Acknowledged";
  if (verdict.acked) return { type, status: "True", reason: "Acked", message: `version ${report.snapshotVersion}` };
  if (report.syncStatus === "DegradedSecurityState") {
    const rejected = report.lastRejected;
    const code = report.degradedReason === "" ? (rejected?.reasonCode ?? "") : report.degradedReason;
    return {
      type,
      status: "False",
      reason: "Rejected",
      message: `${code} (offered ${rejected?.version ?? "unknown"})`,
    };
  }
  if (verdict.current && report.contentHash !== snapshot.spec.contentHash)
    return {
      type,
      status: "False",
      reason: "Rejected",
      message: `CONTENT_HASH_MISMATCH: the tenant holds ${report.contentHash} as version ${report.snapshotVersion}`,
    };
  if (report.syncStatus === "OutOfSync")
    return {
      type,
      status: "False",
      reason: "OutOfSync",
      message: `the tenant holds ${report.snapshotVersion || "none"}`,
    };
  return {
    type,
    status: "False",
    reason: "AwaitingAck",
    message: `the tenant holds ${report.snapshotVersion || "none"}`,
  };
}

function quietly(before: string | undefined, nowText: string): string {
  if (before === undefined) return nowText;
  const elapsed = Date.parse(nowText) - Date.parse(before);
  return elapsed >= 0 && elapsed < LAST_SEEN_INTERVAL_MS ? before : nowText;
}
