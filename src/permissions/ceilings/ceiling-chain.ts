import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { NAMESPACES, PERMISSION_LAYERS, clusterOfNamespace } from "../../api/names.ts";

/** A PermissionSet that bounds what stands under it. */
export interface CeilingRef {
  readonly namespace: string;
  readonly name: string;
  /** Where the reference comes from, for messages: a field of the policy, or the layer that always applies. */
  readonly field: string;
}

/** Ceiling over the whole fleet. */
export const FLEET_CEILING: CeilingRef = {
  namespace: NAMESPACES.seam,
  name: PERMISSION_LAYERS.fleet.maximum,
  field: "fleet layer",
};

/**
 * Every ceiling over a policy; what is granted under it lies in their intersection, always (permissions §4.1): its own, in a tenant's
 * namespace the tenant's `cluster-maximum`, and `management-maximum`. A ceiling can never widen anything.
 */
export function ceilingChain(policy: RBACPolicy): readonly CeilingRef[] {
  const { namespace = "" } = policy.metadata;
  const own = { namespace, name: policy.spec.maximumPermissionSetRef, field: "spec.maximumPermissionSetRef" };
  const cluster = { namespace, name: PERMISSION_LAYERS.cluster.maximum, field: "cluster layer" };
  const chain = [own, ...(clusterOfNamespace(namespace) === undefined ? [] : [cluster]), FLEET_CEILING];
  return chain.filter((ref, i) => chain.findIndex((other) => sameSet(other, ref)) === i);
}

function sameSet(a: CeilingRef, b: CeilingRef): boolean {
  return a.namespace === b.namespace && a.name === b.name;
}

/** True for the `cluster-maximum` of a tenant. */
export function isClusterMaximum(metadata: { readonly namespace?: string; readonly name: string }): boolean {
  return metadata.name === PERMISSION_LAYERS.cluster.maximum && clusterOfNamespace(metadata.namespace) !== undefined;
}
