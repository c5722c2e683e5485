import { atOnce } from "../../base/next-turn.ts";
import { PERMISSION_LAYERS, clusterOfNamespace, tenantNamespace } from "../../api/names.ts";
import type { KubeObject, ObjectKey } from "../../api/object.ts";
import { RuleBudgetExceeded } from "../../permissions/algebra/budget.ts";
import { allowedClusters } from "../../permissions/builder/applicable-clusters.ts";
import { boundSubjects } from "../../permissions/builder/bound-subjects.ts";
import { type ClusterCeilings, clusterContent, type Contributor } from "../../permissions/builder/cluster-content.ts";
import type { ComputedContent, SnapshotLifetimes } from "../../permissions/builder/computed-content.ts";
import { contributionOf, differingClusters, sameContribution } from "../../permissions/builder/contribution.ts";
import { RuleMemo, type SharedRuleSet } from "../../permissions/builder/rule-memo.ts";
import { ceilingChain, isClusterMaximum } from "../../permissions/ceilings/ceiling-chain.ts";
import type { SubjectName } from "../../permissions/rules/principal.ts";
import { DEFAULT_FRESHNESS_WINDOW_SECONDS, DEFAULT_MAX_OFFLINE_SECONDS } from "../../permissions/snapshot/limits.ts";
import { validateIdentityBinding } from "../../permissions/validation/validate-identity-binding.ts";
import { validateIdentityProvider } from "../../permissions/validation/validate-identity-provider.ts";
import { isUsableSet, validatePermissionSet } from "../../permissions/validation/validate-permission-set.ts";
import { validateRbacPolicy } from "../../permissions/validation/validate-rbac-policy.ts";
import { type ProfileVerdict, validateRbacProfile } from "../../permissions/validation/validate-rbac-profile.ts";
import type { Verdict } from "../../permissions/validation/verdict.ts";
import type {
  BindingNode,
  ClaimNode,
  ClusterNode,
  NamespaceNode,
  PolicyNode,
  ProfileNode,
  ProviderNode,
  SetNode,
} from "./graph-node.ts";
import { PermissionGraph, isTenant } from "./permission-graph.ts";
import type { PermissionChange, PermissionObject } from "./permission-object.ts";
import type {
  Judged,
  Judgements,
  JudgedPolicy,
  JudgedProfile,
  JudgedSet,
  PermissionListener,
  PermissionView,
} from "./permission-view.ts";
import { claimedBy, firstClaim } from "./principal-claims.ts";

/** What a {@link PermissionEngine} is told once. */
export interface PermissionSettings extends Partial<SnapshotLifetimes> {
  /** Name by which profiles and policies know the management cluster, besides `management`. */
  readonly managementCluster: string;
}

/**
 * The effective permission graph, kept from one change to the next: a change is judged again with what rests on it and nothing else, from
 * PermissionSet over policy and profile to cluster (permissions §17). What it comes to is what a new engine comes to that is given the
 * same objects, always.
 *
 * Pure: objects go in by {@link apply}, {@link settle} does the work in small steps and tells a listener what became another.
 */
export class PermissionEngine {
  readonly #graph: PermissionGraph;
  readonly #memo = new RuleMemo();
  readonly #snapshots = new Map<string, ComputedContent>();
  readonly #counts = { sets: 0, policies: 0, providers: 0, bindings: 0, profiles: 0, provisioned: 0 };
  readonly #lifetimes: SnapshotLifetimes;
  readonly view: PermissionView;

