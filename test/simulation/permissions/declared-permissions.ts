import type { IdentityBinding } from "../../../src/api/kinds/identity-binding.ts";
import type { PermissionRule, PermissionSet } from "../../../src/api/kinds/permission-set.ts";
import type { RBACPolicy } from "../../../src/api/kinds/rbac-policy.ts";
import type { RBACProfile } from "../../../src/api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../../src/api/kinds/talos-cluster.ts";
import { NAMESPACES, PERMISSION_LAYERS, tenantNamespace } from "../../../src/api/names.ts";
import type { PermissionWorld } from "../../../src/governance/engine/permission-world.ts";

/** Snapshots of a run are fresh for this long, seconds. */
export const WINDOW_SECONDS = 60;
/** And decide for this long without renewal, seconds. */
export const OFFLINE_SECONDS = 180;

const API_VERSION = "guardian.ontai.dev/v1alpha1";
const EVERYTHING: PermissionRule = { apiGroups: ["*"], resources: ["*"], verbs: ["*"] };
/** What a tightened ceiling leaves of a grant. */
export const CEILING_VERB = "get";
/** Names in a rule that make content larger than one Secret may carry. */
const BIG_NAMES = 2_600;

/** Who is asked about on a cluster. */
export function principalOf(cluster: string): string {
  return `alice-${cluster}`;
}

/** The namespace and the name of the service account that a binding makes the principal of a cluster. */
const ACCOUNT = { namespace: "apps", name: "robot" };
/** As Kubernetes names it. */
export const ACCOUNT_USER = `system:serviceaccount:${ACCOUNT.namespace}:${ACCOUNT.name}`;
/** Verbs that somebody asks about although they are not granted any more, or are cut off by a ceiling. */
const MAX_DENIED = 12;

/** What somebody may do with pods on one cluster, said without any rule algebra. */
export interface Expected {
  /** Verbs with any name. */
  readonly verbs: ReadonlySet<string>;
  /** Verbs that were granted once, or are and do not stand. */
  readonly denied: ReadonlySet<string>;
  readonly suspended: boolean;
  /** A service account is the principal too. */
  readonly bound: boolean;
  /** Somebody has a profile: what the cluster's own RBAC grants the principal is compared with it. */
  readonly governed: boolean;
  /** More is granted than verbs with pods. */
  readonly more: boolean;
}

/** The declared objects at one moment, with what follows from them. */
export interface Declared {
  readonly world: PermissionWorld;
  readonly expected: ReadonlyMap<string, Expected>;
}

interface Tenant {
  readonly objects: Pick<PermissionWorld, "sets" | "policies"> & { readonly cluster: TalosCluster };
  /** By profile: the verb it grants. */
  readonly grants: Map<
    string,
    { readonly verb: string; readonly big: boolean; readonly set: PermissionSet; readonly profile: RBACProfile }
  >;
  suspended: boolean;
  bound: boolean;
  /** Every verb that was ever granted, newest last. */
  readonly granted: string[];
  ceiling: PermissionSet;
  tightened: boolean;
}

/** What people and GitOps declare on the management cluster, and the oracle of what it means. */
export class DeclaredPermissions {
  readonly #tenants: Map<string, Tenant> = new Map();
  readonly #fleet = permissionSet(NAMESPACES.seam, PERMISSION_LAYERS.fleet.maximum, EVERYTHING);
  #verbs = 0;
  #current: Declared;

