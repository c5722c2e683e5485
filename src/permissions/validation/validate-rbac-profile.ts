import { NAMESPACES } from "../../api/names.ts";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { type ClusterRegistry, allowedClusters, clusterName, namespaceAllows } from "../builder/applicable-clusters.ts";
import { parseServiceAccountUser } from "../rules/principal.ts";
import { MAX_RULES_PER_RULE_SET } from "../snapshot/limits.ts";
import { type FailedCheck, type Verdict, objectText, passed, refused } from "./verdict.ts";

/** What a profile is judged by: objects of its own namespace, with their verdicts. */
export interface ProfileSurroundings {
  readonly policy: { readonly object: RBACPolicy; readonly verdict: Verdict } | undefined;
  permissionSet(name: string): { readonly object: PermissionSet; readonly verdict: Verdict } | undefined;
  readonly clusters: ClusterRegistry;
}

/** Verdict on a profile: what its conditions say. */
export interface ProfileVerdict extends Verdict {
  /** Checks of the profile by itself (step 1). */
  readonly wellFormed: boolean;
  /** Reason and text of PolicyCompliant; undefined while the policy was not looked at. */
  readonly compliance: { readonly ok: boolean; readonly reason: string; readonly message: string } | undefined;
}

/** Most trimmed clusters listed (permissions §4.4). */
const MAX_LISTED = 20;

type Fail = (check: string, field: string, expected: string, remedy: string) => void;

function checkForm(profile: RBACProfile, fail: Fail): void {
  const { principalRef, targetClusters, permissionDeclarations, rbacPolicyRef } = profile.spec;
  if (principalRef.trim() === "")
    fail("PrincipalRefNotEmpty", "spec.principalRef", "a principal, found none", "name the principal");
  if (targetClusters.length === 0)
    fail("TargetClustersNotEmpty", "spec.targetClusters", "at least one cluster, found none", "name the clusters");
  if (permissionDeclarations.length === 0)
    fail(
      "PermissionDeclarationsNotEmpty",
      "spec.permissionDeclarations",
      "at least one declaration, found none",
      "declare a PermissionSet",
    );
  if (rbacPolicyRef === undefined || rbacPolicyRef === "")
    fail("PolicyRefNotEmpty", "spec.rbacPolicyRef", "an RBACPolicy, found none", "name the policy of this namespace");
  for (const [i, declaration] of permissionDeclarations.entries()) {
    const at = `spec.permissionDeclarations[${i}]`;
    const { permissionSetRef, scope, namespaces = [], expiresAt = "" } = declaration;
    if (permissionSetRef === "")
      fail(`PermissionSetRefNotEmpty[${i}]`, `${at}.permissionSetRef`, "a PermissionSet, found none", "name it");
    if (!["namespaced", "cluster"].includes(scope))
      fail(`ScopeValid[${i}]`, `${at}.scope`, `namespaced or cluster, found "${scope}"`, "choose one");
    if (scope === "cluster" && namespaces.length > 0)
      fail(
        `NamespacesWithClusterScope[${i}]`,
        `${at}.namespaces`,
        `none with scope cluster, found ${namespaces.length}`,
        "set scope: namespaced or remove the namespaces",
      );
    if (expiresAt !== "" && Number.isNaN(Date.parse(expiresAt)))
      fail(`ExpiresAtValid[${i}]`, `${at}.expiresAt`, `an RFC 3339 time, found "${expiresAt}"`, "correct the time");
  }
}

function checkSets(profile: RBACProfile, around: ProfileSurroundings, fail: Fail): "missing" | "invalid" | undefined {
  let worst: "missing" | "invalid" | undefined;
  for (const [i, { permissionSetRef, scope }] of profile.spec.permissionDeclarations.entries()) {
    const field = `spec.permissionDeclarations[${i}].permissionSetRef`;
    const where = `PermissionSet ${profile.metadata.namespace ?? ""}/${permissionSetRef}`;
    const set = around.permissionSet(permissionSetRef);
    if (set === undefined) {
      fail(`PermissionSetExists[${i}]`, field, `${where} exists, found none`, "create it or name another");
      worst = "missing";
    } else if (!set.verdict.ok) {
      fail(`PermissionSetValid[${i}]`, field, `${where} is valid, found: ${set.verdict.message}`, "correct that set");
      worst ??= "invalid";
    } else if (
      scope === "namespaced" &&
      set.object.spec.permissions.some((r) => (r.nonResourceURLs ?? []).length > 0)
    ) {
      fail(
        `URLRuleNamespaced[${i}]`,
        field,
        `no nonResourceURLs with scope namespaced, found some in ${where}`,
        "move the URL rules into a set that is declared with scope: cluster",
      );
      worst ??= "invalid";
    }
  }
  return worst;
}

