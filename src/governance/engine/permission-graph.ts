import type { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import type { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { isClusterName } from "../../api/names.ts";
import { type ClusterRegistry, standingClusters } from "../../permissions/builder/applicable-clusters.ts";
import { FLEET_CEILING, ceilingChain, isClusterMaximum } from "../../permissions/ceilings/ceiling-chain.ts";
import {
  BindingNode,
  ClaimNode,
  ClusterNode,
  NamespaceNode,
  PolicyNode,
  type ProfileNode,
  ProviderNode,
  SetNode,
} from "./graph-node.ts";
import type { PermissionChange, PermissionObject } from "./permission-object.ts";
import { claimsPrincipal } from "./principal-claims.ts";

/** Nodes that are to be looked at again, by kind in the order in which they rest on each other. */
export interface DirtyNodes {
  readonly sets: Set<SetNode>;
  readonly providers: Set<ProviderNode>;
  readonly policies: Set<PolicyNode>;
  readonly bindings: Set<BindingNode>;
  readonly claims: Set<ClaimNode>;
  readonly profiles: Set<ProfileNode>;
  readonly clusters: Set<ClusterNode>;
}

/**
 * Who rests on whom among the objects that permissions are computed from, pure. A change moves the edges of one object, marks what has to
 * be looked at again, and searches nothing: its cost is the number of its own references (permissions §17).
 */
export class PermissionGraph {
  readonly namespaces = new Map<string, NamespaceNode>();
  readonly clusters = new Map<string, ClusterNode>();
  /** Every `cluster-maximum`: they rest on the fleet's ceiling. */
  readonly maxima = new Set<SetNode>();
  readonly dirty: DirtyNodes = {
    sets: new Set(),
    providers: new Set(),
    policies: new Set(),
    bindings: new Set(),
    claims: new Set(),
    profiles: new Set(),
    clusters: new Set(),
  };
  readonly registry: ClusterRegistry;
  readonly #registered = new Set<string>();
  readonly #claims = new Map<string, ClaimNode>();

  constructor(managementCluster: string) {
    this.registry = { registered: this.#registered, managementCluster };
  }

  /** The fleet's ceiling; undefined while nobody knows of one. */
  get fleet(): SetNode | undefined {
    return this.namespaces.get(FLEET_CEILING.namespace)?.sets.get(FLEET_CEILING.name);
  }

  /** How many nodes there are. */
  get size(): number {
    let size = this.clusters.size + this.#claims.size;
    for (const { sets, policies, providers, bindings, profiles, principals, bound } of this.namespaces.values())
      size +=
        1 + sets.size + policies.size + providers.size + bindings.size + profiles.size + principals.size + bound.size;
    return size;
  }

  /** Takes a change in. An object on its way out counts as gone, but for a cluster, which stays registered until it is. */
  apply(change: PermissionChange): void {
    if (change.type === "remove") {
      this.#remove(change.kind, change.namespace, change.name);
      return;
    }
    const { object } = change;
    const { namespace = "", name, deletionTimestamp } = object.metadata;
    if (deletionTimestamp !== undefined && object.kind !== "TalosCluster") this.#remove(object.kind, namespace, name);
    else this.#put(object, namespace, name);
  }

  /** Marks everything: a look at the whole, whatever was heard before. */
  markAll(): void {
    for (const { sets, policies, providers, bindings, profiles } of this.namespaces.values()) {
      for (const node of sets.values()) this.dirty.sets.add(node);
      for (const node of policies.values()) this.dirty.policies.add(node);
      for (const node of providers.values()) this.dirty.providers.add(node);
      for (const node of bindings.values()) this.dirty.bindings.add(node);
      for (const node of profiles.values()) this.dirty.profiles.add(node);
    }
    for (const node of this.#claims.values()) this.dirty.claims.add(node);
    for (const node of this.clusters.values()) this.dirty.clusters.add(node);
  }

  /** Profiles of a namespace with a principal have to be looked at again. */
  markPrincipal(home: NamespaceNode, principal: string): void {
    for (const profile of home.principals.of(principal)) this.dirty.profiles.add(profile);
  }

  /** Lets go of a node that is neither there nor named by anybody, nor has to be told of. */
  release(node: SetNode | PolicyNode | ProviderNode | BindingNode | ProfileNode): void {
    if (node.object !== undefined || node.judged !== undefined || isNamed(node)) return;
    const { home } = node;
    if (node instanceof SetNode) drop(home.sets, node);
    else if (node instanceof PolicyNode) drop(home.policies, node);
    else if (node instanceof ProviderNode) drop(home.providers, node);
    else if (node instanceof BindingNode) drop(home.bindings, node);
    else drop(home.profiles, node);
    if (home.isEmpty) drop(this.namespaces, home);
  }

  /** The same for a cluster. */
  releaseCluster(node: ClusterNode): void {
    if (node.objects.size + node.profiles.size === 0 && node.snapshot === undefined) this.clusters.delete(node.name);
  }

  #put(object: PermissionObject, namespace: string, name: string): void {
    switch (object.kind) {
      case "PermissionSet":
        return this.#putSet(this.#home(namespace).set(name), object);
      case "RBACPolicy":
        return this.#putPolicy(this.#home(namespace).policy(name), object);
      case "RBACProfile":
        return this.#putProfile(this.#home(namespace).profile(name), object);
      case "IdentityProvider":
        return this.#putProvider(this.#home(namespace).provider(name), object);
      case "IdentityBinding":
        return this.#putBinding(this.#home(namespace).binding(name), object);
      case "TalosCluster":
        return this.#putCluster(namespace, name, object);
    }
  }

  #remove(kind: PermissionObject["kind"], namespace: string, name: string): void {
    if (kind === "TalosCluster") {
      this.#putCluster(namespace, name, undefined);
      return;
    }
    const home = this.namespaces.get(namespace);
    if (home === undefined) return;
    const { sets, policies, providers, bindings, profiles } = home;
    switch (kind) {
      case "PermissionSet":
        return ifThere(sets.get(name), (node) => this.#putSet(node, undefined));
      case "RBACPolicy":
        return ifThere(policies.get(name), (node) => this.#putPolicy(node, undefined));
      case "RBACProfile":
        return ifThere(profiles.get(name), (node) => this.#putProfile(node, undefined));
      case "IdentityProvider":
        return ifThere(providers.get(name), (node) => this.#putProvider(node, undefined));
      case "IdentityBinding":
        return ifThere(bindings.get(name), (node) => this.#putBinding(node, undefined));
    }
  }

  #putSet(node: SetNode, object: PermissionSet | undefined): void {
    node.object = object;
    if (object !== undefined && isClusterMaximum({ namespace: node.home.name, name: node.name })) this.maxima.add(node);
    else this.maxima.delete(node);
    this.dirty.sets.add(node);
  }

  #putPolicy(node: PolicyNode, object: RBACPolicy | undefined): void {
    node.object = object;
    const before = node.ceilings;
    node.ceilings =
      object === undefined ? [] : ceilingChain(object).map(({ namespace, name }) => this.#home(namespace).set(name));
    for (const ceiling of node.ceilings) ceiling.policies.add(node);
    for (const ceiling of before)
      if (!node.ceilings.includes(ceiling)) {
        ceiling.policies.delete(node);
        this.release(ceiling);
      }
    this.dirty.policies.add(node);
  }

  #putProvider(node: ProviderNode, object: IdentityProvider | undefined): void {
    node.object = object;
    this.dirty.providers.add(node);
  }

  #putBinding(node: BindingNode, object: IdentityBinding | undefined): void {
    const { home, principal: formerly, provider: before } = node;
    const principal = object?.spec.principalName;
    const ref = object?.spec.identityProviderRef ?? "";
    node.object = object;
    node.principal = principal;
    node.provider = ref === "" ? undefined : home.provider(ref);
    node.provider?.bindings.add(node);
    if (before !== undefined && before !== node.provider) {
      before.bindings.delete(node);
      this.release(before);
    }
    if (formerly !== principal) {
      if (formerly !== undefined) home.bound.delete(formerly, node);
      if (principal !== undefined) home.bound.add(principal, node);
    }
    this.dirty.bindings.add(node);
  }

  #putProfile(node: ProfileNode, object: RBACProfile | undefined): void {
    node.object = object;
    this.#nameRefs(node, object);
    this.#namePrincipal(node, object);
    this.#stand(node, object);
    this.dirty.profiles.add(node);
  }

  #nameRefs(node: ProfileNode, object: RBACProfile | undefined): void {
    const { home, policy, sets } = node;
    const ref = object?.spec.rbacPolicyRef ?? "";
    node.policy = ref === "" ? undefined : home.policy(ref);
    node.policy?.profiles.add(node);
    if (policy !== undefined && policy !== node.policy) {
      policy.profiles.delete(node);
      this.release(policy);
    }
    node.sets = declaredSets(home, object);
    for (const set of node.sets) set.profiles.add(node);
    for (const set of sets)
      if (!node.sets.includes(set)) {
        set.profiles.delete(node);
        this.release(set);
      }
  }

  #namePrincipal(node: ProfileNode, object: RBACProfile | undefined): void {
    const { home, principal: formerly } = node;
    const principal = object?.spec.principalRef;
    node.principal = principal;
    if (formerly !== principal) {
      if (formerly !== undefined && home.principals.delete(formerly, node)) this.#markBound(home, formerly);
      if (principal !== undefined && home.principals.add(principal, node)) this.#markBound(home, principal);
    }
    const claimed = object !== undefined && claimsPrincipal(object) ? object.spec.principalRef : undefined;
    const { claim } = node;
    // Even the same claim may have become another: who came first follows from the object.
    node.claim = claimed === undefined ? undefined : this.#claim(claimed);
    if (claim !== undefined && claim !== node.claim) {
      claim.profiles.delete(node);
      this.dirty.claims.add(claim);
    }
    if (node.claim === undefined) return;
    node.claim.profiles.add(node);
    this.dirty.claims.add(node.claim);
  }

  /** Bindings rest on whether anybody of their namespace has the principal. */
  #markBound(home: NamespaceNode, principal: string): void {
    for (const binding of home.bound.of(principal)) this.dirty.bindings.add(binding);
  }

  #stand(node: ProfileNode, object: RBACProfile | undefined): void {
    const before = node.clusters;
    const names = object === undefined ? [] : standingClusters(object, this.registry);
    const [only] = names;
    node.clusters =
      names.length === 1 && only !== undefined ? this.#cluster(only).alone : names.map((name) => this.#cluster(name));
    if (node.clusters === before) return;
    const held = new Set(before);
    for (const cluster of node.clusters) {
      if (held.delete(cluster)) continue;
      cluster.profiles.add(node);
      this.dirty.clusters.add(cluster);
    }
    for (const cluster of held) {
      cluster.profiles.delete(node);
      this.dirty.clusters.add(cluster);
    }
  }

  #putCluster(namespace: string, name: string, object: TalosCluster | undefined): void {
    const node = this.#cluster(name);
    const registered = node.objects.size > 0;
    if (object === undefined) node.objects.delete(namespace);
    else node.objects.set(namespace, object);
    if (node.objects.size > 0) this.#registered.add(name);
    else this.#registered.delete(name);
    // A policy may allow every registered cluster; who aims at no other cluster has nothing to do with this one.
    if (registered !== node.objects.size > 0) for (const profile of node.profiles) this.dirty.profiles.add(profile);
    this.dirty.clusters.add(node);
  }

  #home(namespace: string): NamespaceNode {
    let found = this.namespaces.get(namespace);
    if (found === undefined) {
      found = new NamespaceNode(namespace);
      this.namespaces.set(namespace, found);
    }
    return found;
  }

  #cluster(name: string): ClusterNode {
    let found = this.clusters.get(name);
    if (found === undefined) {
      found = new ClusterNode(name);
      this.clusters.set(name, found);
    }
    return found;
  }

  #claim(principal: string): ClaimNode {
    let found = this.#claims.get(principal);
    if (found === undefined) {
      found = new ClaimNode(principal);
      this.#claims.set(principal, found);
    }
    return found;
  }

  /** Lets go of a principal that nobody claims. */
  releaseClaim(node: ClaimNode): void {
    if (node.profiles.size === 0) this.#claims.delete(node.principal);
  }
}

