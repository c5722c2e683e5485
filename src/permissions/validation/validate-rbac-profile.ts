import { NAMESPACES, PERMISSION_LAYERS, TENANT_NAMESPACE_PREFIX } from "../../api/names.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import {
  type ClusterRegistry,
  clusterName,
  isGrantNamespace,
  namespaceAllows,
} from "../builder/applicable-clusters.ts";
import type { RuleMemo } from "../builder/rule-memo.ts";
import { DECLARATION_FULLY_TRIMMED } from "../builder/contribution.ts";
import { RuleBudgetExceeded } from "../algebra/budget.ts";
import type { RuleSet } from "../snapshot/content.ts";
import { isUsableSet } from "./validate-permission-set.ts";
import { isPlainText } from "../rules/plain-text.ts";
import { parseServiceAccountUser } from "../rules/principal.ts";
import { MAX_RULES_PER_RULE_SET } from "../snapshot/limits.ts";
import { type FailedCheck, type Verdict, objectText, passed, refused } from "./verdict.ts";

/** What a profile is judged by: objects of its own namespace, with their verdicts. */
export interface ProfileSurroundings {
  readonly policy:
    | {
        readonly object: RBACPolicy;
        readonly verdict: Verdict;
        /** Intersection of every ceiling over the policy; undefined while one of them is missing, invalid or over budget. */
        readonly ceiling: RuleSet | undefined;
        /** Clusters that it allows (`allowedClusters`). */
        readonly allowed: ReadonlySet<string>;
      }
    | undefined;
  permissionSet(name: string): { readonly rules: RuleSet; readonly verdict: Verdict } | undefined;
  /** Older profile in another tenant's namespace with the same fleet-wide principal, as `namespace/name`. */
  readonly claimedBy: string | undefined;
  readonly clusters: ClusterRegistry;
  readonly memo: RuleMemo;
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

/** The form that a tenant reads; other spellings that some clocks take would make it refuse the whole snapshot. */
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

type Fail = (check: string, field: string, expected: string, remedy: string) => void;

function checkForm(profile: RBACProfile, around: ProfileSurroundings, fail: Fail): void {
  const { principalRef, targetClusters, permissionDeclarations, rbacPolicyRef } = profile.spec;
  const { namespace = "" } = profile.metadata;
  if (!isGrantNamespace(namespace))
    fail(
      "PlacementValid",
      "metadata.namespace",
      `${NAMESPACES.seam} or ${TENANT_NAMESPACE_PREFIX}{cluster}, found ${namespace}`,
      "create the profile there; nothing is granted from another namespace",
    );
  if (principalRef.trim() === "")
    fail("PrincipalRefNotEmpty", "spec.principalRef", "a principal, found none", "name the principal");
  else if (!isPlainText(principalRef))
    fail(
      "PrincipalRefWellFormed",
      "spec.principalRef",
      `text without control or broken characters, found ${JSON.stringify(principalRef)}`,
      "correct the principal",
    );
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
    for (const [j, namespace] of namespaces.entries())
      if (namespace === "" || !isPlainText(namespace))
        fail(
          `NamespaceWellFormed[${i}]`,
          `${at}.namespaces[${j}]`,
          `a namespace, found ${JSON.stringify(namespace)}`,
          "correct the name",
        );
    if (expiresAt !== "" && (!RFC3339.test(expiresAt) || Number.isNaN(Date.parse(expiresAt))))
      fail(`ExpiresAtValid[${i}]`, `${at}.expiresAt`, `an RFC 3339 time, found "${expiresAt}"`, "correct the time");
    const rules = scope === "namespaced" ? around.permissionSet(permissionSetRef)?.rules.rules : undefined;
    if (rules?.some(({ nonResourceURLs }) => nonResourceURLs.length > 0) === true)
      fail(
        `URLRuleNamespaced[${i}]`,
        `${at}.permissionSetRef`,
        `no nonResourceURLs with scope namespaced, found some in PermissionSet ${namespace}/${permissionSetRef}`,
        "move the URL rules into a set that is declared with scope: cluster",
      );
  }
}

