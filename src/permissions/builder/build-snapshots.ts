import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { errorMessage } from "../../base/errors.ts";
import { canonicalRules, ruleSetId } from "../algebra/canonical.ts";
import { principalRefOf, subjectOfPrincipal } from "../rules/principal.ts";
import {
  type RuleSet,
  type SnapshotBinding,
  type SnapshotContent,
  type SnapshotProfile,
  type SnapshotSubject,
  bindingSortKey,
  subjectSortKey,
} from "../snapshot/content.ts";
import {
  DEFAULT_FRESHNESS_WINDOW_SECONDS,
  DEFAULT_MAX_OFFLINE_SECONDS,
  SNAPSHOT_SCHEMA_VERSION,
} from "../snapshot/limits.ts";
import { type ClusterRegistry, applicableClusters, clusterName, namespaceAllows } from "./applicable-clusters.ts";

/** A profile with its gate, and the objects its grants come from. */
export interface ProfileInput {
  readonly profile: RBACProfile;
  /** Every check of permissions §7.3 passed. */
  readonly provisioned: boolean;
  readonly policy: RBACPolicy | undefined;
  /** PermissionSet of the profile's namespace by name. */
  permissionSet(name: string): PermissionSet | undefined;
}

/** Everything content is computed from. */
export interface SnapshotInput {
  /** Clusters that get a snapshot, granted or not (permissions §8.2 step 6). */
  readonly clusters: readonly string[];
  readonly registry: ClusterRegistry;
  readonly profiles: readonly ProfileInput[];
  readonly freshnessWindowSeconds?: number;
  readonly maxOfflineSeconds?: number;
}

/** A profile that could not be taken in; the others go on (permissions §8.2 step 7). */
export interface ExcludedProfile {
  readonly namespace: string;
  readonly name: string;
  /** For people. */
  readonly problem: string;
}

/** Content per cluster, and what was left out. */
export interface BuiltSnapshots {
  readonly contents: ReadonlyMap<string, SnapshotContent>;
  readonly excluded: readonly ExcludedProfile[];
}

interface Draft {
  readonly subjects: Map<string, { readonly subject: Omit<SnapshotSubject, "bindings">; bindings: SnapshotBinding[] }>;
  readonly ruleSets: Map<string, RuleSet>;
  readonly profiles: SnapshotProfile[];
  readonly suspended: Set<string>;
}

interface Grant {
  readonly cluster: string;
  readonly ruleSet: RuleSet;
  readonly binding: SnapshotBinding;
}

/**
 * First builder of the effective permission graph (permissions §8.2), pure: for every cluster the union of the permission sets that
 * provisioned profiles declare on it. Rules are not trimmed to ceilings here; {@link grantedRules} is where that happens. Equal inputs
 * in any order give equal content.
 */
export function buildSnapshots(input: SnapshotInput): BuiltSnapshots {
  const drafts = new Map<string, Draft>(
    input.clusters.map((cluster) => [
      cluster,
      { subjects: new Map(), ruleSets: new Map(), profiles: [], suspended: new Set() },
    ]),
  );
  const memo = new Map<PermissionSet, RuleSet>();
  const excluded: ExcludedProfile[] = [];
  for (const entry of input.profiles) {
    const { namespace = "", name } = entry.profile.metadata;
    let grants: readonly Grant[] = [];
    let provisioned = entry.provisioned;
    if (provisioned)
      try {
        grants = grantsOf(entry, input.registry, memo);
      } catch (error) {
        provisioned = false;
        excluded.push({ namespace, name, problem: errorMessage(error) });
      }
    record(drafts, entry.profile, provisioned, input.registry);
    for (const grant of grants) addGrant(drafts.get(grant.cluster), entry.profile, grant);
  }
  const contents = new Map([...drafts].map(([cluster, draft]) => [cluster, contentOf(cluster, draft, input)]));
  return { contents, excluded };
}

/** The rules that a declaration gives: those of its set, canonical. The place where ceilings will trim them. */
function grantedRules(set: PermissionSet): RuleSet {
  const rules = canonicalRules(set.spec.permissions);
  return { id: ruleSetId(rules), rules };
}

