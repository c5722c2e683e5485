import { describe, expect, it } from "vitest";
import type { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import type { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import type { PermissionRule, PermissionSet } from "../../api/kinds/permission-set.ts";
import type { RBACPolicy, RBACPolicySpec } from "../../api/kinds/rbac-policy.ts";
import type { RBACProfile, RBACProfileSpec } from "../../api/kinds/rbac-profile.ts";
import type { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { type Random, SeededRandom, integerBetween } from "../../base/random.ts";
import { UNIVERSE } from "../../../test/oracle/rule-universe.ts";
import { indexOf } from "../../permissions/index/permission-index.ts";
import { ruleAllows } from "../../permissions/rules/match.ts";
import { ruleOf } from "../../permissions/rules/rule.ts";
import { PermissionEngine, type PermissionView, type PermissionWorld } from "./permission-engine.ts";

const CLUSTERS = ["c1", "c2", "c3"];
const ISSUER = "https://sso.example.net";
const PODS: PermissionRule = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
const ALL: PermissionRule = { apiGroups: ["*"], resources: ["*"], verbs: ["*"] };

function set(namespace: string, name: string, ...permissions: readonly PermissionRule[]): PermissionSet {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "PermissionSet",
    metadata: { namespace, name },
    spec: { permissions },
  };
}

function policy(namespace: string, name: string, spec: Partial<RBACPolicySpec> = {}): RBACPolicy {
  const maximumPermissionSetRef = namespace === "seam-system" ? "management-maximum" : "cluster-maximum";
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
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

function profile(namespace: string, name: string, spec: Partial<RBACProfileSpec> = {}): RBACProfile {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "RBACProfile",
    metadata: { namespace, name, generation: 1 },
    spec: {
      principalRef: `system:serviceaccount:${name}:${name}`,
      targetClusters: CLUSTERS,
      permissionDeclarations: [{ permissionSetRef: "claims", scope: "cluster" }],
      rbacPolicyRef: namespace === "seam-system" ? "fleet" : "cluster-policy",
      ...spec,
    },
  };
}

function talos(name: string): TalosCluster {
  return {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "TalosCluster",
    metadata: { name, namespace: `seam-tenant-${name}` },
    spec: { mode: "import", role: "tenant" },
  };
}

function provider(namespace: string, issuerURL = ISSUER): IdentityProvider {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "IdentityProvider",
    metadata: { namespace, name: "sso" },
    spec: { type: "oidc", issuerURL, allowedAudiences: ["seam"] },
  };
}

function binding(namespace: string, name: string, principalName: string, subject = name): IdentityBinding {
  return {
    apiVersion: "guardian.ontai.dev/v1alpha1",
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

interface World {
  readonly clusters: Map<string, TalosCluster>;
  readonly sets: Map<string, PermissionSet>;
  readonly policies: Map<string, RBACPolicy>;
  readonly profiles: Map<string, RBACProfile>;
  readonly providers: Map<string, IdentityProvider>;
  readonly bindings: Map<string, IdentityBinding>;
}

function put<T extends { readonly metadata: { readonly namespace?: string; readonly name: string } }>(
  map: Map<string, T>,
  object: T,
): void {
  map.set(`${object.metadata.namespace ?? ""}/${object.metadata.name}`, object);
}

function emptyWorld(): World {
  return {
    clusters: new Map(),
    sets: new Map(),
    policies: new Map(),
    profiles: new Map(),
    providers: new Map(),
    bindings: new Map(),
  };
}

/** Two layers over three tenants, with one claim per namespace. */
function layeredWorld(): World {
  const world = emptyWorld();
  put(world.sets, set("seam-system", "management-maximum", ALL));
  put(world.sets, set("seam-system", "claims", PODS));
  put(world.policies, policy("seam-system", "fleet"));
  for (const name of CLUSTERS) {
    const home = `seam-tenant-${name}`;
    put(world.clusters, talos(name));
    put(world.sets, set(home, "cluster-maximum", ALL));
    put(world.sets, set(home, "claims", PODS, { ...PODS, verbs: ["delete"] }));
    put(world.policies, policy(home, "cluster-policy", { allowedClusters: [name] }));
    put(world.profiles, profile(home, "web", { targetClusters: [name] }));
  }
  return world;
}

function worldOf({ clusters, sets, policies, profiles, providers, bindings }: World): PermissionWorld {
  return {
    clusters: [...clusters.values()],
    sets: [...sets.values()],
    policies: [...policies.values()],
    profiles: [...profiles.values()],
    providers: [...providers.values()],
    bindings: [...bindings.values()],
    managementCluster: "m",
  };
}

/** Everything that people and tenants see of a view. */
function visible(view: PermissionView) {
  const verdicts = <V extends { readonly verdict: { readonly reason: string; readonly message: string } }>(
    entries: ReadonlyMap<string, V>,
  ) => Object.fromEntries([...entries].map(([key, { verdict }]) => [key, `${verdict.reason}: ${verdict.message}`]));
  return {
    sets: verdicts(view.sets),
    policies: verdicts(view.policies),
    profiles: verdicts(view.profiles),
    providers: verdicts(view.providers),
    bindings: verdicts(view.bindings),
    snapshots: Object.fromEntries([...view.snapshots].map(([name, { contentHash }]) => [name, contentHash])),
  };
}

function pick<T>(random: Random, list: readonly T[]): T {
  const value = list[integerBetween(random, 0, list.length - 1)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}

const RULES: readonly PermissionRule[] = [
  PODS,
  ALL,
  { apiGroups: [""], resources: ["*"], verbs: ["get", "list"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get"], resourceNames: ["a"] },
  { apiGroups: ["apps"], resources: ["deployments", "*/scale"], verbs: ["update"] },
  { apiGroups: [], resources: [], verbs: [] },
];
const NAMESPACES = ["seam-system", ...CLUSTERS.map((name) => `seam-tenant-${name}`)];

/** One random change: something appears, changes, is touched without change, or goes. */
function change(world: World, random: Random): void {
  const namespace = pick(random, NAMESPACES);
  const rules = [pick(random, RULES), pick(random, RULES)];
  const drop = random.next() < 0.2;
  switch (integerBetween(random, 0, 7)) {
    case 6: {
      if (drop) world.providers.delete(`${namespace}/sso`);
      else put(world.providers, provider(namespace, pick(random, [ISSUER, "http://plain.example.net"])));
      return;
    }
    case 7: {
      const name = pick(random, ["one", "two"]);
      const principal = pick(random, ["ada", "system:serviceaccount:web:web", "nobody"]);
      if (drop) world.bindings.delete(`${namespace}/${name}`);
      else put(world.bindings, binding(namespace, name, principal, pick(random, ["x", "y"])));
      return;
    }
    case 0: {
      const name = pick(random, [
        "claims",
        "other",
        namespace === "seam-system" ? "management-maximum" : "cluster-maximum",
      ]);
      if (drop) world.sets.delete(`${namespace}/${name}`);
      else put(world.sets, set(namespace, name, ...rules));
      return;
    }
    case 1: {
      const name = namespace === "seam-system" ? "fleet" : "cluster-policy";
      const enforcementMode = pick(random, ["audit", "strict"] as const);
      const allowedClusters = pick(random, [["*"], ["c1"], ["c2", "c3"], []]);
      if (drop) world.policies.delete(`${namespace}/${name}`);
      else put(world.policies, policy(namespace, name, { enforcementMode, allowedClusters }));
      return;
    }
    case 2: {
      const name = pick(random, CLUSTERS);
      if (drop) world.clusters.delete(`seam-tenant-${name}/${name}`);
      else put(world.clusters, talos(name));
      return;
    }
    default: {
      const name = pick(random, ["web", "db", "ada"]);
      const permissionSetRef = pick(random, ["claims", "other", "cluster-maximum"]);
      const spec: Partial<RBACProfileSpec> = {
        targetClusters: [pick(random, CLUSTERS), pick(random, CLUSTERS)],
        permissionDeclarations: [{ permissionSetRef, scope: pick(random, ["cluster", "namespaced"] as const) }],
        suspend: random.next() < 0.1,
        ...(name === "ada" && { principalRef: "ada" }),
      };
      if (drop) world.profiles.delete(`${namespace}/${name}`);
      else put(world.profiles, profile(namespace, name, spec));
    }
  }
}

describe("PermissionEngine", () => {
  it("after every change of a random sequence it stands where a new engine would", () => {
    let granted = 0;
    for (let seed = 0; seed < 25; seed++) {
      const random = new SeededRandom(seed);
      const world = layeredWorld();
      const engine = new PermissionEngine();
      let before = engine.compute(worldOf(world));
      for (let step = 0; step < 60; step++) {
        change(world, random);
        const now = engine.compute(worldOf(world));
        const full = new PermissionEngine().compute(worldOf(world));
        expect(visible(now), `seed ${seed}, step ${step}`).toEqual(visible(full));
        for (const [name, snapshot] of now.snapshots) {
          const held = before.snapshots.get(name);
          // Equal content is the same snapshot: nothing to sign, no new version.
          expect(held?.contentHash === snapshot.contentHash, `seed ${seed}, step ${step}`).toBe(held === snapshot);
          granted += snapshot.content.subjects.length;
        }
        before = now;
      }
    }
    expect(granted).toBeGreaterThan(1_000);
  });

  it("Invariant 2: nothing that is granted lies beyond any ceiling over it, whatever the objects", () => {
    let checked = 0;
    for (let seed = 100; seed < 110; seed++) {
      const random = new SeededRandom(seed);
      const world = layeredWorld();
      for (let step = 0; step < 30; step++) {
        change(world, random);
        const { snapshots } = new PermissionEngine().compute(worldOf(world));
        for (const [cluster, { content }] of snapshots) {
          const rulesOf = new Map(content.ruleSets.map(({ id, rules }) => [id, rules]));
          const ceilingOf = (namespace: string, name: string) =>
            world.sets.get(`${namespace}/${name}`)?.spec.permissions;
          for (const { ruleSet, source } of content.subjects.flatMap(({ bindings }) => bindings)) {
            const { profileNamespace: home, policy: name } = source;
            const own = world.policies.get(`${home}/${name}`)?.spec.maximumPermissionSetRef ?? "";
            const ceilings = [
              ceilingOf("seam-system", "management-maximum"),
              ceilingOf(home, own),
              ...(home === "seam-system" ? [] : [ceilingOf(home, "cluster-maximum")]),
            ];
            for (const ceiling of ceilings) {
              const granted = (rulesOf.get(ruleSet) ?? []).map(ruleOf);
              // Without a ceiling nothing may be granted at all.
              const beyond = UNIVERSE.filter(
                (request) =>
                  granted.some((rule) => ruleAllows(rule, request)) &&
                  !(ceiling ?? []).some((rule) => ruleAllows(ruleOf(rule), request)),
              );
              if (beyond.length > 0)
                throw new Error(`seed ${seed}, step ${step}, ${cluster}: ${JSON.stringify(beyond[0])}`);
              checked++;
            }
          }
        }
      }
    }
    expect(checked).toBeGreaterThan(500);
  });

  it("re-computes only the clusters that a change touches", () => {
    const world = layeredWorld();
    const engine = new PermissionEngine();
    const first = engine.compute(worldOf(world));
    expect([...first.recomputed].sort()).toEqual(CLUSTERS);
    expect([...engine.compute(worldOf(world)).recomputed]).toEqual([]);
    put(world.profiles, profile("seam-tenant-c2", "web", { targetClusters: ["c2"], principalRef: "bob" }));
    const second = engine.compute(worldOf(world));
    expect([...second.recomputed]).toEqual(["c2"]);
    expect(second.snapshots.get("c1")).toBe(first.snapshots.get("c1"));
    expect(second.snapshots.get("c2")).not.toBe(first.snapshots.get("c2"));
    put(world.sets, set("seam-tenant-c3", "claims", PODS));
    expect([...engine.compute(worldOf(world)).recomputed]).toEqual(["c3"]);
    put(world.profiles, profile("seam-system", "wide", { targetClusters: ["c1", "c3"] }));
    expect([...engine.compute(worldOf(world)).recomputed].sort()).toEqual(["c1", "c3"]);
    world.profiles.delete("seam-system/wide");
    expect([...engine.compute(worldOf(world)).recomputed].sort()).toEqual(["c1", "c3"]);
  });

  it("W1: one tenant's objects of the same names say nothing about another tenant", () => {
    const world = layeredWorld();
    put(world.sets, set("seam-tenant-c1", "cluster-maximum", { ...PODS, verbs: ["list"] }));
    const { snapshots } = new PermissionEngine().compute(worldOf(world));
    const bindings = CLUSTERS.map((name) => snapshots.get(name)?.content.subjects.length);
    expect(bindings).toEqual([0, 1, 1]);
  });

  it("W8: a tightened ceiling takes rights out of provisioned profiles, fleet-wide and at once", () => {
    const world = layeredWorld();
    const engine = new PermissionEngine();
    engine.compute(worldOf(world));
    put(world.sets, set("seam-system", "management-maximum", PODS));
    const tightened = engine.compute(worldOf(world));
    for (const name of CLUSTERS) {
      const snapshot = tightened.snapshots.get(name);
      if (snapshot === undefined) throw new Error("no snapshot");
      const index = indexOf(snapshot.content);
      const ask = (verb: string) =>
        index.decide(
          "system:serviceaccount:web:web",
          [],
          { form: "resource", verb, apiGroup: "", resource: "pods", subresource: "", name: "", namespace: "" },
          0,
        );
      expect([ask("get"), ask("delete")]).toEqual(["allowed", "noMatchingRule"]);
    }
    expect(tightened.sets.get("seam-tenant-c1/cluster-maximum")?.verdict.reason).toBe("CeilingExceeded");
    expect(tightened.profiles.get("seam-tenant-c1/web")?.verdict).toMatchObject({
      ok: true,
      compliance: { reason: "TrimmedInAudit", message: 'not granted claims: delete pods in ""' },
    });
  });

  it("W9: a cluster that loses its last grant gets an empty snapshot", () => {
    const world = layeredWorld();
    const engine = new PermissionEngine();
    engine.compute(worldOf(world));
    world.profiles.delete("seam-tenant-c1/web");
    expect(engine.compute(worldOf(world)).snapshots.get("c1")?.content).toMatchObject({ subjects: [], profiles: [] });
  });

  it("W19: an audit policy lets no tenant speak about another cluster", () => {
    const world = layeredWorld();
    put(world.policies, policy("seam-tenant-c1", "cluster-policy", { allowedClusters: ["*"] }));
    put(world.profiles, profile("seam-tenant-c1", "intruder"));
    const { snapshots, profiles } = new PermissionEngine().compute(worldOf(world));
    const named = CLUSTERS.map((name) =>
      snapshots.get(name)?.content.subjects.filter((subject) => subject.name === "intruder"),
    );
    expect(named.map((found) => found?.length)).toEqual([1, 0, 0]);
    expect(profiles.get("seam-tenant-c1/intruder")?.verdict.compliance?.reason).toBe("TrimmedInAudit");
  });

  it("W18: service accounts of third parties are tenants, those of operators are not", () => {
    const world = layeredWorld();
    put(world.profiles, profile("seam-tenant-c1", "cert", { principalRef: "system:serviceaccount:cert-manager:x" }));
    put(world.profiles, profile("seam-tenant-c1", "op", { principalRef: "system:serviceaccount:ont-system:x" }));
    const { profiles } = new PermissionEngine().compute(worldOf(world));
    expect(profiles.get("seam-tenant-c1/cert")?.verdict.ok).toBe(true);
    expect(profiles.get("seam-tenant-c1/op")?.verdict.reason).toBe("PolicyViolation");
  });

  it("W25: one bad reference leaves the others alone", () => {
    const world = layeredWorld();
    const declared = [{ permissionSetRef: "gone", scope: "cluster" as const }];
    put(world.profiles, profile("seam-tenant-c1", "bad", { permissionDeclarations: declared }));
    const { snapshots, profiles } = new PermissionEngine().compute(worldOf(world));
    expect(profiles.get("seam-tenant-c1/bad")?.verdict.reason).toBe("PermissionSetMissing");
    expect(snapshots.get("c1")?.content.subjects.map(({ name }) => name)).toEqual(["web"]);
  });

  it("without the fleet's ceiling nothing is granted", () => {
    const world = layeredWorld();
    world.sets.delete("seam-system/management-maximum");
    const { snapshots, profiles } = new PermissionEngine().compute(worldOf(world));
    expect(profiles.get("seam-tenant-c1/web")?.verdict.reason).toBe("PolicyNotReady");
    expect([...snapshots.values()].flatMap(({ content }) => content.subjects)).toEqual([]);
  });

  it("W23: a bound identity is a subject of its tenant with exactly the grants of the principal", () => {
    const world = layeredWorld();
    const home = "seam-tenant-c1";
    const web = "system:serviceaccount:web:web";
    put(world.providers, provider(home));
    put(world.bindings, binding(home, "ada", web));
    put(world.providers, provider("seam-tenant-c2"));
    put(world.bindings, binding("seam-tenant-c2", "eve", "system:serviceaccount:db:db"));
    const engine = new PermissionEngine();
    const { snapshots, bindings } = engine.compute(worldOf(world));
    expect(
      snapshots.get("c1")?.content.subjects.map(({ kind, name, principalRef }) => [kind, name, principalRef]),
    ).toEqual([
      ["Group", `oidc:${ISSUER}#ops`, web],
      ["ServiceAccount", "web", web],
      ["User", `oidc:${ISSUER}#ada`, web],
    ]);
    const [grants, ...others] = (snapshots.get("c1")?.content.subjects ?? []).map((subject) => subject.bindings);
    expect(others).toEqual([grants, grants]);
    expect(bindings.get("seam-tenant-c2/eve")?.verdict.reason).toBe("PrincipalNotInNamespace");
    expect(snapshots.get("c2")?.content.subjects.map(({ name }) => name)).toEqual(["web"]);
    world.providers.delete(`${home}/sso`);
    const without = engine.compute(worldOf(world));
    expect([...without.recomputed]).toEqual(["c1"]);
    expect(without.snapshots.get("c1")?.content.subjects.map(({ name }) => name)).toEqual(["web"]);
    expect(without.bindings.get(`${home}/ada`)?.verdict.reason).toBe("TrustAnchorNotFound");
  });

  it("a suspended principal is suspended under all its names", () => {
    const world = layeredWorld();
    const home = "seam-tenant-c1";
    const web = "system:serviceaccount:web:web";
    put(world.providers, provider(home));
    put(world.bindings, binding(home, "ada", web));
    put(world.profiles, profile(home, "web", { targetClusters: ["c1"], suspend: true }));
    const { snapshots } = new PermissionEngine().compute(worldOf(world));
    expect(snapshots.get("c1")?.content.suspendedPrincipals).toEqual([`oidc:${ISSUER}#ada`, web]);
  });

  it("a fleet-wide principal belongs to the tenant that named it first", () => {
    const world = layeredWorld();
    const ada = (namespace: string, creationTimestamp: string): RBACProfile => {
      const { metadata, ...rest } = profile(namespace, "ada", { principalRef: "ada" });
      return { ...rest, metadata: { ...metadata, creationTimestamp } };
    };
    put(world.profiles, ada("seam-tenant-c1", "2026-01-02T00:00:00Z"));
    put(world.profiles, ada("seam-tenant-c2", "2026-01-01T00:00:00Z"));
    put(world.profiles, ada("seam-system", "2026-01-03T00:00:00Z"));
    const { profiles } = new PermissionEngine().compute(worldOf(world));
    const reasons = ["seam-tenant-c1", "seam-tenant-c2", "seam-system"].map(
      (namespace) => profiles.get(`${namespace}/ada`)?.verdict.reason,
    );
    expect(reasons).toEqual(["PrincipalConflict", "ProvisioningComplete", "ProvisioningComplete"]);
  });
});
