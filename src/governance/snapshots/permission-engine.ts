import type { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import type { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { PERMISSION_LAYERS, tenantNamespace } from "../../api/names.ts";
import { RuleBudgetExceeded } from "../../permissions/algebra/budget.ts";
import type { ClusterRegistry } from "../../permissions/builder/applicable-clusters.ts";
import {
  type ClusterCeilings,
  type SnapshotLifetimes,
  clusterContent,
} from "../../permissions/builder/cluster-content.ts";
import { type Contribution, contributionOf } from "../../permissions/builder/contribution.ts";
import { boundSubjects } from "../../permissions/builder/bound-subjects.ts";
import { RuleMemo } from "../../permissions/builder/rule-memo.ts";
import { FLEET_CEILING, ceilingChain, isClusterMaximum } from "../../permissions/ceilings/ceiling-chain.ts";
import {
  type EncodedContent,
  type RuleSet,
  type SnapshotContent,
  encodeContent,
} from "../../permissions/snapshot/content.ts";
import { validateIdentityBinding } from "../../permissions/validation/validate-identity-binding.ts";
import { validateIdentityProvider } from "../../permissions/validation/validate-identity-provider.ts";
import { isUsableSet, validatePermissionSet } from "../../permissions/validation/validate-permission-set.ts";
import { validateRbacPolicy } from "../../permissions/validation/validate-rbac-policy.ts";
import { type ProfileVerdict, validateRbacProfile } from "../../permissions/validation/validate-rbac-profile.ts";
import type { Verdict } from "../../permissions/validation/verdict.ts";
import { type PrincipalClaims, claimedBy, principalClaims } from "./principal-claims.ts";

/** The objects at one moment. An object that changed is another JavaScript object, as caches hand them out. */
export interface PermissionWorld extends SnapshotLifetimes {
  readonly clusters: readonly TalosCluster[];
  readonly profiles: readonly RBACProfile[];
  readonly policies: readonly RBACPolicy[];
  readonly sets: readonly PermissionSet[];
  readonly providers: readonly IdentityProvider[];
  readonly bindings: readonly IdentityBinding[];
  readonly managementCluster: string;
}

/** An object with its verdict, and what the verdict rests on: while nothing of that is another object, it stands. */
export interface Judged<T, V extends Verdict = Verdict> {
  readonly object: T;
  readonly verdict: V;
  readonly restsOn: readonly unknown[];
}

/** A policy with the intersection of every ceiling over it. */
export interface JudgedPolicy extends Judged<RBACPolicy> {
  readonly ceiling: RuleSet | undefined;
}

/** A profile with what it brings to its clusters. */
export interface JudgedProfile extends Judged<RBACProfile, ProfileVerdict> {
  readonly contribution: Contribution;
}

/** Content of one cluster's snapshot, encoded once. */
export interface ComputedSnapshot extends EncodedContent {
  readonly content: SnapshotContent;
}

/** Everything that follows from a {@link PermissionWorld}. Keys are `namespace/name`, never bare names (permissions §8.1). */
export interface PermissionView {
  readonly sets: ReadonlyMap<string, Judged<PermissionSet>>;
  readonly policies: ReadonlyMap<string, JudgedPolicy>;
  readonly profiles: ReadonlyMap<string, JudgedProfile>;
  readonly providers: ReadonlyMap<string, Judged<IdentityProvider>>;
  readonly bindings: ReadonlyMap<string, Judged<IdentityBinding>>;
  /** By cluster; every tenant has one, granted or not. */
  readonly snapshots: ReadonlyMap<string, ComputedSnapshot>;
  /** Clusters whose content was assembled for this view; of those, only another hash is another snapshot. */
  readonly recomputed: ReadonlySet<string>;
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

interface Named {
  readonly metadata: { readonly namespace?: string; readonly name: string; readonly deletionTimestamp?: string };
}

function live<T extends Named>(list: readonly T[]): readonly T[] {
  return list.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** What a profile names, as keys: derived once per object, since every computation asks for every profile. */
interface ProfileRefs {
  readonly key: string;
  readonly policy: string;
  readonly sets: readonly string[];
  /** See {@link identityKey}. */
  readonly identity: string;
}

function profileRefs(profile: RBACProfile): ProfileRefs {
  const { metadata, spec } = profile;
  return {
    key: objectKey(metadata),
    policy: policyKey(profile),
    sets: spec.permissionDeclarations.map(({ permissionSetRef }) => setKey(profile, permissionSetRef)),
    identity: identityKey(metadata, spec.principalRef),
  };
}

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((entry, i) => entry === b[i]);
}

/** Judges what changed, and takes over the rest: an entry of the result is the former one exactly when nothing under it changed. */
function judgedAgain<T extends Named, E extends Judged<T>>(
  objects: readonly T[],
  previous: ReadonlyMap<string, E> | undefined,
  restsOn: (object: T) => readonly unknown[],
  judge: (object: T, restsOn: readonly unknown[]) => E,
  keyOf: (object: T) => string = ({ metadata }) => objectKey(metadata),
  anew: string[] = [],
): ReadonlyMap<string, E> {
  const entries = new Map<string, E>();
  for (const object of live(objects)) {
    const key = keyOf(object);
    const under = restsOn(object);
    const held = previous?.get(key);
    if (held?.object === object && same(held.restsOn, under)) entries.set(key, held);
    else {
      entries.set(key, judge(object, under));
      anew.push(key);
    }
  }
  return entries;
}

/**
 * The effective permission graph, kept from one computation to the next: a change re-computes what rests on it and nothing else, from
 * PermissionSet over policy and profile to cluster (permissions §17). Level-based: it compares objects and misses no event. The result
 * is that of a new engine on the same world, always.
 */
export class PermissionEngine {
  readonly #memo = new RuleMemo();
  readonly #refs = new WeakMap<RBACProfile, ProfileRefs>();
  /** What stands on each cluster, by profile; follows the registered clusters. */
  readonly #byCluster = new Map<string, Map<string, Contribution>>();
  #registry: ClusterRegistry = { registered: new Set(), managementCluster: "" };
  #ceilings = new Map<string, ClusterCeilings>();
  #lifetimes: SnapshotLifetimes = {};
  #view: PermissionView | undefined;

  /** Judges every object and computes every cluster's content. One bad object affects only what rests on it. */
  compute(world: PermissionWorld): PermissionView {
    const before = this.#view;
    const registry = this.#registryOf(world);
    const fleet = live(world.sets).find(({ metadata }) => objectKey(metadata) === objectKey(FLEET_CEILING));
    const sets = judgedAgain(
      world.sets,
      before?.sets,
      ({ metadata }) => (isClusterMaximum(metadata) ? [fleet] : []),
      (object, restsOn): Judged<PermissionSet> => ({
        object,
        restsOn,
        verdict: validatePermissionSet(object, restsOn.length > 0 ? fleet?.spec.permissions : undefined),
      }),
    );
    const policies = judgedAgain(
      world.policies,
      before?.policies,
      (policy) => ceilingChain(policy).map((ref) => sets.get(objectKey(ref))),
      (object, restsOn) => this.#judgePolicy(object, restsOn, sets),
    );
    const claims = principalClaims(live(world.profiles));
    const providers = judgedAgain(
      world.providers,
      before?.providers,
      () => [],
      (object, restsOn): Judged<IdentityProvider> => ({ object, restsOn, verdict: validateIdentityProvider(object) }),
    );
    // Nobody asks who has which principal while there is nothing to bind.
    const principals = new Set<string>();
    if (world.bindings.length > 0)
      for (const profile of live(world.profiles)) principals.add(this.#refsOf(profile).identity);
    const bindings = judgedAgain(
      world.bindings,
      before?.bindings,
      ({ metadata, spec }) => [
        providers.get(providerKey(metadata, spec)),
        principals.has(identityKey(metadata, spec.principalName)),
      ],
      (object, restsOn): Judged<IdentityBinding> => {
        const { metadata, spec } = object;
        const provider = providers.get(providerKey(metadata, spec));
        const principalKnown = principals.has(identityKey(metadata, spec.principalName));
        return { object, restsOn, verdict: validateIdentityBinding(object, { provider, principalKnown }) };
      },
    );
    const identities = identitiesOf(bindings);
    const anew: string[] = [];
    const profiles = judgedAgain(
      world.profiles,
      before?.profiles,
      (profile) => restingOn(profile, this.#refsOf(profile), policies, sets, claims, identities, registry),
      (object, restsOn) => this.#judgeProfile(object, restsOn, policies, sets, claims, identities, registry),
      (profile) => this.#refsOf(profile).key,
      anew,
    );
    const touched = this.#touched(world, before, profiles, anew, sets);
    const snapshots = new Map<string, ComputedSnapshot>();
    for (const cluster of tenantsOf(world)) {
      const held = before?.snapshots.get(cluster);
      if (held !== undefined && !touched.has(cluster)) snapshots.set(cluster, held);
      else snapshots.set(cluster, this.#snapshotOf(cluster, held));
    }
    this.#view = { sets, policies, profiles, providers, bindings, snapshots, recomputed: touched };
    return this.#view;
  }

  readonly #refsOf = (profile: RBACProfile): ProfileRefs => {
    let refs = this.#refs.get(profile);
    if (refs === undefined) {
      refs = profileRefs(profile);
      this.#refs.set(profile, refs);
    }
    return refs;
  };

  /** The same object while the registered clusters are the same. */
  #registryOf(world: PermissionWorld): ClusterRegistry {
    const names = new Set(world.clusters.map(({ metadata }) => metadata.name));
    const { registered, managementCluster } = this.#registry;
    const unchanged =
      managementCluster === world.managementCluster &&
      names.size === registered.size &&
      [...names].every((name) => registered.has(name));
    if (!unchanged) this.#registry = { registered: names, managementCluster: world.managementCluster };
    return this.#registry;
  }

  #judgePolicy(
    object: RBACPolicy,
    restsOn: readonly unknown[],
    sets: ReadonlyMap<string, Judged<PermissionSet>>,
  ): JudgedPolicy {
    const chain = ceilingChain(object).map((ref) => ({ ref, held: sets.get(objectKey(ref)) }));
    const verdict = validateRbacPolicy(
      object,
      chain.map(({ ref, held }) => ({ ref, verdict: held?.verdict })),
    );
    const rules = chain.flatMap(({ held }) => (held === undefined ? [] : [this.#memo.ofSet(held.object)]));
    return { object, restsOn, verdict, ceiling: verdict.ok ? this.#intersectionOf(rules) : undefined };
  }

  /** Undefined when it is over budget: a ceiling nobody can compute grants nothing (permissions §6.5). */
  #intersectionOf(ceilings: readonly RuleSet[]): RuleSet | undefined {
    const [first, ...rest] = ceilings;
    try {
      let common = first;
      for (const other of rest) common &&= this.#memo.intersection(common, other);
      return common;
    } catch (error) {
      if (error instanceof RuleBudgetExceeded) return undefined;
      throw error;
    }
  }

  #judgeProfile(
    object: RBACProfile,
    restsOn: readonly unknown[],
    policies: ReadonlyMap<string, JudgedPolicy>,
    sets: ReadonlyMap<string, Judged<PermissionSet>>,
    claims: PrincipalClaims,
    identities: Identities,
    registry: ClusterRegistry,
  ): JudgedProfile {
    const policy = policies.get(policyKey(object));
    const setNamed = (name: string) => sets.get(setKey(object, name));
    const verdict = validateRbacProfile(object, {
      policy,
      permissionSet: setNamed,
      claimedBy: claimedBy(object, claims),
      clusters: registry,
      memo: this.#memo,
    });
    const contribution = contributionOf(
      {
        profile: object,
        provisioned: verdict.ok,
        policy: policy?.object,
        ceiling: policy?.ceiling,
        identities: identitiesFor(object, identities).flatMap((entry) => boundSubjects(entry.object)),
        permissionSet: (name) => setNamed(name)?.object,
      },
      registry,
      this.#memo,
    );
    return { object, restsOn, verdict, contribution };
  }

  /** Moves contributions to where they stand now, and tells on which clusters something is another than before. */
  #touched(
    world: PermissionWorld,
    before: PermissionView | undefined,
    profiles: ReadonlyMap<string, JudgedProfile>,
    anew: readonly string[],
    sets: ReadonlyMap<string, Judged<PermissionSet>>,
  ): ReadonlySet<string> {
    const touched = new Set<string>();
    const tenants = tenantsOf(world);
    const { freshnessWindowSeconds, maxOfflineSeconds } = world;
    const { freshnessWindowSeconds: window, maxOfflineSeconds: offline } = this.#lifetimes;
    const everything = freshnessWindowSeconds !== window || maxOfflineSeconds !== offline;
    this.#lifetimes = world;
    const remove = (key: string, { clusters }: Contribution): void => {
      for (const cluster of clusters) if (this.#byCluster.get(cluster)?.delete(key) === true) touched.add(cluster);
    };
    let added = 0;
    for (const key of anew) {
      const held = before?.profiles.get(key);
      if (held === undefined) added++;
      else remove(key, held.contribution);
    }
    if (before !== undefined && before.profiles.size + added > profiles.size)
      for (const [key, { contribution }] of before.profiles) if (!profiles.has(key)) remove(key, contribution);
    const registered = new Set(tenants);
    for (const cluster of this.#byCluster.keys()) if (!registered.has(cluster)) this.#byCluster.delete(cluster);
    const fresh = new Set(tenants.filter((cluster) => !this.#byCluster.has(cluster)));
    for (const cluster of fresh) this.#byCluster.set(cluster, new Map());
    const place = (key: string, contribution: Contribution, onto?: ReadonlySet<string>): void => {
      for (const cluster of contribution.clusters) {
        if (onto !== undefined && !onto.has(cluster)) continue;
        this.#byCluster.get(cluster)?.set(key, contribution);
        touched.add(cluster);
      }
    };
    for (const key of anew) {
      const entry = profiles.get(key);
      if (entry !== undefined) place(key, entry.contribution);
    }
    if (fresh.size > 0) for (const [key, { contribution }] of profiles) place(key, contribution, fresh);
    const ceilings = new Map<string, ClusterCeilings>();
    const fleet = this.#ceilingSet(sets, objectKey(FLEET_CEILING));
    for (const cluster of tenants) {
      const own = { namespace: tenantNamespace(cluster), name: PERMISSION_LAYERS.cluster.maximum };
      const now = { fleet, cluster: this.#ceilingSet(sets, objectKey(own)) };
      const held = this.#ceilings.get(cluster);
      if (everything || held?.fleet?.id !== fleet?.id || held?.cluster?.id !== now.cluster?.id) touched.add(cluster);
      ceilings.set(cluster, now);
    }
    this.#ceilings = ceilings;
    return touched;
  }

  #ceilingSet(sets: ReadonlyMap<string, Judged<PermissionSet>>, key: string): RuleSet | undefined {
    const held = sets.get(key);
    return held !== undefined && isUsableSet(held.verdict) ? this.#memo.ofSet(held.object) : undefined;
  }

  #snapshotOf(cluster: string, held: ComputedSnapshot | undefined): ComputedSnapshot {
    const contributions = this.#byCluster.get(cluster)?.values() ?? [];
    const ceilings = this.#ceilings.get(cluster) ?? { fleet: undefined, cluster: undefined };
    const content = clusterContent(cluster, contributions, ceilings, this.#lifetimes);
    const computed = { content, ...encodeContent(content) };
    return held?.contentHash === computed.contentHash ? held : computed;
  }
}

/** Valid bindings by namespace and principal. */
type Identities = ReadonlyMap<string, readonly Judged<IdentityBinding>[]>;

const NO_IDENTITIES: readonly Judged<IdentityBinding>[] = [];

/** NUL separates, since no namespace may hold it. */
function identityKey(metadata: { readonly namespace?: string }, principal: string): string {
  return `${metadata.namespace ?? ""}\0${principal}`;
}

function providerKey(metadata: { readonly namespace?: string }, spec: IdentityBinding["spec"]): string {
  return objectKey({ namespace: metadata.namespace ?? "", name: spec.identityProviderRef ?? "" });
}

function identitiesOf(bindings: ReadonlyMap<string, Judged<IdentityBinding>>): Identities {
  const identities = new Map<string, Judged<IdentityBinding>[]>();
  for (const entry of bindings.values()) {
    if (!entry.verdict.ok) continue;
    const { metadata, spec } = entry.object;
    const key = identityKey(metadata, spec.principalName);
    const held = identities.get(key);
    if (held === undefined) identities.set(key, [entry]);
    else held.push(entry);
  }
  return identities;
}

function identitiesFor({ metadata, spec }: RBACProfile, identities: Identities): readonly Judged<IdentityBinding>[] {
  return identities.get(identityKey(metadata, spec.principalRef)) ?? NO_IDENTITIES;
}

function policyKey({ metadata, spec }: RBACProfile): string {
  return objectKey({ namespace: metadata.namespace ?? "", name: spec.rbacPolicyRef ?? "" });
}

function setKey({ metadata }: RBACProfile, name: string): string {
  return objectKey({ namespace: metadata.namespace ?? "", name });
}

function restingOn(
  profile: RBACProfile,
  refs: ProfileRefs,
  policies: ReadonlyMap<string, JudgedPolicy>,
  sets: ReadonlyMap<string, Judged<PermissionSet>>,
  claims: PrincipalClaims,
  identities: Identities,
  registry: ClusterRegistry,
): readonly unknown[] {
  const restsOn: unknown[] = [registry, policies.get(refs.policy), claimedBy(profile, claims)];
  for (const key of refs.sets) restsOn.push(sets.get(key));
  for (const identity of identities.get(refs.identity) ?? NO_IDENTITIES) restsOn.push(identity);
  return restsOn;
}
