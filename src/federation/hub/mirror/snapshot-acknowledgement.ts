import type {
  SnapshotReceiptReport,
  SurfaceDifference,
} from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { PermissionSnapshot, PermissionSnapshotStatus } from "../../../api/kinds/permission-snapshot.ts";
import { comparePositions } from "../../../permissions/snapshot/snapshot-version.ts";

/** What the hub says in a snapshot's status about its tenant. */
export interface SnapshotAcknowledgement {
  readonly fields: Pick<
    PermissionSnapshotStatus,
    "lastAckedVersion" | "lastSeen" | "drift" | "reportedEpoch" | "reportedSequence"
  > &
    SurfaceStatus;
  readonly conditions: readonly ConditionUpdate[];
}

/** What the tenant says of its own RBAC (permissions §10.5); nothing before its first comparison. */
type SurfaceStatus = Pick<
  PermissionSnapshotStatus,
  "driftDetected" | "surfaceHash" | "excess" | "excessTotal" | "missing" | "missingTotal" | "localProvisioningStatus"
>;

/** Differences told in the message of a condition. */
const MAX_TOLD = 3;

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
      ...aheadOf(snapshot, report),
      ...surfaceStatus(report),
    },
    conditions: [condition(snapshot, report, { current, acked }), ...compliance(report)],
  };
}

/**
 * What the tenant holds when that is ahead of what we have, or is another content at our position: a management cluster that came back
 * from an older state and gave the same number out again (permissions §8.4).
 */
function aheadOf({ spec }: PermissionSnapshot, report: SnapshotReceiptReport) {
  const [reportedEpoch, reportedSequence] = [Number(report.epoch), Number(report.sequence)];
  if (!Number.isSafeInteger(reportedEpoch) || !Number.isSafeInteger(reportedSequence)) return {};
  const held = { epoch: reportedEpoch, sequence: reportedSequence };
  const ours = { epoch: spec.epoch ?? 0, sequence: spec.sequence ?? 0 };
  const order = comparePositions(held, ours);
  const equivocal = order === 0 && report.contentHash !== "" && report.contentHash !== spec.contentHash;
  return order > 0 || equivocal ? { reportedEpoch, reportedSequence } : {};
}

function surfaceStatus(report: SnapshotReceiptReport): SurfaceStatus {
  const { surfaceHash, excess, excessTotal, missing, missingTotal, provisioningStatus } = report;
  const provisioning = provisioningStatus === "" ? {} : { localProvisioningStatus: clip(provisioningStatus, 4096) };
  if (surfaceHash === "") return provisioning;
  const listed = (differences: readonly SurfaceDifference[]) => differences.slice(0, MAX_LISTED).map(listedDifference);
  return {
    ...provisioning,
    driftDetected: excessTotal + missingTotal > 0,
    surfaceHash: clip(surfaceHash, 71),
    excess: listed(excess),
    excessTotal: Math.min(excessTotal, MAX_COUNT),
    missing: listed(missing),
    missingTotal: Math.min(missingTotal, MAX_COUNT),
  };
}

function listedDifference({ subject, where, rule, binding }: SurfaceDifference) {
  const right = { subject: clip(subject), where: clip(where), rule: clip(rule) };
  return binding === "" ? right : { ...right, binding: clip(binding) };
}

/** What a tenant sends is bounded here again: nobody else's word decides how large our objects are. */
function clip(text: string, max = 1_024): string {
  return text.slice(0, max);
}

/** As many as the schema takes. */
const MAX_LISTED = 50;
const MAX_COUNT = 2 ** 31 - 1;

function compliance(report: SnapshotReceiptReport): readonly ConditionUpdate[] {
  if (report.surfaceHash === "") return [];
  const { excess, missing, excessTotal, missingTotal } = report;
  const type = "Compliant";
  if (excessTotal + missingTotal === 0)
    return [
      { type, status: "True", reason: "DriftAbsent", message: "the cluster's RBAC grants what the snapshot does" },
    ];
  const told = [
    ...excess
      .slice(0, MAX_TOLD)
      .map(({ subject, where, rule, binding }) => `beyond: ${subject}: ${rule} ${where} by ${binding}`),
    ...missing.slice(0, MAX_TOLD).map(({ subject, where, rule }) => `missing: ${subject}: ${rule} ${where}`),
  ];
  const message = clip(`${excessTotal} rights beyond the snapshot, ${missingTotal} missing; ${told.join("; ")}`, 4_096);
  return [{ type, status: "False", reason: "DriftDetected", message }];
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
