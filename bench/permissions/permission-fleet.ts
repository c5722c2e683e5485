import type { PermissionRule, PermissionSet } from "../../src/api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../src/api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../src/api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../src/api/kinds/talos-cluster.ts";
import type { PermissionObject } from "../../src/governance/engine/permission-object.ts";

const API_VERSION = "guardian.ontai.dev/v1alpha1";

/** Sets of each tenant; its profiles declare one each, in turn. */
export const SETS_PER_CLUSTER = 10;

export function set(namespace: string, name: string, permissions: readonly PermissionRule[]): PermissionSet {
  return { apiVersion: API_VERSION, kind: "PermissionSet", metadata: { namespace, name }, spec: { permissions } };
}

/** One rule over some resources. */
export function rule(...resources: readonly string[]): PermissionRule {
  return { apiGroups: ["", "apps"], resources, verbs: ["get", "list", "watch", "update"] };
}

export function policy(
  namespace: string,
  name: string,
  maximumPermissionSetRef: string,
  allowedClusters: readonly string[],
  enforcementMode: "audit" | "strict" = "audit",
): RBACPolicy {
  return {
    apiVersion: API_VERSION,
    kind: "RBACPolicy",
    metadata: { namespace, name },
    spec: { subjectScope: "tenant", allowedClusters, maximumPermissionSetRef, enforcementMode },
  };
}

export function profile(
  namespace: string,
  name: string,
  policyName: string,
  targetClusters: readonly string[],
  setName: string,
  generation = 1,
): RBACProfile {
  return {
    apiVersion: API_VERSION,
    kind: "RBACProfile",
    metadata: { namespace, name, generation },
    spec: {
      principalRef: `system:serviceaccount:${namespace}-${name}:${name}`,
      targetClusters,
      permissionDeclarations: [{ permissionSetRef: setName, scope: "cluster" }],
      rbacPolicyRef: policyName,
    },
  };
}

export function talosCluster(name: string): TalosCluster {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "TalosCluster",
    metadata: { name, namespace: `seam-tenant-${name}` },
    spec: { mode: "import", role: "tenant" },
  };
}

/** Clusters of the same make under the fleet's ceiling, and one profile of the fleet that aims at all of them. */
export function permissionFleet(clusters: number, profilesPerCluster: number): readonly PermissionObject[] {
  const names = Array.from({ length: clusters }, (_, i) => `c${i}`);
  const fleet: PermissionObject[] = [
    set("seam-system", "management-maximum", [rule("*")]),
    set("seam-system", "claims", [rule("pods")]),
    policy("seam-system", "management-policy", "management-maximum", ["*"]),
    profile("seam-system", "everywhere", "management-policy", names, "claims"),
  ];
  for (const name of names) {
    const home = `seam-tenant-${name}`;
    fleet.push(talosCluster(name));
    fleet.push(set(home, "cluster-maximum", [rule("*")]));
    for (let i = 0; i < SETS_PER_CLUSTER; i++) fleet.push(set(home, `claims-${i}`, [rule(`resource-${i}`, "pods")]));
    fleet.push(policy(home, "cluster-policy", "cluster-maximum", [name]));
    for (let i = 0; i < profilesPerCluster; i++)
      fleet.push(profile(home, `p${i}`, "cluster-policy", [name], `claims-${i % SETS_PER_CLUSTER}`));
  }
  return fleet;
}