/** Platform principals are service accounts of the operator namespaces; everybody else is a tenant's (permissions §4.6). */
function subjectScopeOf(principalRef: string): "platform" | "tenant" {
  const namespace = parseServiceAccountUser(principalRef)?.namespace;
  return namespace === NAMESPACES.ont || namespace === NAMESPACES.seam ? "platform" : "tenant";
}

function checkPolicy(
  profile: RBACProfile,
  policy: RBACPolicy,
  clusters: ClusterRegistry,
  fail: Fail,
): readonly string[] {
  const { principalRef, targetClusters } = profile.spec;
  const { subjectScope, enforcementMode } = policy.spec;
  const scope = subjectScopeOf(principalRef);
  if (scope !== subjectScope)
    fail(
      "SubjectScopeMatches",
      "spec.principalRef",
      `a ${subjectScope} principal under RBACPolicy ${policy.metadata.name}, found ${scope} principal ${principalRef}`,
      "use a policy for this class of principals",
    );
  const allowed = allowedClusters(policy, clusters);
  const trimmed: string[] = [];
  for (const [i, written] of targetClusters.entries()) {
    const cluster = clusterName(written, clusters);
    if (allowed.has(cluster) && namespaceAllows(profile.metadata.namespace, cluster)) continue;
    if (enforcementMode === "strict")
      fail(
        `ClusterAllowed[${i}]`,
        `spec.targetClusters[${i}]`,
        `a cluster that RBACPolicy ${policy.metadata.name} allows in this namespace, found ${written}`,
        "remove it or change the policy",
      );
    else trimmed.push(written);
  }
  return trimmed;
}

function checkBudget(profile: RBACProfile, around: ProfileSurroundings, fail: Fail): void {
  const names = new Set(profile.spec.permissionDeclarations.map(({ permissionSetRef }) => permissionSetRef));
  let rules = 0;
  for (const name of names) rules += around.permissionSet(name)?.object.spec.permissions.length ?? 0;
  if (rules > MAX_RULES_PER_RULE_SET)
    fail(
      "EffectiveRuleBudget",
      "spec.permissionDeclarations",
      `at most ${MAX_RULES_PER_RULE_SET} effective rules per cluster, found ${rules}`,
      "split the profile",
    );
}

/**
 * Judges a profile in the order of permissions §7.3: the first step with a failure gives the reason, and every failure of that step
 * is reported. Coverage by ceilings (step 6) and materialisation (step 10) are not part of this step sequence yet.
 */
export function validateRbacProfile(profile: RBACProfile, around: ProfileSurroundings): ProfileVerdict {
  const object = objectText("RBACProfile", profile.metadata);
  const failed: FailedCheck[] = [];
  const fail: Fail = (check, field, expected, remedy) => failed.push({ check, object, field, expected, remedy });
  const no = (reason: string, compliance?: ProfileVerdict["compliance"], wellFormed = true): ProfileVerdict => ({
    ...refused(reason, failed),
    wellFormed,
    compliance,
  });
  checkForm(profile, fail);
  if (failed.length > 0) return no("ProvisioningFailed", undefined, false);
  const { rbacPolicyRef = "" } = profile.spec;
  const { policy } = around;
  const where = `RBACPolicy ${profile.metadata.namespace ?? ""}/${rbacPolicyRef}`;
  if (policy === undefined) {
    fail("PolicyExists", "spec.rbacPolicyRef", `${where} exists, found none`, "create it or name another");
    return no("PolicyNotFound");
  }
  if (!policy.verdict.ok) {
    fail(
      "PolicyValid",
      "spec.rbacPolicyRef",
      `${where} is valid, found: ${policy.verdict.message}`,
      "correct that policy",
    );
    return no("PolicyNotReady");
  }
  const sets = checkSets(profile, around, fail);
  if (sets !== undefined) return no(sets === "missing" ? "PermissionSetMissing" : "PermissionSetInvalid");
  const trimmed = checkPolicy(profile, policy.object, around.clusters, fail);
  const compliance =
    failed.length > 0
      ? { ok: false, reason: "PolicyViolation", message: refused("PolicyViolation", failed).message }
      : trimmed.length > 0
        ? { ok: true, reason: "TrimmedInAudit", message: `not granted on ${trimmed.slice(0, MAX_LISTED).join(", ")}` }
        : { ok: true, reason: "Compliant", message: `within RBACPolicy ${rbacPolicyRef}` };
  if (!compliance.ok) return no("PolicyViolation", compliance);
  checkBudget(profile, around, fail);
  if (failed.length > 0) return no("EffectiveRuleBudgetExceeded", compliance);
  if (profile.spec.suspend === true) {
    fail("NotSuspended", "spec.suspend", "false, found true", "set it to false to give the grants back");
    return no("Suspended", compliance);
  }
  return { ...passed("ProvisioningComplete", "every check passed"), wellFormed: true, compliance };
}
