import type { AuditAction } from "../../api/audit-record.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import type { StoredAuditEvent } from "../../federation/audit/audit-log-reader.ts";

/** One version of a cluster's permission snapshot, from its computation to its tenant's word (permissions §12.3). Times are RFC 3339. */
export interface SnapshotLedgerRow {
  readonly cluster: string;
  /** `e{epoch}.s{sequence}.{hash12}`. */
  readonly version: string;
  epoch: number;
  sequence: number;
  contentHash: string;
  generatedAt: string;
  /** Id of the key. */
  signedBy: string;
  signedAt: string;
  /** When an index that names it was signed. */
  offeredAt: string;
  appliedAt: string;
  /** Why the tenant refused it last; empty when it did not. */
  rejectedCode: string;
  /** When the hub had the tenant's acknowledgement. */
  acknowledgedAt: string;
}

/** Actions that the ledger is made of. */
export const LEDGER_ACTIONS: ReadonlySet<string> = new Set<AuditAction>([
  "permissionsnapshot.computed",
  "snapshot.signed",
  "snapshot.offered",
  "snapshot.applied",
  "snapshot.rejected",
  "permissionsnapshot.delivered",
]);

/** Subject of every event about a cluster's snapshot. */
export function snapshotSubject(cluster: string): string {
  return `cluster:${cluster}`;
}

/**
 * The ledger of a cluster's snapshots, from the audit log: no second record that could say something else. What the hub did counts from the
 * hub's own log alone, what the tenant did from the tenant's.
 *
 * @param events of the cluster's {@link snapshotSubject}, oldest first
 * @param management name of the hub's own log
 */
export function snapshotLedger(
  events: Iterable<StoredAuditEvent>,
  cluster: string,
  management: string,
): readonly SnapshotLedgerRow[] {
  const rows = new Map<string, SnapshotLedgerRow>();
  const rowOf = (version: string): SnapshotLedgerRow => {
    const held = rows.get(version);
    if (held !== undefined) return held;
    const made = emptyRow(cluster, version);
    rows.set(version, made);
    return made;
  };
  for (const stored of events) {
    const event = fieldsOf(stored);
    const version = textOf(event, "snapshotVersion");
    const at = stored.time === "" ? stored.receivedAt : stored.time;
    const details = event["details"];
    const more = isJsonObject(details) ? details : {};
    if (stored.cluster === management) {
      if (stored.action === "snapshot.offered") {
        const hash = textOf(more, "contentHash");
        const row = [...rows.values()].findLast(({ contentHash }) => contentHash !== "" && contentHash === hash);
        if (row?.offeredAt === "") row.offeredAt = at;
      } else if (version !== "") fromHub(rowOf(version), stored.action, more, at);
    } else if (stored.cluster === cluster && version !== "") {
      const row = rows.get(version);
      // A tenant can make up versions, but no rows: what no hub signed is no entry of the ledger.
      if (row !== undefined) fromTenant(row, stored.action, textOf(event, "code"), at);
    }
  }
  return [...rows.values()].filter(({ generatedAt, signedAt }) => generatedAt !== "" || signedAt !== "");
}

function fromHub(row: SnapshotLedgerRow, action: string, details: JsonObject, at: string): void {
  switch (action) {
    case "permissionsnapshot.computed":
    case "snapshot.signed": {
      const { epoch, sequence } = details;
      if (typeof epoch === "number") row.epoch = epoch;
      if (typeof sequence === "number") row.sequence = sequence;
      row.contentHash = textOf(details, "contentHash") || row.contentHash;
      if (action === "snapshot.signed") {
        row.signedAt ||= at;
        row.signedBy = textOf(details, "keyId");
      } else row.generatedAt ||= at;
      return;
    }
    case "permissionsnapshot.delivered":
      row.acknowledgedAt ||= at;
  }
}

function fromTenant(row: SnapshotLedgerRow, action: string, code: string, at: string): void {
  if (action === "snapshot.applied") {
    row.appliedAt ||= at;
    row.rejectedCode = "";
  } else if (action === "snapshot.rejected") row.rejectedCode = code;
}

function emptyRow(cluster: string, version: string): SnapshotLedgerRow {
  return {
    cluster,
    version,
    epoch: 0,
    sequence: 0,
    contentHash: "",
    generatedAt: "",
    signedBy: "",
    signedAt: "",
    offeredAt: "",
    appliedAt: "",
    rejectedCode: "",
    acknowledgedAt: "",
  };
}

function fieldsOf({ event }: StoredAuditEvent): JsonObject {
  const fields: unknown = JSON.parse(Buffer.from(event).toString());
  return isJsonObject(fields) ? fields : {};
}

function textOf(fields: JsonObject, name: string): string {
  const value = fields[name];
  return typeof value === "string" ? value : "";
}
