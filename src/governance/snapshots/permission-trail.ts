import { type AuditRecord, auditObject } from "../../api/audit-record.ts";
import { findCondition } from "../../api/conditions.ts";
import type { Condition } from "../../api/kinds/condition.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { FIELD_MANAGERS } from "../../api/names.ts";
import { rulesHash } from "../../permissions/algebra/canonical.ts";
import { FLEET_CEILING, isClusterMaximum } from "../../permissions/ceilings/ceiling-chain.ts";
import type { ProfileVerdict } from "../../permissions/validation/validate-rbac-profile.ts";
import type { Verdict } from "../../permissions/validation/verdict.ts";

/** Who validates and provisions. */
const ENGINE = FIELD_MANAGERS.permissionEngine;

/**
 * What the audit log hears of a verdict, pure: the transitions between what stands in an object's status, written by whoever led before,
 * and what is about to be written there. So a restart or a new leader tells nothing twice, and a status that was not written yet is
 * told again.
 */
export function policyRecords(policy: RBACPolicy, verdict: Verdict): readonly AuditRecord[] {
  const before = findCondition(policy.status?.conditions, "RBACPolicyValid");
  if (!isNews(before, verdict, policy.metadata.generation)) return [];
  return [
    {
      ...auditObject(RBACPolicy, policy.metadata),
      action: verdict.ok ? "rbacpolicy.validated" : "rbacpolicy.validation_failed",
      decision: verdict.ok ? "admit" : "deny",
      subject: ENGINE,
      code: verdict.reason,
      details: detailsOf(policy.metadata.generation, verdict),
    },
  ];
}

/** Provisioning of a profile, and what its ceilings took from it (permissions §4.4). See {@link policyRecords}. */
export function profileRecords(profile: RBACProfile, verdict: ProfileVerdict): readonly AuditRecord[] {
  const { metadata, spec, status } = profile;
  const records: AuditRecord[] = [];
  const about = { ...auditObject(RBACProfile, metadata), subject: spec.principalRef, ...policyOf(profile) };
  const before = findCondition(status?.conditions, "Provisioned");
  if (isNews(before, verdict, metadata.generation)) {
    const refused = before?.status === "True" ? "rbacprofile.deprovisioned" : "rbacprofile.validation_failed";
    records.push({
      ...about,
      action: verdict.ok ? "rbacprofile.provisioned" : refused,
      decision: verdict.ok ? "admit" : "deny",
      code: verdict.reason,
      details: detailsOf(metadata.generation, verdict),
    });
  }
  const { compliance } = verdict;
  const compliant = findCondition(status?.conditions, "PolicyCompliant");
  const trimmed = compliance?.ok === true && compliance.reason === "TrimmedInAudit";
  if (trimmed && (compliant?.reason !== compliance.reason || compliant.message !== compliance.message))
    records.push({
      ...about,
      action: "ceiling.trimmed",
      decision: "audit",
      code: compliance.reason,
      details: { message: compliance.message },
    });
  return records;
}

/** A profile that is gone grants nothing any more. */
export function deletedProfileRecord(profile: RBACProfile): AuditRecord {
  return {
    ...auditObject(RBACProfile, profile.metadata),
    ...policyOf(profile),
    action: "rbacprofile.deprovisioned",
    decision: "system",
    subject: profile.spec.principalRef,
    code: "Deleted",
  };
}

/** A ceiling whose rules are others than those last judged. See {@link policyRecords}. */
export function ceilingRecords(set: PermissionSet, verdict: Verdict): readonly AuditRecord[] {
  const { metadata, spec, status } = set;
  const fleet = metadata.name === FLEET_CEILING.name && metadata.namespace === FLEET_CEILING.namespace;
  if (!fleet && !isClusterMaximum(metadata)) return [];
  const now = rulesHash(spec.permissions);
  if (status?.rulesHash === now) return [];
  return [
    {
      ...auditObject(PermissionSet, metadata),
      action: "ceiling.changed",
      decision: verdict.ok ? "system" : "deny",
      subject: ENGINE,
      code: verdict.reason,
      details: { rulesHash: now, before: status?.rulesHash ?? "", rules: spec.permissions.length },
    },
  ];
}

/** A verdict of another outcome, for another reason, or on another generation than the one that stands. */
export function isNews(
  before: Condition | undefined,
  verdict: Pick<Verdict, "ok" | "reason">,
  generation: number | undefined,
): boolean {
  return (
    before === undefined ||
    (before.status === "True") !== verdict.ok ||
    before.reason !== verdict.reason ||
    before.observedGeneration !== generation
  );
}

function detailsOf(generation: number | undefined, { message, failed, warnings }: Verdict) {
  return {
    generation: generation ?? 0,
    ...(failed.length > 0 && { failedChecks: failed.map(({ check }) => check) }),
    ...(message !== "" && { message }),
    ...(warnings.length > 0 && { warnings: [...warnings] }),
  };
}

function policyOf({ metadata, spec }: RBACProfile): { readonly matchedPolicy?: string } {
  return spec.rbacPolicyRef === undefined ? {} : { matchedPolicy: `${metadata.namespace ?? ""}/${spec.rbacPolicyRef}` };
}
