import type { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import type { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import type { PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import type { ComputedContent } from "../../permissions/builder/computed-content.ts";
import type { ProfileVerdict } from "../../permissions/validation/validate-rbac-profile.ts";
import { MemberMap } from "./member-map.ts";
import type { Judged, JudgedPolicy, JudgedProfile, JudgedSet } from "./permission-view.ts";

/*
 * Nodes of the effective permission graph. A node is there while its object is, or while another object names it: what is missing has
 * dependents too. Each holds those who rest on it, so that a change finds them without a search, and counts them (permissions §17).
 */

/** A PermissionSet. */
export class SetNode {
  readonly home: NamespaceNode;
  readonly name: string;
  object: PermissionSet | undefined;
  judged: JudgedSet | undefined;
  /** Profiles that declare it. */
  readonly profiles = new Set<ProfileNode>();
  /** Policies that have it as a ceiling. */
  readonly policies = new Set<PolicyNode>();
  /** The list of this node alone: most profiles declare one set. */
  readonly alone: readonly SetNode[] = [this];

  constructor(home: NamespaceNode, name: string) {
    this.home = home;
    this.name = name;
  }
}

/** An RBACPolicy. */
export class PolicyNode {
  readonly home: NamespaceNode;
  readonly name: string;
  object: RBACPolicy | undefined;
  judged: JudgedPolicy | undefined;
  /** Profiles under it. */
  readonly profiles = new Set<ProfileNode>();
  /** Every ceiling over it. */
  ceilings: readonly SetNode[] = [];
  /** The verdict that most profiles under it have, so that they share it. */
  usual: ProfileVerdict | undefined;

  constructor(home: NamespaceNode, name: string) {
    this.home = home;
    this.name = name;
  }
}

/** An IdentityProvider. */
export class ProviderNode {
  readonly home: NamespaceNode;
  readonly name: string;
  object: IdentityProvider | undefined;
  judged: Judged<IdentityProvider> | undefined;
  readonly bindings = new Set<BindingNode>();

  constructor(home: NamespaceNode, name: string) {
    this.home = home;
    this.name = name;
  }
}

/** An IdentityBinding. */
export class BindingNode {
  readonly home: NamespaceNode;
  readonly name: string;
  object: IdentityBinding | undefined;
  judged: Judged<IdentityBinding> | undefined;
  provider: ProviderNode | undefined;
  /** Principal of its namespace that it binds to; undefined while there is no object. */
  principal: string | undefined;

  constructor(home: NamespaceNode, name: string) {
    this.home = home;
    this.name = name;
  }
}

/** An RBACProfile. */
export class ProfileNode {
  readonly home: NamespaceNode;
  readonly name: string;
  object: RBACProfile | undefined;
  judged: JudgedProfile | undefined;
  policy: PolicyNode | undefined;
  /** Sets that it declares, each once. */
  sets: readonly SetNode[] = [];
  /** Where it stands. */
  clusters: readonly ClusterNode[] = [];
  /** Its principal; undefined while there is no object. */
  principal: string | undefined;
  /** The fleet-wide principal that it claims for its tenant. */
  claim: ClaimNode | undefined;

  constructor(home: NamespaceNode, name: string) {
    this.home = home;
    this.name = name;
  }
}

/** A cluster, registered or only named. */
export class ClusterNode {
  readonly name: string;
  /** Its TalosClusters by namespace; there should be one. */
  readonly objects = new Map<string, TalosCluster>();
  readonly profiles = new Set<ProfileNode>();
  /** The list of this node alone: nearly every profile stands on one cluster. */
  readonly alone: readonly ClusterNode[] = [this];
  snapshot: ComputedContent | undefined;

  constructor(name: string) {
    this.name = name;
  }
}

/** A principal that is one and the same somebody everywhere, and the tenants' profiles that name it. */
export class ClaimNode {
  readonly principal: string;
  readonly profiles = new Set<ProfileNode>();
  /** Who came first. */
  first: ProfileNode | undefined;

  constructor(principal: string) {
    this.principal = principal;
  }
}

/** One namespace of the graph: policies, sets and identities are named by objects of their own namespace alone (permissions §2). */
export class NamespaceNode {
  readonly name: string;
  readonly sets = new Map<string, SetNode>();
  readonly policies = new Map<string, PolicyNode>();
  readonly providers = new Map<string, ProviderNode>();
  readonly bindings = new Map<string, BindingNode>();
  readonly profiles = new Map<string, ProfileNode>();
  /** Profiles by principal. */
  readonly principals = new MemberMap<ProfileNode>();
  /** Bindings by the principal that they bind to, valid or not. */
  readonly bound = new MemberMap<BindingNode>();

  constructor(name: string) {
    this.name = name;
  }

  get isEmpty(): boolean {
    const { sets, policies, providers, bindings, profiles } = this;
    return sets.size + policies.size + providers.size + bindings.size + profiles.size === 0;
  }

  set(name: string): SetNode {
    let node = this.sets.get(name);
    if (node === undefined) this.sets.set(name, (node = new SetNode(this, name)));
    return node;
  }

  policy(name: string): PolicyNode {
    let node = this.policies.get(name);
    if (node === undefined) this.policies.set(name, (node = new PolicyNode(this, name)));
    return node;
  }

  provider(name: string): ProviderNode {
    let node = this.providers.get(name);
    if (node === undefined) this.providers.set(name, (node = new ProviderNode(this, name)));
    return node;
  }

  binding(name: string): BindingNode {
    let node = this.bindings.get(name);
    if (node === undefined) this.bindings.set(name, (node = new BindingNode(this, name)));
    return node;
  }

  profile(name: string): ProfileNode {
    let node = this.profiles.get(name);
    if (node === undefined) this.profiles.set(name, (node = new ProfileNode(this, name)));
    return node;
  }
}
