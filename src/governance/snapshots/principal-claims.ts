import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TENANT_CONDUCTOR, clusterOfNamespace } from "../../api/names.ts";
import { parseServiceAccountUser } from "../../permissions/rules/principal.ts";

/** The oldest profile of a tenant with a principal. */
interface Claim {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly createdAt: string;
}

/** Claims by principal. */
export type PrincipalClaims = ReadonlyMap<string, Claim>;

/**
 * True when a principal means one and the same somebody everywhere: service accounts are another on every cluster, and each tenant's
 * own conductor is created by the policy reconciler.
 */
function isFleetWide({ metadata, spec }: RBACProfile): boolean {
  const { principalRef } = spec;
  if (principalRef === TENANT_CONDUCTOR.principal && metadata.name === TENANT_CONDUCTOR.profile) return false;
  return principalRef !== "" && parseServiceAccountUser(principalRef) === undefined;
}

/** Who came first with each fleet-wide principal among the tenants: no tenant takes over another one's people (permissions §7.3). */
export function principalClaims(profiles: readonly RBACProfile[]): PrincipalClaims {
  const claims = new Map<string, Claim>();
  for (const profile of profiles) {
    const { namespace = "", name, creationTimestamp = "" } = profile.metadata;
    if (!isFleetWide(profile) || clusterOfNamespace(namespace) === undefined) continue;
    const claim = { key: `${namespace}/${name}`, namespace, createdAt: creationTimestamp };
    const held = claims.get(profile.spec.principalRef);
    if (held === undefined || isOlder(claim, held)) claims.set(profile.spec.principalRef, claim);
  }
  return claims;
}

function isOlder(a: Claim, b: Claim): boolean {
  return a.createdAt === b.createdAt ? a.key < b.key : a.createdAt < b.createdAt;
}

/** The claim of another tenant that keeps `profile` from its principal, as `namespace/name`. */
export function claimedBy(profile: RBACProfile, claims: PrincipalClaims): string | undefined {
  const { namespace } = profile.metadata;
  const claim = claims.get(profile.spec.principalRef);
  if (claim === undefined || claim.namespace === namespace) return undefined;
  if (clusterOfNamespace(namespace) === undefined || !isFleetWide(profile)) return undefined;
  return claim.key;
}