  constructor(clusters: readonly string[]) {
    for (const name of clusters) {
      const home = tenantNamespace(name);
      const cluster: TalosCluster = {
        apiVersion: "seam.ontai.dev/v1alpha1",
        kind: "TalosCluster",
        metadata: { name, namespace: home },
        spec: { mode: "import", role: "tenant" },
      };
      const ceiling = permissionSet(home, PERMISSION_LAYERS.cluster.maximum, EVERYTHING);
      const objects = { cluster, sets: [], policies: [policyOf(home, name)] };
      this.#tenants.set(name, {
        objects,
        grants: new Map(),
        granted: [],
        ceiling,
        suspended: false,
        bound: false,
        tightened: false,
      });
    }
    this.#current = this.#declare();
  }

  get current(): Declared {
    return this.#current;
  }

  /** A profile grants one more verb than ever before; another one than it did, when it exists. */
  grant(cluster: string, profile: string, big: boolean): void {
    const tenant = this.#tenant(cluster);
    const verb = `v${++this.#verbs}`;
    const home = tenantNamespace(cluster);
    const names = Array.from({ length: BIG_NAMES }, (_, i) => `${String(i).padStart(6, "0")}${"n".repeat(230)}`);
    const pods: PermissionRule = { apiGroups: [""], resources: ["pods"], verbs: [verb, CEILING_VERB] };
    const named: PermissionRule = { apiGroups: [""], resources: ["secrets"], verbs: ["get"], resourceNames: names };
    const set = permissionSet(home, `set-${profile}`, ...(big ? [pods, named] : [pods]));
    tenant.granted.push(verb);
    tenant.grants.set(profile, { verb, big, set, profile: profileOf(cluster, profile, tenant.suspended) });
    this.#current = this.#declare();
  }

  /** A profile is deleted. */
  remove(cluster: string, profile: string): void {
    this.#tenant(cluster).grants.delete(profile);
    this.#current = this.#declare();
  }

  /** The ceiling of the cluster leaves `get` alone, or everything again. */
  tighten(cluster: string): void {
    const tenant = this.#tenant(cluster);
    tenant.tightened = !tenant.tightened;
    const rule = tenant.tightened ? { ...EVERYTHING, verbs: [CEILING_VERB] } : EVERYTHING;
    tenant.ceiling = permissionSet(tenantNamespace(cluster), PERMISSION_LAYERS.cluster.maximum, rule);
    this.#current = this.#declare();
  }

  /** Everybody with a profile is suspended, or not any more. */
  suspend(cluster: string): void {
    const tenant = this.#tenant(cluster);
    tenant.suspended = !tenant.suspended;
    for (const [name, grant] of tenant.grants)
      tenant.grants.set(name, { ...grant, profile: profileOf(cluster, name, tenant.suspended) });
    this.#current = this.#declare();
  }

  /** A service account becomes the principal of the cluster, or is not any more. */
  bind(cluster: string): void {
    const tenant = this.#tenant(cluster);
    tenant.bound = !tenant.bound;
    this.#current = this.#declare();
  }

  #tenant(cluster: string): Tenant {
    const tenant = this.#tenants.get(cluster);
    if (tenant === undefined) throw new Error(`no such cluster ${cluster}`);
    return tenant;
  }

  #declare(): Declared {
    const tenants = [...this.#tenants.values()];
    const grants = tenants.flatMap((tenant) => [...tenant.grants.values()]);
    const expected = new Map<string, Expected>();
    for (const [name, tenant] of this.#tenants) {
      const given = [...tenant.grants.values()];
      const suspended = tenant.suspended && given.length > 0;
      const verbs = given.flatMap(({ verb }) => (tenant.tightened ? [CEILING_VERB] : [verb, CEILING_VERB]));
      const stands = new Set(suspended ? [] : verbs);
      const denied = new Set(tenant.granted.slice(-MAX_DENIED).filter((verb) => !stands.has(verb)));
      const governed = given.length > 0;
      const bound = tenant.bound && governed;
      const more = given.some(({ big }) => big);
      expected.set(name, { verbs: stands, denied, suspended, bound, governed, more });
    }
    return {
      expected,
      world: {
        clusters: tenants.map(({ objects }) => objects.cluster),
        sets: [this.#fleet, ...tenants.map(({ ceiling }) => ceiling), ...grants.map(({ set }) => set)],
        policies: tenants.flatMap(({ objects }) => objects.policies),
        profiles: grants.map(({ profile }) => profile),
        providers: [],
        bindings: [...this.#tenants].filter(([, { bound }]) => bound).map(([name]) => bindingOf(name)),
        managementCluster: "management",
      },
    };
  }
}

function permissionSet(namespace: string, name: string, ...permissions: readonly PermissionRule[]): PermissionSet {
  return { apiVersion: API_VERSION, kind: "PermissionSet", metadata: { namespace, name }, spec: { permissions } };
}

function policyOf(namespace: string, cluster: string): RBACPolicy {
  return {
    apiVersion: API_VERSION,
    kind: "RBACPolicy",
    metadata: { namespace, name: PERMISSION_LAYERS.cluster.policy },
    spec: {
      subjectScope: "tenant",
      allowedClusters: [cluster],
      maximumPermissionSetRef: PERMISSION_LAYERS.cluster.maximum,
      enforcementMode: "audit",
    },
  };
}

function bindingOf(cluster: string): IdentityBinding {
  return {
    apiVersion: API_VERSION,
    kind: "IdentityBinding",
    metadata: { namespace: tenantNamespace(cluster), name: ACCOUNT.name, generation: 1 },
    spec: {
      identityType: "serviceAccount",
      trustMethod: "token",
      tokenMaxTTLSeconds: 600,
      principalName: principalOf(cluster),
      serviceAccountConfig: ACCOUNT,
    },
  };
}

function profileOf(cluster: string, name: string, suspend: boolean): RBACProfile {
  return {
    apiVersion: API_VERSION,
    kind: "RBACProfile",
    metadata: { namespace: tenantNamespace(cluster), name, generation: 1 },
    spec: {
      principalRef: principalOf(cluster),
      targetClusters: [cluster],
      permissionDeclarations: [{ permissionSetRef: `set-${name}`, scope: "cluster" }],
      rbacPolicyRef: PERMISSION_LAYERS.cluster.policy,
      ...(suspend && { suspend }),
    },
  };
}
