import { NAMESPACES, clusterOfNamespace } from "../../api/names.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";

/** The clusters there are, and which of them is the management cluster. */
export interface ClusterRegistry {
  /** Registered clusters. */
  readonly registered: ReadonlySet<string>;
  readonly managementCluster: string;
}

/** Any registered cluster, in `allowedClusters`. */
export const ANY_CLUSTER = "*";
/** Name on input for the management cluster (permissions §8.5). */
const MANAGEMENT_ALIAS = "management";

/** Real name of a cluster as written in a profile or policy. */
export function clusterName(written: string, registry: ClusterRegistry): string {
  return written === MANAGEMENT_ALIAS ? registry.managementCluster : written;
}

/** Clusters a policy allows: empty is the management cluster only, `*` any registered one (permissions §2.2). */
export function allowedClusters(policy: RBACPolicy, registry: ClusterRegistry): ReadonlySet<string> {
  const allowed = policy.spec.allowedClusters ?? [];
  if (allowed.length === 0) return new Set([registry.managementCluster]);
  if (allowed.includes(ANY_CLUSTER)) return registry.registered;
  return new Set(allowed.map((name) => clusterName(name, registry)));
}

/** True for the namespaces in which grants may stand: the fleet's, and each tenant's own (permissions §3). Nothing elsewhere counts. */
export function isGrantNamespace(namespace: string | undefined): boolean {
  return namespace === NAMESPACES.seam || clusterOfNamespace(namespace) !== undefined;
}

/** True when a profile of this namespace may speak about a cluster: a tenant's profiles only about their own (permissions §4.3). */
export function namespaceAllows(namespace: string | undefined, cluster: string): boolean {
  return namespace === NAMESPACES.seam || clusterOfNamespace(namespace) === cluster;
}

/** Clusters whose snapshot records a profile: those it aims at and may speak about, registered or not. */
export function standingClusters({ metadata, spec }: RBACProfile, registry: ClusterRegistry): readonly string[] {
  const { targetClusters } = spec;
  const [first] = targetClusters;
  if (targetClusters.length === 1 && first !== undefined) {
    const name = clusterName(first, registry);
    if (!namespaceAllows(metadata.namespace, name)) return NOWHERE;
    return name === first ? targetClusters : [name];
  }
  const names = new Set(targetClusters.map((written) => clusterName(written, registry)));
  return [...names].filter((name) => namespaceAllows(metadata.namespace, name));
}

const NOWHERE: readonly string[] = [];

/** Clusters on which a declaration of a profile may grant (permissions §4.3), in both enforcement modes. */
export function applicableClusters(
  profile: RBACProfile,
  policy: RBACPolicy,
  registry: ClusterRegistry,
): readonly string[] {
  const allowed = allowedClusters(policy, registry);
  const standing = standingClusters(profile, registry).filter((cluster) => allowed.has(cluster));
  const { permissionDeclarations } = profile.spec;
  if (permissionDeclarations.some(({ clusters = [] }) => clusters.length === 0)) return standing;
  const named = permissionDeclarations.flatMap(({ clusters = [] }) => clusters);
  const restricted = new Set(named.map((name) => clusterName(name, registry)));
  return standing.filter((cluster) => restricted.has(cluster));
}