function checkSets(profile: RBACProfile, around: ProfileSurroundings, fail: Fail): "missing" | "invalid" | undefined {
  let worst: "missing" | "invalid" | undefined;
  for (const [i, { permissionSetRef }] of profile.spec.permissionDeclarations.entries()) {
    const field = `spec.permissionDeclarations[${i}].permissionSetRef`;
    const where = `PermissionSet ${profile.metadata.namespace ?? ""}/${permissionSetRef}`;
    const set = around.permissionSet(permissionSetRef);
    if (set === undefined) {
      fail(`PermissionSetExists[${i}]`, field, `${where} exists, found none`, "create it or name another");
      worst = "missing";
    } else if (!isUsableSet(set.verdict)) {
      fail(`PermissionSetValid[${i}]`, field, `${where} is valid, found: ${set.verdict.message}`, "correct that set");
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
  allowed: ReadonlySet<string>,
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

/** Declared rules against the ceiling (step 6): a violation under `strict`, otherwise what is not granted (permissions §4.4). */
function checkCeiling(
  profile: RBACProfile,
  policy: RBACPolicy,
  ceiling: RuleSet,
  around: ProfileSurroundings,
  fail: Fail,
): readonly string[] {
  const trimmed: string[] = [];
  for (const [i, { permissionSetRef }] of profile.spec.permissionDeclarations.entries()) {
    const rules = around.permissionSet(permissionSetRef)?.rules;
    if (rules === undefined || rules.id === ceiling.id) continue;
    const excess = around.memo.excess(ceiling, rules);
    if (excess.length === 0) continue;
    if (policy.spec.enforcementMode === "strict")
      fail(
        `RulesCovered[${i}]`,
        `spec.permissionDeclarations[${i}].permissionSetRef`,
        `rules within the ceiling of RBACPolicy ${policy.metadata.name}, found beyond it in PermissionSet ${permissionSetRef}: ${excess.join(", ")}`,
        "remove them from the set or declare another one",
      );
    else for (const text of excess) trimmed.push(`${permissionSetRef}: ${text}`);
  }
  return trimmed;
}

/** Trims every declaration (step 8): what is left must hold the budget. Returns the declarations that nothing is left of. */
function checkBudget(
  profile: RBACProfile,
  ceiling: RuleSet,
  around: ProfileSurroundings,
  fail: Fail,
): readonly number[] {
  const field = "spec.permissionDeclarations";
  const { permissionDeclarations } = profile.spec;
  const empty: number[] = [];
  let effective = 0;
  for (const [i, { permissionSetRef }] of permissionDeclarations.entries()) {
    const set = around.permissionSet(permissionSetRef);
    if (set === undefined) continue;
    try {
      const { rules } = around.memo.intersection(set.rules, ceiling);
      if (rules.length === 0) empty.push(i);
      // A set counts once, however often it is declared.
      if (permissionDeclarations.findIndex((other) => other.permissionSetRef === permissionSetRef) === i)
        effective += rules.length;
    } catch (error) {
      if (!(error instanceof RuleBudgetExceeded)) throw error;
      fail(
        `EffectiveRuleBudget[${i}]`,
        `${field}[${i}].permissionSetRef`,
        `at most ${error.limit} effective ${error.what}, found more`,
        "split the set",
      );
    }
  }
  if (effective > MAX_RULES_PER_RULE_SET)
    fail(
      "EffectiveRuleBudget",
      field,
      `at most ${MAX_RULES_PER_RULE_SET} effective rules per cluster, found ${effective}`,
      "split the profile",
    );
  return empty;
}

const LAYERS: ReadonlySet<string> = new Set([PERMISSION_LAYERS.cluster.maximum, PERMISSION_LAYERS.fleet.maximum]);

/** Text of PolicyCompliant for a profile without violations. */
function complianceOf(profile: RBACProfile, policy: string, trimmed: readonly string[], empty: readonly number[]) {
  const { permissionDeclarations } = profile.spec;
  const notes = [
    ...(permissionDeclarations.some(({ permissionSetRef }) => LAYERS.has(permissionSetRef))
      ? ["declares the full ceiling"]
      : []),
    ...empty.map(
      (i) => `${DECLARATION_FULLY_TRIMMED}: spec.permissionDeclarations[${i}] grants nothing under the ceiling`,
    ),
  ];
  if (trimmed.length === 0)
    return { ok: true, reason: "Compliant", message: [`within RBACPolicy ${policy}`, ...notes].join("; ") };
  const listed = trimmed.slice(0, MAX_LISTED).join(", ");
  const more = trimmed.length > MAX_LISTED ? ` and ${trimmed.length - MAX_LISTED} more` : "";
  return { ok: true, reason: "TrimmedInAudit", message: [`not granted ${listed}${more}`, ...notes].join("; ") };
}

/**
 * Judges a profile in the order of permissions §7.3: the first step with a failure gives the reason, and every failure of that step
 * is reported. Cluster, subject scope and rules are one step: all of them are `PolicyViolation`.
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
  checkForm(profile, around, fail);
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
  const { ceiling } = policy;
  if (ceiling === undefined) {
    fail(
      "CeilingComputed",
      "spec.rbacPolicyRef",
      `ceilings over ${where} that have an intersection within the budget`,
      "make the ceilings smaller",
    );
    return no("PolicyNotReady");
  }
  const clusters = checkPolicy(profile, policy.object, policy.allowed, around.clusters, fail).map(
    (cluster) => `on ${cluster}`,
  );
  // Rules first: a long list of clusters must not hide them.
  const trimmed = [...checkCeiling(profile, policy.object, ceiling, around, fail), ...clusters];
  if (failed.length > 0) {
    const { message } = refused("PolicyViolation", failed);
    return no("PolicyViolation", { ok: false, reason: "PolicyViolation", message });
  }
  const compliance = complianceOf(profile, rbacPolicyRef, trimmed, []);
  if (around.claimedBy !== undefined) {
    fail(
      "PrincipalUnclaimed",
      "spec.principalRef",
      `a principal that no other tenant claims, found ${profile.spec.principalRef} in RBACProfile ${around.claimedBy}`,
      `use another principal, or grant it from ${NAMESPACES.seam}`,
    );
    return no("PrincipalConflict", compliance);
  }
  const empty = checkBudget(profile, ceiling, around, fail);
  if (failed.length > 0) return no("EffectiveRuleBudgetExceeded", compliance);
  if (profile.spec.suspend === true) {
    fail("NotSuspended", "spec.suspend", "false, found true", "set it to false to give the grants back");
    return no("Suspended", compliance);
  }
  return {
    ...passed("ProvisioningComplete", "every check passed"),
    wellFormed: true,
    compliance: complianceOf(profile, rbacPolicyRef, trimmed, empty),
  };
}