/** True for a cluster that is governed as a tenant: any but the management cluster, which evaluates nothing from a snapshot. */
export function isTenant({ name, objects }: ClusterNode): boolean {
  if (!isClusterName(name)) return false;
  for (const { metadata, spec } of objects.values())
    if (spec.role !== "management" && metadata.deletionTimestamp === undefined) return true;
  return false;
}

/** Sets that a profile declares, each once. */
function declaredSets(home: NamespaceNode, object: RBACProfile | undefined): readonly SetNode[] {
  const declarations = object?.spec.permissionDeclarations ?? [];
  const [first] = declarations;
  if (declarations.length === 1 && first !== undefined) return home.set(first.permissionSetRef).alone;
  return [...new Set(declarations.map(({ permissionSetRef }) => home.set(permissionSetRef)))];
}

/** True when others name a node, whether or not it is there. */
function isNamed(node: SetNode | PolicyNode | ProviderNode | BindingNode | ProfileNode): boolean {
  if (node instanceof SetNode) return node.profiles.size + node.policies.size > 0;
  if (node instanceof PolicyNode) return node.profiles.size > 0;
  return node instanceof ProviderNode && node.bindings.size > 0;
}

/** Deletes exactly this node: another of its name may have come since. */
function drop<N extends { readonly name: string }>(map: Map<string, N>, node: N): void {
  if (map.get(node.name) === node) map.delete(node.name);
}

function ifThere<N>(node: N | undefined, then: (node: N) => void): void {
  if (node !== undefined) then(node);
}