  constructor({ managementCluster, freshnessWindowSeconds, maxOfflineSeconds }: PermissionSettings) {
    this.#graph = new PermissionGraph(managementCluster);
    this.#lifetimes = {
      freshnessWindowSeconds: freshnessWindowSeconds ?? DEFAULT_FRESHNESS_WINDOW_SECONDS,
      maxOfflineSeconds: maxOfflineSeconds ?? DEFAULT_MAX_OFFLINE_SECONDS,
    };
    this.view = this.#viewOf();
  }

  /** Nodes of the graph: objects, and what they name without its being there. */
  get nodes(): number {
    return this.#graph.size;
  }

  /** Takes a change in; its effect is there after {@link settle}. Costs what the object itself refers to. */
  apply(change: PermissionChange): void {
    this.#graph.apply(change);
  }

  /** A later state of an object in which nothing but its status is another: nothing follows from it. */
  renew(object: PermissionObject): void {
    const { namespace = "", name } = object.metadata;
    const home = this.#graph.namespaces.get(namespace);
    switch (object.kind) {
      case "PermissionSet":
        return renewed(home?.sets.get(name), object);
      case "RBACPolicy":
        return renewed(home?.policies.get(name), object);
      case "RBACProfile":
        return renewed(home?.profiles.get(name), object);
      case "IdentityProvider":
        return renewed(home?.providers.get(name), object);
      case "IdentityBinding":
        return renewed(home?.bindings.get(name), object);
      case "TalosCluster":
        return;
    }
  }

  /** Marks everything to be judged again, whatever was heard of it: the safety net under a lost event. */
  recheck(): void {
    this.#graph.markAll();
  }

  /** Judges what is marked and what rests on it, in steps of mostly well under a millisecond. Changes may be applied in between. */
  *settle(listener: PermissionListener = {}): Generator<void, void> {
    const { dirty } = this.#graph;
    while (Object.values(dirty).some((nodes: ReadonlySet<unknown>) => nodes.size > 0)) {
      // The fleet's ceiling first: every other one of the upper layer rests on it.
      const { fleet } = this.#graph;
      if (fleet !== undefined && dirty.sets.delete(fleet)) this.#judgeSet(fleet, listener);
      yield* drain(dirty.sets, (node) => this.#judgeSet(node, listener));
      yield* drain(dirty.providers, (node) => this.#judgeProvider(node, listener));
      yield* drain(dirty.policies, (node) => this.#judgePolicy(node, listener));
      yield* drain(dirty.bindings, (node) => this.#judgeBinding(node, listener));
      yield* drain(dirty.claims, (node) => this.#judgeClaim(node));
      yield* this.#judgeProfiles(dirty.profiles, listener);
      for (const node of dirty.clusters) {
        dirty.clusters.delete(node);
        yield* this.#compute(node, listener);
        yield;
      }
    }
  }

  #judgeSet(node: SetNode, listener: PermissionListener): void {
    const { object, home, name, judged: before } = node;
    const { fleet, dirty } = this.#graph;
    const isMaximum = isClusterMaximum({ namespace: home.name, name });
    if (object === undefined) node.judged = undefined;
    else {
      const verdict = validatePermissionSet(object, isMaximum ? fleet?.object?.spec.permissions : undefined);
      const after: JudgedSet = { object, verdict, rules: this.#rulesOf(object.spec.permissions, verdict) };
      node.judged = before?.object === object && sameSet(before, after) ? before : after;
    }
    const after = node.judged;
    if (before === after) return this.#graph.release(node);
    this.#counts.sets += counted(after) - counted(before);
    listener.set?.(before, after);
    if (before === undefined || after === undefined || !sameSet(before, after)) {
      for (const policy of node.policies) dirty.policies.add(policy);
      for (const profile of node.profiles) dirty.profiles.add(profile);
      if (node === fleet) {
        for (const maximum of this.#graph.maxima) dirty.sets.add(maximum);
        for (const cluster of this.#graph.clusters.values()) dirty.clusters.add(cluster);
      } else if (isMaximum) {
        const cluster = this.#graph.clusters.get(clusterOfNamespace(home.name) ?? "");
        if (cluster !== undefined) dirty.clusters.add(cluster);
      }
    }
    this.#graph.release(node);
  }

  /** Nothing is granted by a set that is not usable; of one that cannot even be written there are no rules to speak of. */
  #rulesOf(permissions: Parameters<RuleMemo["ofRules"]>[0], verdict: Verdict): SharedRuleSet {
    try {
      return this.#memo.ofRules(permissions);
    } catch (error) {
      if (isUsableSet(verdict)) throw error;
      return this.#memo.ofRules([]);
    }
  }

  #judgePolicy(node: PolicyNode, listener: PermissionListener): void {
    const { object, judged: before, ceilings } = node;
    if (object === undefined) node.judged = undefined;
    else {
      const refs = ceilingChain(object);
      const verdict = validateRbacPolicy(
        object,
        refs.map((ref, i) => ({ ref, verdict: ceilings[i]?.judged?.verdict })),
      );
      const rules = ceilings.flatMap(({ judged }) => (judged === undefined ? [] : [judged.rules]));
      const ceiling = verdict.ok ? this.#intersectionOf(rules) : undefined;
      const after: JudgedPolicy = { object, verdict, ceiling, allowed: allowedClusters(object, this.#graph.registry) };
      node.judged = before?.object === object && samePolicy(before, after) ? before : after;
    }
    const after = node.judged;
    if (before !== after) {
      this.#counts.policies += counted(after) - counted(before);
      listener.policy?.(before, after);
      if (before === undefined || after === undefined || !samePolicy(before, after))
        for (const profile of node.profiles) this.#graph.dirty.profiles.add(profile);
    }
    this.#graph.release(node);
  }

  /** Undefined when it is over budget: a ceiling nobody can compute grants nothing (permissions §6.5). */
  #intersectionOf(ceilings: readonly SharedRuleSet[]): SharedRuleSet | undefined {
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

  #judgeProvider(node: ProviderNode, listener: PermissionListener): void {
    const { object, judged: before } = node;
    if (object === undefined) node.judged = undefined;
    else {
      const verdict = validateIdentityProvider(object);
      node.judged = before?.object === object && sameVerdict(before.verdict, verdict) ? before : { object, verdict };
    }
    const after = node.judged;
    if (before !== after) {
      this.#counts.providers += counted(after) - counted(before);
      listener.provider?.(before, after);
      for (const binding of node.bindings) this.#graph.dirty.bindings.add(binding);
    }
    this.#graph.release(node);
  }

  #judgeBinding(node: BindingNode, listener: PermissionListener): void {
    const { object, judged: before, home, provider } = node;
    if (object === undefined) node.judged = undefined;
    else {
      const principalKnown = home.principals.has(object.spec.principalName);
      const verdict = validateIdentityBinding(object, { provider: provider?.judged, principalKnown });
      node.judged = before?.object === object && sameVerdict(before.verdict, verdict) ? before : { object, verdict };
    }
    const after = node.judged;
    if (before !== after) {
      this.#counts.bindings += counted(after) - counted(before);
      listener.binding?.(before, after);
      for (const judged of [before, after])
        if (judged?.verdict.ok === true) this.#graph.markPrincipal(home, judged.object.spec.principalName);
    }
    this.#graph.release(node);
  }

  #judgeClaim(node: ClaimNode): void {
    const before = node.first;
    node.first = firstClaim(node);
    if (node.first !== before) for (const profile of node.profiles) this.#graph.dirty.profiles.add(profile);
    this.#graph.releaseClaim(node);
  }

  /** A few in each step; what they declare is trimmed before, in steps of its own where it was not seen under its ceiling yet. */
  *#judgeProfiles(nodes: Set<ProfileNode>, listener: PermissionListener): Generator<void, void> {
    let judged = 0;
    for (const node of nodes) {
      yield* this.#trim(node);
      nodes.delete(node);
      this.#judgeProfile(node, listener);
      if (++judged % PROFILES_PER_STEP === 0) yield;
    }
  }

  *#trim({ object, home, policy }: ProfileNode): Generator<void, void> {
    const ceiling = policy?.judged?.ceiling;
    if (object === undefined || ceiling === undefined) return;
    for (const { permissionSetRef } of object.spec.permissionDeclarations) {
      const rules = home.sets.get(permissionSetRef)?.judged?.rules;
      if (rules !== undefined) yield* this.#memo.trim(ceiling, rules);
    }
  }

  #judgeProfile(node: ProfileNode, listener: PermissionListener): void {
    const { object, judged: before } = node;
    const { dirty } = this.#graph;
    node.judged = object === undefined ? undefined : this.#judged(node, object);
    const after = node.judged;
    if (before === after) return this.#graph.release(node);
    this.#counts.profiles += counted(after) - counted(before);
    this.#counts.provisioned += Number(after?.verdict.ok === true) - Number(before?.verdict.ok === true);
    listener.profile?.(before, after);
    // Where it stands no more, or stands since, was marked when it moved.
    const differs =
      before === undefined || after === undefined
        ? () => true
        : before.contribution !== after.contribution && differingClusters(before.contribution, after.contribution);
    if (differs !== false) for (const cluster of node.clusters) if (differs(cluster.name)) dirty.clusters.add(cluster);
    this.#graph.release(node);
  }

  #judged(node: ProfileNode, object: NonNullable<ProfileNode["object"]>): JudgedProfile {
    const { home, judged: before } = node;
    const { registry } = this.#graph;
    const policy = node.policy?.judged;
    const verdict = sharedVerdict(
      node.policy,
      validateRbacProfile(object, {
        policy,
        permissionSet: (name) => home.sets.get(name)?.judged,
        claimedBy: claimedBy(node),
        clusters: registry,
        memo: this.#memo,
      }),
    );
    const contribution = contributionOf(
      {
        profile: object,
        provisioned: verdict.ok,
        policy,
        identities: identitiesOf(home, object.spec.principalRef),
        rulesOf: (name) => home.sets.get(name)?.judged?.rules,
      },
      registry,
      this.#memo,
    );
    if (before === undefined) return { object, verdict, contribution };
    const same = sameContribution(before.contribution, contribution);
    const sameWords = sameProfileVerdict(before.verdict, verdict);
    const untold = before.contribution.problem === contribution.problem;
    if (before.object === object && same && sameWords && untold) return before;
    return { object, verdict, contribution: same && untold ? before.contribution : contribution };
  }

  *#compute(node: ClusterNode, listener: PermissionListener): Generator<void, void> {
    const { name, snapshot: before } = node;
    if (isTenant(node)) {
      const maximum = this.#graph.namespaces.get(tenantNamespace(name))?.sets.get(PERMISSION_LAYERS.cluster.maximum);
      const ceilings = { fleet: usable(this.#graph.fleet), cluster: usable(maximum) };
      node.snapshot = yield* clusterContent(name, contributors(node), ceilings, this.#lifetimes, before);
      this.#snapshots.set(name, node.snapshot);
    } else {
      node.snapshot = undefined;
      this.#snapshots.delete(name);
    }
    listener.cluster?.(name, before, node.snapshot);
    this.#graph.releaseCluster(node);
  }

  #viewOf(): PermissionView {
    const { namespaces, clusters, registry } = this.#graph;
    const counts = this.#counts;
    const judgements = <E>(
      nodesOf: (home: NamespaceNode) => ReadonlyMap<string, { readonly judged: E | undefined }>,
      size: () => number,
    ): Judgements<E> => ({
      get size() {
        return size();
      },
      get({ namespace = "", name }) {
        const home = namespaces.get(namespace);
        return home && nodesOf(home).get(name)?.judged;
      },
      *values() {
        for (const home of namespaces.values())
          for (const { judged } of nodesOf(home).values()) if (judged !== undefined) yield judged;
      },
    });
    const home = ({ namespace = "" }: ObjectKey) => namespaces.get(namespace);
    return {
      sets: judgements(
        ({ sets }) => sets,
        () => counts.sets,
      ),
      policies: judgements(
        ({ policies }) => policies,
        () => counts.policies,
      ),
      profiles: judgements(
        ({ profiles }) => profiles,
        () => counts.profiles,
      ),
      providers: judgements(
        ({ providers }) => providers,
        () => counts.providers,
      ),
      bindings: judgements(
        ({ bindings }) => bindings,
        () => counts.bindings,
      ),
      snapshots: this.#snapshots,
      registry,
      get provisionedProfiles() {
        return counts.provisioned;
      },
      profilesDeclaring: (set) => home(set)?.sets.get(set.name)?.profiles.size ?? 0,
      profilesUnder: (policy) => home(policy)?.policies.get(policy.name)?.profiles.size ?? 0,
      *profilesOn(cluster) {
        for (const { judged } of clusters.get(cluster)?.profiles ?? []) if (judged !== undefined) yield judged;
      },
      contentWithoutCeilings: (cluster) => {
        const node = clusters.get(cluster);
        const standing = node === undefined ? [] : contributors(node);
        return atOnce(clusterContent(cluster, standing, NO_CEILINGS, this.#lifetimes));
      },
    };
  }
}

/** Profiles that are judged in one step: some hundredths of a millisecond each, once what they name is judged. */
const PROFILES_PER_STEP = 4;

const NO_CEILINGS: ClusterCeilings = { fleet: undefined, cluster: undefined };

function* drain<N>(nodes: Set<N>, judge: (node: N) => void): Generator<void, void> {
  for (const node of nodes) {
    nodes.delete(node);
    judge(node);
    yield;
  }
}

/** Profiles on a cluster that are judged; one that came while others were judged follows by itself. */
function* contributors({ profiles }: ClusterNode): Generator<Contributor> {
  for (const { judged, home, name } of profiles)
    if (judged !== undefined) yield { namespace: home.name, name, contribution: judged.contribution };
}

function renewed<T extends KubeObject>(
  node: { object: T | undefined; judged: Judged<T> | undefined } | undefined,
  object: T,
): void {
  const held = node?.object;
  if (node === undefined || held === undefined || held.metadata.uid !== object.metadata.uid) return;
  node.object = object;
  if (node.judged?.object === held) node.judged = { ...node.judged, object };
}

function usable(node: SetNode | undefined): SharedRuleSet | undefined {
  const judged = node?.judged;
  return judged !== undefined && isUsableSet(judged.verdict) ? judged.rules : undefined;
}

/** Who else a principal of a namespace is, by valid bindings. */
function identitiesOf(home: NamespaceNode, principal: string): readonly SubjectName[] {
  if (!home.bound.has(principal)) return NOBODY;
  const found: SubjectName[] = [];
  for (const { judged } of home.bound.of(principal))
    if (judged?.verdict.ok === true) found.push(...boundSubjects(judged.object));
  return found;
}

const NOBODY: readonly SubjectName[] = [];

function counted(judged: unknown): number {
  return judged === undefined ? 0 : 1;
}

/** Most profiles of a policy pass in the same words: they share one verdict. */
function sharedVerdict(policy: PolicyNode | undefined, verdict: ProfileVerdict): ProfileVerdict {
  if (policy === undefined || !verdict.ok) return verdict;
  if (policy.usual === undefined || !sameProfileVerdict(policy.usual, verdict)) policy.usual = verdict;
  return policy.usual;
}

function sameVerdict(a: Verdict, b: Verdict): boolean {
  return (
    a === b ||
    (a.ok === b.ok &&
      a.reason === b.reason &&
      a.message === b.message &&
      a.warnings.length === b.warnings.length &&
      a.warnings.every((warning, i) => warning === b.warnings[i]))
  );
}

function sameProfileVerdict(a: ProfileVerdict, b: ProfileVerdict): boolean {
  return (
    a === b ||
    (sameVerdict(a, b) &&
      a.wellFormed === b.wellFormed &&
      a.compliance?.ok === b.compliance?.ok &&
      a.compliance?.reason === b.compliance?.reason &&
      a.compliance?.message === b.compliance?.message)
  );
}

/** True when nothing that rests on a set is another for it. */
function sameSet(a: JudgedSet, b: JudgedSet): boolean {
  return a.rules.id === b.rules.id && sameVerdict(a.verdict, b.verdict);
}

/** True when nothing that rests on a policy is another for it. */
function samePolicy(a: JudgedPolicy, b: JudgedPolicy): boolean {
  return (
    a.ceiling?.id === b.ceiling?.id &&
    sameVerdict(a.verdict, b.verdict) &&
    (a.object === b.object || JSON.stringify(a.object.spec) === JSON.stringify(b.object.spec))
  );
}
