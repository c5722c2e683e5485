import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy, type RBACPolicySpec } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile, type RBACProfileSpec } from "../../api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { ANNOTATIONS, LABELS, PERMISSION_LAYERS, TENANT_CONDUCTOR, tenantNamespace } from "../../api/names.ts";
import type { ResourceType } from "../../api/resource-type.ts";

/** Value of {@link ANNOTATIONS.ceilingSync} for a ceiling that an operator has tightened (permissions §4.5). */
const PINNED = "pinned";
/** Value of the managed-by label on what the permission plane writes (permissions §0). */
const GUARDIAN = "guardian";

/** One object of a cluster's layer, as it should be. */
export interface LayerObject {
  readonly type: ResourceType<PermissionSet> | ResourceType<RBACPolicy> | ResourceType<RBACProfile>;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec: PermissionSet["spec"] | RBACPolicySpec | RBACProfileSpec;
}

/** What stands in the cluster's namespace already: people may pin the one and choose the mode of the other. */
export interface HeldLayer {
  readonly maximum: PermissionSet | undefined;
  readonly policy: RBACPolicy | undefined;
}

/**
 * The second permission layer of one governed cluster (permissions §3, §4.5), pure: `cluster-maximum` as a copy of the fleet's ceiling
 * unless it is pinned, `cluster-policy`, and the profile of the tenant's conductor.
 */
export function clusterLayer(
  cluster: string,
  role: TalosCluster["spec"]["role"],
  fleet: PermissionSet,
  held: HeldLayer,
): readonly LayerObject[] {
  const { maximum, policy } = PERMISSION_LAYERS.cluster;
  const namespace = tenantNamespace(cluster);
  const labels = { [LABELS.policyType]: "cluster", [LABELS.rbacManagedBy]: GUARDIAN };
  const policySpec: RBACPolicySpec = {
    subjectScope: "tenant",
    allowedClusters: [cluster],
    maximumPermissionSetRef: maximum,
    // The mode is the one thing people may choose: neither mode grants what lies beyond the ceiling.
    enforcementMode: held.policy?.spec.enforcementMode ?? "audit",
  };
  const conductor: RBACProfileSpec = {
    principalRef: TENANT_CONDUCTOR.principal,
    targetClusters: [cluster],
    permissionDeclarations: [{ permissionSetRef: maximum, scope: "cluster" }],
    rbacPolicyRef: policy,
  };
  const pinned = held.maximum?.metadata.annotations?.[ANNOTATIONS.ceilingSync] === PINNED;
  const copied = `The most that may be granted on ${cluster}: follows ${PERMISSION_LAYERS.fleet.maximum} unless ${ANNOTATIONS.ceilingSync} says ${PINNED}.`;
  return [
    ...(pinned
      ? []
      : [
          {
            type: PermissionSet,
            namespace,
            name: maximum,
            labels,
            annotations: { [ANNOTATIONS.ceilingSync]: "follow" },
            spec: { description: copied, permissions: fleet.spec.permissions },
          },
        ]),
    { type: RBACPolicy, namespace, name: policy, labels, spec: policySpec },
    ...(role === "tenant"
      ? [{ type: RBACProfile, namespace, name: TENANT_CONDUCTOR.profile, labels, spec: conductor }]
      : []),
  ];
}
