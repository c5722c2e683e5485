import { type AuditRecord, auditObject } from "../../../../api/audit-record.ts";
import { findCondition } from "../../../../api/conditions.ts";
import { PackReceipt } from "../../../../api/kinds/pack-receipt.ts";

/** Conditions whose transitions the audit log hears of, drift apart. */
const FOLLOWED = ["Verified", "Delivered", "Revoked", "TerminalDrift"] as const;

/** What the audit log hears of a change of a receipt's status, pure: a condition that reached another status or reason. */
export function receiptRecords(before: PackReceipt, after: PackReceipt): readonly AuditRecord[] {
  const records: AuditRecord[] = [];
  const about = {
    ...auditObject(PackReceipt, after.metadata),
    subject: `cluster:${after.spec.targetClusterRef}`,
    decision: "system",
  } as const;
  const details = { version: after.spec.version ?? "", serial: after.spec.serial ?? 0 };
  for (const condition of FOLLOWED) {
    const was = findCondition(before.status?.conditions, condition);
    const is = findCondition(after.status?.conditions, condition);
    if (is === undefined || (was?.status === is.status && was.reason === is.reason)) continue;
    records.push({
      ...about,
      action: "packreceipt.changed",
      code: is.reason,
      details: { ...details, condition, from: was?.status ?? "", to: is.status, message: is.message },
    });
  }
  const drifted = findCondition(before.status?.conditions, "Drifted")?.status === "True";
  const drift = findCondition(after.status?.conditions, "Drifted");
  if (drift !== undefined && (drift.status === "True") !== drifted)
    records.push({
      ...about,
      action: drifted ? "drift.resolved" : "drift.detected",
      code: drift.reason,
      details: { ...details, message: drift.message },
    });
  return records;
}
