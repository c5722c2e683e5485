import { isClusterName } from "../../api/names.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { type FailedCheck, type Verdict, objectText, passed, refused } from "./verdict.ts";

/** Any registered cluster, in `allowedClusters`. */
export const ANY_CLUSTER = "*";

/**
 * Checks an RBACPolicy (permissions §7.2); condition RBACPolicyValid.
 *
 * @param ceiling verdict on the PermissionSet it names in its namespace; undefined when there is none
 */
export function validateRbacPolicy(policy: RBACPolicy, ceiling: Verdict | undefined): Verdict {
  const object = objectText("RBACPolicy", policy.metadata);
  const { subjectScope, enforcementMode, allowedClusters = [], maximumPermissionSetRef } = policy.spec;
  const failed: FailedCheck[] = [];
  const fail = (check: string, field: string, expected: string, remedy: string): void => {
    failed.push({ check, object, field, expected, remedy });
  };
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
  const field = "spec.maximumPermissionSetRef";
  const where = `PermissionSet ${policy.metadata.namespace ?? ""}/${maximumPermissionSetRef}`;
  if (ceiling === undefined) {
    fail("CeilingExists", field, `${where} exists, found none`, "create it or name another");
    return refused("PermissionSetNotFound", failed);
  }
  if (!ceiling.ok) {
    fail("CeilingValid", field, `${where} is valid, found: ${ceiling.message}`, "correct that PermissionSet");
    return refused("CeilingInvalid", failed);
  }
  return passed("ValidationPassed", `ceiling ${maximumPermissionSetRef}`);
}
