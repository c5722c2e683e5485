import { describe, expect, it } from "vitest";
import { UNIVERSE } from "../../../test/oracle/rule-universe.ts";
import {
  ALL,
  CLUSTERS,
  ISSUER,
  PODS,
  type TestWorld,
  binding,
  layeredWorld,
  permissionSet,
  policy,
  profile,
  provider,
  talosCluster,
} from "../../../test/support/permission-objects.ts";
import type { PermissionRule } from "../../api/kinds/permission-set.ts";
import type { ObjectKey } from "../../api/object.ts";
import { atOnce } from "../../base/next-turn.ts";
import { type Random, SeededRandom, integerBetween } from "../../base/random.ts";
import { indexOf } from "../../permissions/index/permission-index.ts";
import { ruleAllows } from "../../permissions/rules/match.ts";
import { ruleOf } from "../../permissions/rules/rule.ts";
import type { PermissionEngine } from "./permission-engine.ts";
import type { PermissionChange } from "./permission-object.ts";
import { engineOf } from "./permission-world.ts";

const RULES: readonly PermissionRule[] = [
  PODS,
  ALL,
  { apiGroups: [""], resources: ["*"], verbs: ["get", "list"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get"], resourceNames: ["a"] },
  { apiGroups: ["apps"], resources: ["deployments", "*/scale"], verbs: ["update"] },
];
const NAMESPACES = ["seam-system", ...CLUSTERS.map((name) => `seam-tenant-${name}`)];

function pick<T>(random: Random, list: readonly T[]): T {
  const value = list[integerBetween(random, 0, list.length - 1)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}

/** A world with other rules, ceilings, policies and profiles than the layered one, more or less granted. */
function changed(world: TestWorld, random: Random): void {
  const namespace = pick(random, NAMESPACES);
  const maximum = namespace === "seam-system" ? "management-maximum" : "cluster-maximum";
  const rules = [pick(random, RULES), pick(random, RULES)];
  world.put(permissionSet(namespace, pick(random, ["claims", "other", maximum]), ...rules));
  const permissionSetRef = pick(random, ["claims", "other", "cluster-maximum"]);
  const permissionDeclarations = [{ permissionSetRef, scope: pick(random, ["cluster", "namespaced"] as const) }];
  world.put(profile(pick(random, NAMESPACES), pick(random, ["web", "db"]), { permissionDeclarations }));
  const name = namespace === "seam-system" ? "fleet" : "cluster-policy";
  const allowedClusters = pick(random, [["*"], ["c1"], ["c2", "c3"]]);
  world.put(policy(namespace, name, { allowedClusters, enforcementMode: pick(random, ["audit", "strict"] as const) }));
}

/** Takes a change in, and says which clusters were computed again. */
function touchedBy(engine: PermissionEngine, change: PermissionChange): readonly string[] {
  const touched = new Set<string>();
  engine.apply(change);
  atOnce(engine.settle({ cluster: (name) => touched.add(name) }));
  return [...touched].sort();
}

describe("PermissionEngine", () => {
  it("Invariant 2: nothing that is granted lies beyond any ceiling over it, whatever the objects", () => {
    let checked = 0;
    for (let seed = 100; seed < 110; seed++) {
      const random = new SeededRandom(seed);
      const world = layeredWorld();
      for (let step = 0; step < 30; step++) {
        changed(world, random);
        const { snapshots } = engineOf(world.world).view;
        for (const [cluster, { content }] of snapshots) {
          const rulesOf = new Map(content.ruleSets.map(({ id, rules }) => [id, rules]));
          const { sets, policies } = world.world;
          const named = (namespace: string, name: string) => (object: { readonly metadata: ObjectKey }) =>
            object.metadata.namespace === namespace && object.metadata.name === name;
          const ceilingOf = (namespace: string, name: string) => sets.find(named(namespace, name))?.spec.permissions;
          for (const { ruleSet, source } of content.subjects.flatMap(({ bindings }) => bindings)) {
            const { profileNamespace: home, policy: name } = source;
            const own = policies.find(named(home, name))?.spec.maximumPermissionSetRef ?? "";
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
    const engine = engineOf(world.world);
    const first = new Map(engine.view.snapshots);
    expect([...first.keys()].sort()).toEqual(CLUSTERS);
    atOnce(engine.settle({ cluster: (name) => expect.unreachable(`${name} was computed for nothing`) }));
    const bob = profile("seam-tenant-c2", "web", { targetClusters: ["c2"], principalRef: "bob" });
    expect(touchedBy(engine, world.put(bob))).toEqual(["c2"]);
    expect(engine.view.snapshots.get("c1")).toBe(first.get("c1"));
    expect(engine.view.snapshots.get("c2")).not.toBe(first.get("c2"));
    expect(touchedBy(engine, world.put(permissionSet("seam-tenant-c3", "claims", PODS)))).toEqual(["c3"]);
    const wide = profile("seam-system", "wide", { targetClusters: ["c1", "c3"] });
    expect(touchedBy(engine, world.put(wide))).toEqual(["c1", "c3"]);
    expect(touchedBy(engine, world.remove("RBACProfile seam-system/wide"))).toEqual(["c1", "c3"]);
  });

  it("looks at no more objects than a change concerns", () => {
    const world = layeredWorld();
    const engine = engineOf(world.world);
    const heard: string[] = [];
    const told =
      (kind: string) => (_: unknown, after: { readonly object: { readonly metadata: ObjectKey } } | undefined) => {
        heard.push(`${kind} ${after?.object.metadata.namespace ?? ""}/${after?.object.metadata.name ?? ""}`);
      };
    const listener = {
      set: told("set"),
      policy: told("policy"),
      profile: told("profile"),
      cluster: (name: string) => heard.push(`cluster ${name}`),
    };
    const after = (change: PermissionChange): readonly string[] => {
      heard.length = 0;
      engine.apply(change);
      atOnce(engine.settle(listener));
      return heard;
    };
    const home = "seam-tenant-c1";
    // Said in other words, and the same: its own object is another, and nobody else's verdict.
    const same = { ...permissionSet(home, "claims", PODS, { ...PODS, verbs: ["delete", "delete"] }) };
    expect(after(world.put(same))).toEqual([`set ${home}/claims`]);
    expect(after(world.put(permissionSet(home, "unused", PODS)))).toEqual([`set ${home}/unused`]);
    expect(after(world.put(permissionSet(home, "claims", PODS)))).toEqual([
      `set ${home}/claims`,
      `profile ${home}/web`,
      "cluster c1",
    ]);
    expect(
      after(world.put(policy(home, "cluster-policy", { allowedClusters: ["c1"], enforcementMode: "strict" }))),
    ).toEqual([`policy ${home}/cluster-policy`]);
    // What nobody aims at concerns nobody.
    expect(after(world.put(talosCluster("c9")))).toEqual(["cluster c9"]);
    expect(after(world.put(talosCluster("c9", "management")))).toEqual(["cluster c9"]);
    engine.recheck();
    heard.length = 0;
    atOnce(engine.settle(listener));
    expect(heard.filter((line) => !line.startsWith("cluster"))).toEqual([]);
  });

  it("a later status is taken over without a second look", () => {
    const world = layeredWorld();
    const engine = engineOf(world.world);
    const key = { namespace: "seam-tenant-c1", name: "web" };
    const held = engine.view.profiles.get(key)?.object;
    if (held === undefined) throw new Error("no profile");
    const later = { ...held, status: { provisioned: true } };
    engine.renew(later);
    atOnce(engine.settle({ profile: () => expect.unreachable("nothing follows from a status") }));
    expect(engine.view.profiles.get(key)?.object).toBe(later);
    engine.renew({ ...held, metadata: { ...held.metadata, uid: "another" } });
    expect(engine.view.profiles.get(key)?.object).toBe(later);
  });

  it("a profile whose names no snapshot can hold is left out, and the others go on", () => {
    const world = layeredWorld();
    world.put(profile("seam-tenant-c1", "broken", { principalRef: "half \ud800 a character", suspend: true }));
    const { snapshots, profiles } = engineOf(world.world).view;
    expect(profiles.get({ namespace: "seam-tenant-c1", name: "broken" })).toMatchObject({
      verdict: { reason: "ProvisioningFailed" },
      contribution: {
        record: undefined,
        problem: "canonical JSON: strings hold no lone surrogates (RFC 8785 §3.2.2.2)",
      },
    });
    expect(snapshots.get("c1")?.content).toMatchObject({ profiles: [{ name: "web" }], suspendedPrincipals: [] });
  });

  it("W1: one tenant's objects of the same names say nothing about another tenant", () => {
    const world = layeredWorld();
    world.put(permissionSet("seam-tenant-c1", "cluster-maximum", { ...PODS, verbs: ["list"] }));
    const { snapshots } = engineOf(world.world).view;
    const bindings = CLUSTERS.map((name) => snapshots.get(name)?.content.subjects.length);
    expect(bindings).toEqual([0, 1, 1]);
  });

  it("W8: a tightened ceiling takes rights out of provisioned profiles, fleet-wide and at once", () => {
    const world = layeredWorld();
    const engine = engineOf(world.world);
    const tightened = engine.view;
    touchedBy(engine, world.put(permissionSet("seam-system", "management-maximum", PODS)));
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
    expect(tightened.sets.get({ namespace: "seam-tenant-c1", name: "cluster-maximum" })?.verdict.reason).toBe(
      "CeilingExceeded",
    );
    expect(tightened.profiles.get({ namespace: "seam-tenant-c1", name: "web" })?.verdict).toMatchObject({
      ok: true,
      compliance: { reason: "TrimmedInAudit", message: 'not granted claims: delete pods in ""' },
    });
  });

  it("W9: a cluster that loses its last grant gets an empty snapshot", () => {
    const world = layeredWorld();
    const engine = engineOf(world.world);
    expect(touchedBy(engine, world.remove("RBACProfile seam-tenant-c1/web"))).toEqual(["c1"]);
    expect(engine.view.snapshots.get("c1")?.content).toMatchObject({ subjects: [], profiles: [] });
  });

  it("W19: an audit policy lets no tenant speak about another cluster", () => {
    const world = layeredWorld();
    world.put(policy("seam-tenant-c1", "cluster-policy", { allowedClusters: ["*"] }));
    world.put(profile("seam-tenant-c1", "intruder"));
    const { snapshots, profiles } = engineOf(world.world).view;
    const named = CLUSTERS.map((name) =>
      snapshots.get(name)?.content.subjects.filter((subject) => subject.name === "intruder"),
    );
    expect(named.map((found) => found?.length)).toEqual([1, 0, 0]);
    expect(profiles.get({ namespace: "seam-tenant-c1", name: "intruder" })?.verdict.compliance?.reason).toBe(
      "TrimmedInAudit",
    );
  });

  it("W18: service accounts of third parties are tenants, those of operators are not", () => {
    const world = layeredWorld();
    world.put(profile("seam-tenant-c1", "cert", { principalRef: "system:serviceaccount:cert-manager:x" }));
    world.put(profile("seam-tenant-c1", "op", { principalRef: "system:serviceaccount:ont-system:x" }));
    const { profiles } = engineOf(world.world).view;
    expect(profiles.get({ namespace: "seam-tenant-c1", name: "cert" })?.verdict.ok).toBe(true);
    expect(profiles.get({ namespace: "seam-tenant-c1", name: "op" })?.verdict.reason).toBe("PolicyViolation");
  });

  it("W25: one bad reference leaves the others alone", () => {
    const world = layeredWorld();
    const declared = [{ permissionSetRef: "gone", scope: "cluster" as const }];
    world.put(profile("seam-tenant-c1", "bad", { permissionDeclarations: declared }));
    const { snapshots, profiles } = engineOf(world.world).view;
    expect(profiles.get({ namespace: "seam-tenant-c1", name: "bad" })?.verdict.reason).toBe("PermissionSetMissing");
    expect(snapshots.get("c1")?.content.subjects.map(({ name }) => name)).toEqual(["web"]);
  });

  it("without the fleet's ceiling nothing is granted", () => {
    const world = layeredWorld();
    world.remove("PermissionSet seam-system/management-maximum");
    const { snapshots, profiles } = engineOf(world.world).view;
    expect(profiles.get({ namespace: "seam-tenant-c1", name: "web" })?.verdict.reason).toBe("PolicyNotReady");
    expect([...snapshots.values()].flatMap(({ content }) => content.subjects)).toEqual([]);
  });

  it("W23: a bound identity is a subject of its tenant with exactly the grants of the principal", () => {
    const world = layeredWorld();
    const home = "seam-tenant-c1";
    const web = "system:serviceaccount:web:web";
    world.put(provider(home));
    world.put(binding(home, "ada", web));
    world.put(provider("seam-tenant-c2"));
    world.put(binding("seam-tenant-c2", "eve", "system:serviceaccount:db:db"));
    const engine = engineOf(world.world);
    const { snapshots, bindings } = engine.view;
    expect(
      snapshots.get("c1")?.content.subjects.map(({ kind, name, principalRef }) => [kind, name, principalRef]),
    ).toEqual([
      ["Group", `oidc:${ISSUER}#ops`, web],
      ["ServiceAccount", "web", web],
      ["User", `oidc:${ISSUER}#ada`, web],
    ]);
    const [grants, ...others] = (snapshots.get("c1")?.content.subjects ?? []).map((subject) => subject.bindings);
    expect(others).toEqual([grants, grants]);
    expect(bindings.get({ namespace: "seam-tenant-c2", name: "eve" })?.verdict.reason).toBe("PrincipalNotInNamespace");
    expect(snapshots.get("c2")?.content.subjects.map(({ name }) => name)).toEqual(["web"]);
    expect(touchedBy(engine, world.remove(`IdentityProvider ${home}/sso`))).toEqual(["c1"]);
    expect(snapshots.get("c1")?.content.subjects.map(({ name }) => name)).toEqual(["web"]);
    expect(bindings.get({ namespace: home, name: "ada" })?.verdict.reason).toBe("TrustAnchorNotFound");
  });

  it("a suspended principal is suspended under all its names", () => {
    const world = layeredWorld();
    const home = "seam-tenant-c1";
    const web = "system:serviceaccount:web:web";
    world.put(provider(home));
    world.put(binding(home, "ada", web));
    world.put(profile(home, "web", { targetClusters: ["c1"], suspend: true }));
    const { snapshots } = engineOf(world.world).view;
    expect(snapshots.get("c1")?.content.suspendedPrincipals).toEqual([`oidc:${ISSUER}#ada`, web]);
  });

  it("a fleet-wide principal belongs to the tenant that named it first", () => {
    const world = layeredWorld();
    const ada = (namespace: string, creationTimestamp: string) =>
      profile(namespace, "ada", { principalRef: "ada" }, { creationTimestamp });
    world.put(ada("seam-tenant-c1", "2026-01-02T00:00:00Z"));
    world.put(ada("seam-tenant-c2", "2026-01-01T00:00:00Z"));
    world.put(ada("seam-system", "2026-01-03T00:00:00Z"));
    const { profiles } = engineOf(world.world).view;
    const reasons = ["seam-tenant-c1", "seam-tenant-c2", "seam-system"].map(
      (namespace) => profiles.get({ namespace, name: "ada" })?.verdict.reason,
    );
    expect(reasons).toEqual(["PrincipalConflict", "ProvisioningComplete", "ProvisioningComplete"]);
  });
});
