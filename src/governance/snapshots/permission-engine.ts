import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { type ExcludedProfile, buildSnapshots } from "../../permissions/builder/build-snapshots.ts";
import type { ClusterRegistry } from "../../permissions/builder/applicable-clusters.ts";
import { type EncodedContent, type SnapshotContent, encodeContent } from "../../permissions/snapshot/content.ts";
import { validatePermissionSet } from "../../permissions/validation/validate-permission-set.ts";
import { validateRbacPolicy } from "../../permissions/validation/validate-rbac-policy.ts";
import { type ProfileVerdict, validateRbacProfile } from "../../permissions/validation/validate-rbac-profile.ts";
import type { Verdict } from "../../permissions/validation/verdict.ts";

/** The objects at one moment. */
export interface PermissionWorld {
  readonly clusters: readonly TalosCluster[];
  readonly profiles: readonly RBACProfile[];
  readonly policies: readonly RBACPolicy[];
  readonly sets: readonly PermissionSet[];
  readonly managementCluster: string;
  /** Seconds; the builder's defaults when absent. */
  readonly freshnessWindowSeconds?: number;
  readonly maxOfflineSeconds?: number;
}

/** An object with its verdict. */
export interface Judged<T, V extends Verdict = Verdict> {
  readonly object: T;
  readonly verdict: V;
}

/** Content of one cluster's snapshot, encoded once. */
export interface ComputedSnapshot extends EncodedContent {
  readonly content: SnapshotContent;
}

/** Everything that follows from a {@link PermissionWorld}. Keys are `namespace/name`, never bare names (permissions §8.1). */
export interface PermissionView {
  readonly sets: ReadonlyMap<string, Judged<PermissionSet>>;
  readonly policies: ReadonlyMap<string, Judged<RBACPolicy>>;
  readonly profiles: ReadonlyMap<string, Judged<RBACProfile, ProfileVerdict>>;
  /** By cluster; every tenant has one, granted or not. */
  readonly snapshots: ReadonlyMap<string, ComputedSnapshot>;
  readonly excluded: readonly ExcludedProfile[];
}

/** `namespace/name`. */
export function objectKey(metadata: { readonly namespace?: string; readonly name: string }): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

/** Clusters that are governed as tenants: all but the management cluster, which evaluates nothing from a snapshot. */
function tenantsOf(world: PermissionWorld): readonly string[] {
  return world.clusters
    .filter(({ metadata, spec }) => spec.role !== "management" && metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.name)
    .sort();
}

/**
 * Judges every object and computes every cluster's content: pure, level-based, from the objects alone. One bad object affects only
 * what rests on it.
 *
 * @param previous reuses encodings whose content did not change
 */
export function computePermissions(world: PermissionWorld, previous?: PermissionView): PermissionView {
  const registry: ClusterRegistry = {
    registered: new Set(world.clusters.map(({ metadata }) => metadata.name)),
    managementCluster: world.managementCluster,
  };
  const live = <T extends { readonly metadata: { readonly deletionTimestamp?: string } }>(list: readonly T[]) =>
    list.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const sets = judged(live(world.sets), validatePermissionSet);
  const policies = judged(live(world.policies), (policy) =>
    validateRbacPolicy(
      policy,
      sets.get(`${policy.metadata.namespace ?? ""}/${policy.spec.maximumPermissionSetRef}`)?.verdict,
    ),
  );
  const policyOf = (profile: RBACProfile) =>
    policies.get(`${profile.metadata.namespace ?? ""}/${profile.spec.rbacPolicyRef ?? ""}`);
  const setOf = (profile: RBACProfile, name: string) => sets.get(`${profile.metadata.namespace ?? ""}/${name}`);
  const profiles = judged(live(world.profiles), (profile) =>
    validateRbacProfile(profile, {
      policy: policyOf(profile),
      permissionSet: (name) => setOf(profile, name),
      clusters: registry,
    }),
  );
  const built = buildSnapshots({
    clusters: tenantsOf(world),
    registry,
    ...(world.freshnessWindowSeconds !== undefined && { freshnessWindowSeconds: world.freshnessWindowSeconds }),
    ...(world.maxOfflineSeconds !== undefined && { maxOfflineSeconds: world.maxOfflineSeconds }),
    profiles: [...profiles.values()].map(({ object, verdict }) => ({
      profile: object,
      provisioned: verdict.ok,
      policy: policyOf(object)?.object,
      permissionSet: (name) => setOf(object, name)?.object,
    })),
  });
  const snapshots = new Map(
    [...built.contents].map(([cluster, content]) => {
      const computed = { content, ...encodeContent(content) };
      const held = previous?.snapshots.get(cluster);
      return [cluster, held?.contentHash === computed.contentHash ? held : computed];
    }),
  );
  return { sets, policies, profiles, snapshots, excluded: built.excluded };
}

function judged<
  T extends { readonly metadata: { readonly namespace?: string; readonly name: string } },
  V extends Verdict,
>(objects: readonly T[], judge: (object: T) => V): ReadonlyMap<string, Judged<T, V>> {
  return new Map(objects.map((object) => [objectKey(object.metadata), { object, verdict: judge(object) }]));
}
