import { type AuditRecord, auditObject } from "../../api/audit-record.ts";
import { findCondition } from "../../api/conditions.ts";
import { SeamMembership } from "../../api/kinds/seam-membership.ts";
import { isNews } from "../snapshots/permission-trail.ts";
import type { MembershipVerdict } from "./judge-membership.ts";

/**
 * What the audit log hears of a verdict on an operator, pure: the transition between what stands in the status and what is about to be
 * written there, so that neither a restart nor a new leader tells it again.
 */
export function membershipRecords(membership: SeamMembership, verdict: MembershipVerdict): readonly AuditRecord[] {
  const { metadata, spec, status } = membership;
  const { admitted, reason, message, admittedBy } = verdict;
  const before = findCondition(status?.conditions, "Admitted");
  const generation = metadata.generation ?? 0;
  if (!isNews(before, { ok: admitted, reason }, generation)) return [];
  const refused = before?.status === "True" ? "seammembership.withdrawn" : "seammembership.refused";
  return [
    {
      ...auditObject(SeamMembership, metadata),
      action: admitted ? "seammembership.admitted" : refused,
      decision: admitted ? "admit" : "deny",
      subject: spec.principalRef,
      code: reason,
      ...(admittedBy !== undefined && { matchedPolicy: admittedBy }),
      details: { generation, domainIdentityRef: spec.domainIdentityRef, tier: spec.tier, message },
    },
  ];
}

/** An admitted operator whose declaration is gone is a member no more; of one that never was there is nothing to say. */
export function deletedMembershipRecords({ metadata, spec, status }: SeamMembership): readonly AuditRecord[] {
  if (status?.admitted !== true) return [];
  return [
    {
      ...auditObject(SeamMembership, metadata),
      action: "seammembership.withdrawn",
      decision: "system",
      subject: spec.principalRef,
      code: "Deleted",
    },
  ];
}
