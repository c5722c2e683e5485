import type { AuditRecord } from "../../../api/audit-record.ts";
import { rfc3339 } from "../../../base/clock.ts";
import type { RevocationOutcome, RevocationRecord } from "./revocation-record.ts";

/** What the audit log hears of a revocation that was ordered: by whom, of what, for which cluster. */
export function revocationOrdered(cluster: string, record: RevocationRecord): AuditRecord {
  return {
    ...about(cluster, record),
    action: "revocation.ordered",
    decision: "admit",
    subject: record.orderedBy,
    code: record.target,
  };
}

/** What it hears of the agent's word that the revocation is in force, or cannot be. */
export function revocationAnswered(cluster: string, record: RevocationRecord, outcome: RevocationOutcome): AuditRecord {
  const { applied, detail, effectiveAtMs } = outcome;
  const base = about(cluster, record);
  return {
    ...base,
    action: applied ? "revocation.effective" : "revocation.failed",
    decision: "system",
    subject: `cluster:${cluster}`,
    code: record.target,
    details: {
      ...base.details,
      ...(detail !== "" && { detail }),
      ...(effectiveAtMs !== undefined && { effectiveAt: rfc3339(effectiveAtMs) }),
    },
  };
}

function about(cluster: string, record: RevocationRecord) {
  const { revocationId, name, namespace, serial, floor, reason, orderedName } = record;
  return {
    resource: name,
    ...(namespace !== "" && { namespace }),
    details: { revocationId, cluster, serial, floor, orderedName, reason },
  };
}
