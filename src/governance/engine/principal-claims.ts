import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TENANT_CONDUCTOR, clusterOfNamespace } from "../../api/names.ts";
import { parseServiceAccountUser } from "../../permissions/rules/principal.ts";
import type { ClaimNode, ProfileNode } from "./graph-node.ts";

/**
 * True when a profile claims its principal for its tenant: a principal that means one and the same somebody everywhere. Service accounts
 * are another on every cluster, and each tenant's own conductor is created by the policy reconciler.
 */
export function claimsPrincipal({ metadata, spec }: RBACProfile): boolean {
  const { principalRef } = spec;
  if (principalRef === "" || clusterOfNamespace(metadata.namespace) === undefined) return false;
  if (principalRef === TENANT_CONDUCTOR.principal && metadata.name === TENANT_CONDUCTOR.profile) return false;
  return parseServiceAccountUser(principalRef) === undefined;
}

/** Who came first with a principal among the tenants: no tenant takes over another one's people (permissions §7.3). */
export function firstClaim({ profiles }: ClaimNode): ProfileNode | undefined {
  let first: ProfileNode | undefined;
  for (const profile of profiles) if (first === undefined || cameBefore(profile, first)) first = profile;
  return first;
}

function cameBefore(a: ProfileNode, b: ProfileNode): boolean {
  const [createdA, createdB] = [createdAt(a), createdAt(b)];
  return createdA === createdB ? claimKey(a) < claimKey(b) : createdA < createdB;
}

function createdAt({ object }: ProfileNode): string {
  return object?.metadata.creationTimestamp ?? "";
}

/** `namespace/name`. */
function claimKey({ home, name }: ProfileNode): string {
  return `${home.name}/${name}`;
}

/** The profile of another tenant that keeps this one from its principal, as `namespace/name`. */
export function claimedBy({ home, claim }: ProfileNode): string | undefined {
  const first = claim?.first;
  return first === undefined || first.home.name === home.name ? undefined : claimKey(first);
}
