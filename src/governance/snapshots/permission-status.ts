import { findCondition, type ConditionUpdate } from "../../api/conditions.ts";
import { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { Condition } from "../../api/kinds/condition.ts";
import { FIELD_MANAGERS } from "../../api/names.ts";
import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { type Clock, rfc3339Seconds } from "../../base/clock.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { applyStatus } from "../../controller/status.ts";
import type { ProfileVerdict } from "../../permissions/validation/validate-rbac-profile.ts";
import { type Verdict, summaryText } from "../../permissions/validation/verdict.ts";
import { rulesHash } from "../../permissions/algebra/canonical.ts";
import type { PermissionView } from "../engine/permission-view.ts";

/** Most warnings and profile versions shown. */
const MAX_SHOWN = 20;

interface Parts {
  readonly cluster: Cluster;
  readonly clock: Clock;
}

const MANAGER = FIELD_MANAGERS.permissionEngine;

/** Once, under its own manager: afterwards only a lineage controller touches it (permissions §2). */
export async function writeLineage<
  T extends KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } },
>(parts: Parts, type: ResourceType<T>, object: T): Promise<void> {
  if (findCondition(object.status?.conditions, "LineageSynced") !== undefined) return;
  const conditions: readonly ConditionUpdate[] = [
    { type: "LineageSynced", status: "False", reason: "LineageControllerAbsent" },
  ];
  await applyStatus(parts, type, object, { conditions }, `${MANAGER}-lineage`);
}

function condition(type: string, verdict: Verdict, generation: number): ConditionUpdate {
  return {
    type,
    status: verdict.ok ? "True" : "False",
    reason: verdict.reason,
    message: verdict.message,
    observedGeneration: generation,
  };
}

/** Status of a PermissionSet (permissions §2.1). */
export async function writeSetStatus(
  parts: Parts,
  set: PermissionSet,
  verdict: Verdict,
  view: PermissionView,
): Promise<void> {
  const { generation = 0 } = set.metadata;
  const fields = {
    observedGeneration: generation,
    profileReferenceCount: view.profilesDeclaring(set.metadata),
    rulesHash: rulesHash(set.spec.permissions),
    ...(verdict.warnings.length > 0 && { warnings: verdict.warnings.slice(0, MAX_SHOWN) }),
  };
  const conditions = [condition("PermissionSetValid", verdict, generation)];
  await applyStatus(parts, PermissionSet, set, { fields, conditions }, MANAGER);
}

/** Status of an IdentityProvider, but for what is found out by asking it (permissions §2.6). */
export async function writeProviderStatus(parts: Parts, provider: IdentityProvider, verdict: Verdict): Promise<void> {
  const { generation = 0 } = provider.metadata;
  const fields = { observedGeneration: generation, validationSummary: summaryText(verdict) };
  const conditions = [condition("Valid", verdict, generation)];
  await applyStatus(parts, IdentityProvider, provider, { fields, conditions }, MANAGER);
}

/** Status of an IdentityBinding (permissions §2.7). */
export async function writeBindingStatus(parts: Parts, binding: IdentityBinding, verdict: Verdict): Promise<void> {
  const { generation = 0 } = binding.metadata;
  const fields = { observedGeneration: generation, validationSummary: summaryText(verdict) };
  const conditions = [condition("IdentityBindingValid", verdict, generation)];
  await applyStatus(parts, IdentityBinding, binding, { fields, conditions }, MANAGER);
}

/** Status of an RBACPolicy (permissions §2.2). */
export async function writePolicyStatus(
  parts: Parts,
  policy: RBACPolicy,
  verdict: Verdict,
  view: PermissionView,
): Promise<void> {
  const { generation = 0 } = policy.metadata;
  const profileCount = view.profilesUnder(policy.metadata);
  const fields = { observedGeneration: generation, validationSummary: summaryText(verdict), profileCount };
  const degraded: ConditionUpdate = {
    type: "RBACPolicyDegraded",
    status: verdict.ok ? "False" : "True",
    reason: verdict.reason,
    message: verdict.message,
    observedGeneration: generation,
  };
  const conditions = [condition("RBACPolicyValid", verdict, generation), degraded];
  await applyStatus(parts, RBACPolicy, policy, { fields, conditions }, MANAGER);
}

/**
 * Status of an RBACProfile: the one writer of `provisioned` (permissions §7.3).
 *
 * @param versions published snapshot version per cluster that includes the profile
 */
export async function writeProfileStatus(
  parts: Parts,
  profile: RBACProfile,
  verdict: ProfileVerdict,
  versions: ReadonlyMap<string, string>,
): Promise<void> {
  const { generation = 0 } = profile.metadata;
  const before = findCondition(profile.status?.conditions, "Provisioned");
  const since = before?.status === "True" ? profile.status?.lastProvisionedAt : undefined;
  const epgVersion = [...versions]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, MAX_SHOWN)
    .map(([cluster, version]) => `${cluster}=${version}`)
    .join(",");
  const fields = {
    observedGeneration: generation,
    provisioned: verdict.ok,
    validationSummary: summaryText(verdict),
    ...(verdict.ok && { lastProvisionedAt: since ?? rfc3339Seconds(parts.clock.now()) }),
    ...(verdict.ok && epgVersion !== "" && { epgVersion }),
  };
  const wellFormed: ConditionUpdate = {
    type: "ProfileValidated",
    status: verdict.wellFormed ? "True" : "False",
    reason: verdict.wellFormed ? "Validated" : verdict.reason,
    message: verdict.wellFormed ? "" : verdict.message,
    observedGeneration: generation,
  };
  const { compliance } = verdict;
  const conditions: ConditionUpdate[] = [
    condition("Provisioned", verdict, generation),
    wellFormed,
    {
      type: "PolicyCompliant",
      status: compliance === undefined ? "Unknown" : compliance.ok ? "True" : "False",
      reason: compliance?.reason ?? "NotEvaluated",
      message: compliance?.message ?? "an earlier check failed",
      observedGeneration: generation,
    },
  ];
  await applyStatus(parts, RBACProfile, profile, { fields, conditions }, MANAGER);
}