function grantsOf(
  { profile, policy, permissionSet }: ProfileInput,
  registry: ClusterRegistry,
  memo: Map<PermissionSet, RuleSet>,
): readonly Grant[] {
  const { namespace = "", name } = profile.metadata;
  if (policy === undefined) throw new Error("its RBACPolicy is missing");
  return profile.spec.permissionDeclarations.flatMap((declaration, position) => {
    const set = permissionSet(declaration.permissionSetRef);
    if (set === undefined) throw new Error(`PermissionSet ${namespace}/${declaration.permissionSetRef} is missing`);
    let ruleSet = memo.get(set);
    if (ruleSet === undefined) {
      ruleSet = grantedRules(set);
      memo.set(set, ruleSet);
    }
    const granted = ruleSet;
    if (granted.rules.length === 0) return [];
    const binding: SnapshotBinding = {
      ruleSet: granted.id,
      scope: declaration.scope,
      namespaces: [...new Set(declaration.namespaces ?? [])].sort(),
      expiresAt: declaration.expiresAt ?? "",
      source: {
        profileNamespace: namespace,
        profileName: name,
        declaration: position,
        permissionSet: set.metadata.name,
        policy: policy.metadata.name,
      },
    };
    return applicableClusters(profile, declaration, policy, registry).map((cluster) => ({
      cluster,
      ruleSet: granted,
      binding,
    }));
  });
}

/** Notes a profile on the clusters it aims at: its gate, and its principal when it is suspended. */
function record(
  drafts: ReadonlyMap<string, Draft>,
  profile: RBACProfile,
  provisioned: boolean,
  registry: ClusterRegistry,
): void {
  const { namespace = "", name, generation = 0 } = profile.metadata;
  const { principalRef, targetClusters, suspend } = profile.spec;
  for (const cluster of new Set(targetClusters.map((written) => clusterName(written, registry)))) {
    const draft = drafts.get(cluster);
    if (draft === undefined || !namespaceAllows(namespace, cluster)) continue;
    draft.profiles.push({ namespace, name, principalRef, generation, provisioned });
    if (suspend === true && principalRef !== "") draft.suspended.add(principalRef);
  }
}

function addGrant(draft: Draft | undefined, profile: RBACProfile, grant: Grant): void {
  if (draft === undefined) return; // a cluster that gets no snapshot
  const { kind, namespace, name } = subjectOfPrincipal(profile.spec.principalRef);
  const subject = { kind, namespace, name, principalRef: principalRefOf({ kind, namespace, name }) };
  const key = subjectSortKey(subject);
  let held = draft.subjects.get(key);
  if (held === undefined) {
    held = { subject, bindings: [] };
    draft.subjects.set(key, held);
  }
  held.bindings.push(grant.binding);
  draft.ruleSets.set(grant.ruleSet.id, grant.ruleSet);
}

function sortBy<T>(list: Iterable<T>, key: (entry: T) => string): readonly T[] {
  return [...list]
    .map((entry) => ({ entry, key: key(entry) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ entry }) => entry);
}

function contentOf(cluster: string, draft: Draft, input: SnapshotInput): SnapshotContent {
  const subjects = sortBy(draft.subjects, ([key]) => key).map(([, { subject, bindings }]) => ({
    kind: subject.kind,
    namespace: subject.namespace,
    name: subject.name,
    principalRef: subject.principalRef,
    bindings: sortBy(bindings, bindingSortKey),
  }));
  return {
    schemaVersion: SNAPSHOT_SCHEMA_VERSION,
    targetCluster: cluster,
    ceilings: {},
    ruleSets: sortBy(draft.ruleSets.values(), ({ id }) => id),
    subjects,
    profiles: sortBy(draft.profiles, ({ namespace, name }) => `${namespace}\0${name}`),
    suspendedPrincipals: [...draft.suspended].sort(),
    freshnessWindowSeconds: input.freshnessWindowSeconds ?? DEFAULT_FRESHNESS_WINDOW_SECONDS,
    maxOfflineSeconds: input.maxOfflineSeconds ?? DEFAULT_MAX_OFFLINE_SECONDS,
  };
}
