import { NAMESPACES, PERMISSION_LAYERS, TENANT_NAMESPACE_PREFIX, isClusterName } from "../../api/names.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { ANY_CLUSTER, isGrantNamespace } from "../builder/applicable-clusters.ts";
import type { CeilingRef } from "../ceilings/ceiling-chain.ts";
import { isUsableSet } from "./validate-permission-set.ts";
import { type FailedCheck, type Verdict, objectText, passed, refused } from "./verdict.ts";

/** A ceiling over a policy with the verdict on it. */
export interface JudgedCeiling {
  readonly ref: CeilingRef;
  /** Undefined when the PermissionSet does not exist. */
  readonly verdict: Verdict | undefined;
}

/**
 * Checks an RBACPolicy (permissions §7.2); condition RBACPolicyValid.
 *
 * @param ceilings every ceiling over it: with one of them missing nothing can be granted
 */
export function validateRbacPolicy(policy: RBACPolicy, ceilings: readonly JudgedCeiling[]): Verdict {
  const object = objectText("RBACPolicy", policy.metadata);
  const { subjectScope, enforcementMode, allowedClusters = [], maximumPermissionSetRef } = policy.spec;
  const { name, namespace = "" } = policy.metadata;
  const failed: FailedCheck[] = [];
  const fail = (check: string, field: string, expected: string, remedy: string): void => {
    failed.push({ check, object, field, expected, remedy });
  };
  if (!isGrantNamespace(namespace))
    fail(
      "PlacementValid",
      "metadata.namespace",
      `${NAMESPACES.seam} or ${TENANT_NAMESPACE_PREFIX}{cluster}, found ${namespace}`,
      "create the policy there; nothing is granted under one in another namespace",
    );
  else if (namespace !== NAMESPACES.seam && name !== PERMISSION_LAYERS.cluster.policy)
    fail(
      "PlacementValid",
      "metadata.name",
      `${PERMISSION_LAYERS.cluster.policy}, the one policy of a tenant (there is none per component), found ${name}`,
      `name ${PERMISSION_LAYERS.cluster.policy} in the profiles and narrow their PermissionSets`,
    );
  if (!["platform", "tenant"].includes(subjectScope))
    fail("SubjectScopeValid", "spec.subjectScope", `platform or tenant, found "${subjectScope}"`, "choose one");
  if (!["strict", "audit"].includes(enforcementMode))
    fail("EnforcementModeValid", "spec.enforcementMode", `strict or audit, found "${enforcementMode}"`, "choose one");
  for (const [i, cluster] of allowedClusters.entries())
    if (cluster !== ANY_CLUSTER && !isClusterName(cluster))
      fail(
        "AllowedClustersFormat",
        `spec.allowedClusters[${i}]`,
        `a cluster name or "*", found ${JSON.stringify(cluster)}`,
        "name a registered cluster",
      );
  if (maximumPermissionSetRef === "")
    fail(
      "MaxPermissionSetRefNotEmpty",
      "spec.maximumPermissionSetRef",
      "a PermissionSet, found none",
      "name the ceiling",
    );
  if (failed.length > 0) return refused("ValidationFailed", failed);
  for (const { ref, verdict } of ceilings)
    if (verdict === undefined)
      fail("CeilingExists", ref.field, `${setText(ref)} exists, found none`, "create it or name another");
  if (failed.length > 0) return refused("PermissionSetNotFound", failed);
  for (const { ref, verdict } of ceilings)
    if (verdict !== undefined && !isUsableSet(verdict))
      fail(
        "CeilingValid",
        ref.field,
        `${setText(ref)} is valid, found: ${verdict.message}`,
        "correct that PermissionSet",
      );
  if (failed.length > 0) return refused("CeilingInvalid", failed);
  return passed("ValidationPassed", `ceiling ${ceilings.map(({ ref }) => ref.name).join(" under ")}`);
}

function setText(ref: CeilingRef): string {
  return `PermissionSet ${ref.namespace}/${ref.name}`;
}
