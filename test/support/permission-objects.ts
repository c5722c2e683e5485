import type { IdentityBinding } from "../../src/api/kinds/identity-binding.ts";
import type { IdentityProvider } from "../../src/api/kinds/identity-provider.ts";
import type { PermissionRule, PermissionSet } from "../../src/api/kinds/permission-set.ts";
import type { RBACPolicy, RBACPolicySpec } from "../../src/api/kinds/rbac-policy.ts";
import type { RBACProfile, RBACProfileSpec } from "../../src/api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../src/api/kinds/talos-cluster.ts";
import {
  type PermissionChange,
  type PermissionObject,
  objectName,
} from "../../src/governance/engine/permission-object.ts";
import type { PermissionWorld } from "../../src/governance/engine/permission-world.ts";

/** Three tenants, enough to tell one from the others. */
export const CLUSTERS = ["c1", "c2", "c3"];
export const ISSUER = "https://sso.example.net";
export const PODS: PermissionRule = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
export const ALL: PermissionRule = { apiGroups: ["*"], resources: ["*"], verbs: ["*"] };

const API = "guardian.ontai.dev/v1alpha1";

export function permissionSet(
  namespace: string,
  name: string,
  ...permissions: readonly PermissionRule[]
): PermissionSet {
  return { apiVersion: API, kind: "PermissionSet", metadata: { namespace, name }, spec: { permissions } };
}

/** By default under the ceiling of its layer, for every cluster, trimming. */
export function policy(namespace: string, name: string, spec: Partial<RBACPolicySpec> = {}): RBACPolicy {
  const maximumPermissionSetRef = namespace === "seam-system" ? "management-maximum" : "cluster-maximum";
  return {
    apiVersion: API,
    kind: "RBACPolicy",
    metadata: { namespace, name },
    spec: {
      subjectScope: "tenant",
      allowedClusters: ["*"],
      maximumPermissionSetRef,
      enforcementMode: "audit",
      ...spec,
    },
  };
}

/** By default a service account of its name with the set `claims` on every cluster. */
export function profile(
  namespace: string,
  name: string,
  spec: Partial<RBACProfileSpec> = {},
  metadata: Partial<RBACProfile["metadata"]> = {},
): RBACProfile {
  return {
    apiVersion: API,
    kind: "RBACProfile",
    metadata: { namespace, name, generation: 1, ...metadata },
    spec: {
      principalRef: `system:serviceaccount:${name}:${name}`,
      targetClusters: CLUSTERS,
      permissionDeclarations: [{ permissionSetRef: "claims", scope: "cluster" }],
      rbacPolicyRef: namespace === "seam-system" ? "fleet" : "cluster-policy",
      ...spec,
    },
  };
}

export function talosCluster(
  name: string,
  role: TalosCluster["spec"]["role"] = "tenant",
  metadata: Partial<TalosCluster["metadata"]> = {},
): TalosCluster {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "TalosCluster",
    metadata: { name, namespace: `seam-tenant-${name}`, ...metadata },
    spec: { mode: "import", role },
  };
}

/** An OIDC provider `sso`. */
export function provider(namespace: string, issuerURL = ISSUER): IdentityProvider {
  return {
    apiVersion: API,
    kind: "IdentityProvider",
    metadata: { namespace, name: "sso" },
    spec: { type: "oidc", issuerURL, allowedAudiences: ["seam"] },
  };
}

/** Somebody of {@link provider} and the group `ops` as a principal. */
export function binding(namespace: string, name: string, principalName: string, subject = name): IdentityBinding {
  return {
    apiVersion: API,
    kind: "IdentityBinding",
    metadata: { namespace, name },
    spec: {
      identityType: "oidc",
      principalName,
      trustMethod: "token",
      tokenMaxTTLSeconds: 600,
      identityProviderRef: "sso",
      oidcConfig: { issuer: ISSUER, subject, groups: ["ops"] },
    },
  };
}

/** Objects that a test changes one by one. */
export class TestWorld {
  readonly #objects = new Map<string, PermissionObject>();

  put(object: PermissionObject): PermissionChange {
    this.#objects.set(objectName(object), object);
    return { type: "put", object };
  }

  /** @param name `Kind namespace/name` */
  remove(name: string): PermissionChange {
    const [kind = "", key = ""] = name.split(" ");
    const [namespace = "", called = ""] = key.split("/");
    this.#objects.delete(name);
    return { type: "remove", kind: kind as PermissionObject["kind"], namespace, name: called };
  }

  get objects(): readonly PermissionObject[] {
    return [...this.#objects.values()];
  }

  get world(): PermissionWorld {
    return worldOf(this.objects, "m");
  }
}

/** The world of some objects, by kind and in their order. */
export function worldOf(objects: readonly PermissionObject[], managementCluster: string): PermissionWorld {
  const of = <K extends PermissionObject["kind"]>(kind: K) =>
    objects.filter((object): object is Extract<PermissionObject, { readonly kind: K }> => object.kind === kind);
  return {
    clusters: of("TalosCluster"),
    sets: of("PermissionSet"),
    policies: of("RBACPolicy"),
    profiles: of("RBACProfile"),
    providers: of("IdentityProvider"),
    bindings: of("IdentityBinding"),
    managementCluster,
  };
}

/** Two layers over three tenants, with one claim and one profile per namespace of a tenant. */
export function layeredWorld(): TestWorld {
  const world = new TestWorld();
  world.put(permissionSet("seam-system", "management-maximum", ALL));
  world.put(permissionSet("seam-system", "claims", PODS));
  world.put(policy("seam-system", "fleet"));
  for (const name of CLUSTERS) {
    const home = `seam-tenant-${name}`;
    world.put(talosCluster(name));
    world.put(permissionSet(home, "cluster-maximum", ALL));
    world.put(permissionSet(home, "claims", PODS, { ...PODS, verbs: ["delete"] }));
    world.put(policy(home, "cluster-policy", { allowedClusters: [name] }));
    world.put(profile(home, "web", { targetClusters: [name] }));
  }
  return world;
}
