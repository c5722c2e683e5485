import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { SeamMembership } from "../../api/kinds/seam-membership.ts";

/** Whether an operator may work (permissions §7.5, resources-seam §9). */
export interface MembershipVerdict {
  readonly admitted: boolean;
  readonly reason: "MembershipAdmitted" | "PrincipalMismatch" | "DomainIdentityMismatch" | "RBACProfileNotProvisioned";
  /** Object, field, expectation and remedy; every profile of the principal that was looked at. */
  readonly message: string;
  /** `{namespace}/{name}` of the RBACProfile that admits it; absent when none does. */
  readonly admittedBy?: string;
}

/**
 * Judges a membership by the profiles of its namespace, pure: one of them has its principal, its domain identity, and is provisioned in
 * its present generation. A later failure takes the admission back.
 */
export function judgeMembership(membership: SeamMembership, profiles: readonly RBACProfile[]): MembershipVerdict {
  const { metadata, spec } = membership;
  const { namespace = "", name } = metadata;
  const object = `SeamMembership ${namespace}/${name}`;
  const own = profiles.filter(
    (profile) => profile.metadata.namespace === namespace && profile.spec.principalRef === spec.principalRef,
  );
  const names = (list: readonly RBACProfile[]): string =>
    list
      .map((profile) => profile.metadata.name)
      .sort()
      .join(", ");
  const refuse = (reason: MembershipVerdict["reason"], field: string, expected: string, remedy: string) => ({
    admitted: false,
    reason,
    message: `${object}: ${field}: ${expected}; ${remedy}`,
  });
  if (own.length === 0)
    return refuse(
      "PrincipalMismatch",
      "spec.principalRef",
      `the principal of an RBACProfile in ${namespace}, found ${spec.principalRef}`,
      "create the profile of the operator, or correct the principal",
    );
  const same = own.filter((profile) => profile.spec.domainIdentityRef === spec.domainIdentityRef);
  if (same.length === 0)
    return refuse(
      "DomainIdentityMismatch",
      "spec.domainIdentityRef",
      `the domainIdentityRef of RBACProfile ${names(own)}, found ${spec.domainIdentityRef}`,
      "write the same identity in both",
    );
  const provisioned = same.find(
    ({ status, metadata: { generation } }) => status?.provisioned === true && status.observedGeneration === generation,
  );
  if (provisioned === undefined)
    return refuse(
      "RBACProfileNotProvisioned",
      "spec.principalRef",
      `a provisioned RBACProfile, found ${names(same)} not provisioned`,
      "see condition Provisioned of that profile",
    );
  const admittedBy = `${namespace}/${provisioned.metadata.name}`;
  return { admitted: true, reason: "MembershipAdmitted", message: `by RBACProfile ${admittedBy}`, admittedBy };
}

/** Snapshot an operator works by (resources-seam §9). */
export function permissionSnapshotRefOf({ spec }: SeamMembership): string {
  return spec.tier === "infrastructure" ? "snapshot-management" : `snapshot-${spec.appIdentityRef}`;
}
