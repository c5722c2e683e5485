import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { naiveOutcome } from "../../../test/oracle/naive-snapshots.ts";
import {
  ALL,
  CLUSTERS,
  ISSUER,
  PODS,
  TestWorld,
  binding,
  layeredWorld,
  permissionSet,
  policy,
  profile,
  provider,
  talosCluster,
} from "../../../test/support/permission-objects.ts";
import type { PermissionRule } from "../../api/kinds/permission-set.ts";
import type { ComputedContent } from "../../permissions/builder/computed-content.ts";
import { atOnce } from "../../base/next-turn.ts";
import { PermissionEngine } from "./permission-engine.ts";
import { objectName, type PermissionChange, type PermissionObject } from "./permission-object.ts";
import type { Judged, Judgements, JudgedProfile, PermissionListener, PermissionView } from "./permission-view.ts";
import { engineOf } from "./permission-world.ts";

/** Sequences, and changes in each at most: some 6,000 changes, each compared with the whole computed from nothing. */
const RUNS = 400;
const MAX_EDITS = 30;

const RULES: readonly PermissionRule[] = [
  PODS,
  ALL,
  { apiGroups: [""], resources: ["*"], verbs: ["get", "list"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get"], resourceNames: ["a"] },
  { apiGroups: ["apps"], resources: ["deployments", "*/scale"], verbs: ["update"] },
  { nonResourceURLs: ["/healthz"], verbs: ["get"] },
  { apiGroups: [], resources: [], verbs: [] },
];
/** One value nearly always, so that most of what is made is in order, and another now and then. */
function mostly<const A, const B>(usual: A, otherwise: B): fc.Arbitrary<A | B> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constant(otherwise) });
}

const namespace = fc.constantFrom("seam-system", ...CLUSTERS.map((name) => `seam-tenant-${name}`), "default");
const somewhere = fc.constantFrom(...CLUSTERS, "m", "management", "nowhere");
const principal = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("system:serviceaccount:web:web", "ada", "ada", "eve") },
  { weight: 1, arbitrary: fc.constantFrom("system:serviceaccount:ont-system:x", "conductor", "") },
);
const own = {
  generation: fc.integer({ min: 1, max: 3 }),
  creationTimestamp: fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
};
const metadata = fc.oneof(
  { weight: 9, arbitrary: fc.record(own) },
  { weight: 1, arbitrary: fc.record({ ...own, deletionTimestamp: fc.constant("2026-02-01T00:00:00Z") }) },
);
const declaration = fc.record(
  {
    permissionSetRef: fc.constantFrom("claims", "other", "cluster-maximum"),
    scope: fc.constantFrom("cluster" as const, "namespaced" as const),
    clusters: fc.array(somewhere, { maxLength: 2 }),
    namespaces: fc.array(fc.constantFrom("a", "b"), { maxLength: 2 }),
    expiresAt: mostly("2027-01-01T00:00:00Z", "soon"),
  },
  { requiredKeys: ["permissionSetRef", "scope"] },
);

const object: fc.Arbitrary<PermissionObject> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        namespace,
        name: fc.constantFrom("web", "db", "ada", "conductor-tenant"),
        metadata,
        spec: fc.record({
          principalRef: principal,
          targetClusters: fc.oneof(
            { weight: 4, arbitrary: fc.constant(CLUSTERS) },
            { weight: 4, arbitrary: fc.array(somewhere, { maxLength: 3 }) },
          ),
          permissionDeclarations: fc.oneof(
            { weight: 3, arbitrary: fc.constant([{ permissionSetRef: "claims", scope: "cluster" as const }]) },
            { weight: 3, arbitrary: fc.array(declaration, { maxLength: 3 }) },
          ),
          suspend: mostly(false, true),
        }),
        otherPolicy: mostly(undefined, "other"),
      })
      .map(({ namespace: home, name, spec, metadata: meta, otherPolicy }) =>
        profile(
          home,
          name,
          otherPolicy === undefined ? spec : Object.assign(spec, { rbacPolicyRef: otherPolicy }),
          meta,
        ),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        namespace,
        fc.constantFrom("claims", "other", "cluster-maximum", "management-maximum"),
        fc.array(fc.constantFrom(...RULES), { minLength: 1, maxLength: 2 }),
      )
      .map(([home, name, rules]) => permissionSet(home, name, ...rules)),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        namespace,
        name: fc.constantFrom("fleet", "cluster-policy", "cluster-policy"),
        spec: fc.record({
          enforcementMode: fc.constantFrom("audit" as const, "strict" as const),
          allowedClusters: fc.constantFrom(["*"], ["c1"], ["c2", "management"], []),
          maximumPermissionSetRef: fc.constantFrom("management-maximum", "cluster-maximum", "other"),
        }),
      })
      .map((made) => policy(made.namespace, made.name, made.spec)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom(...CLUSTERS, "m", "a-name-that-is-far-too-long-for-any-cluster"),
        fc.constantFrom("tenant" as const, "management" as const),
        fc.constantFrom({}, {}, { namespace: "seam-system" }, { deletionTimestamp: "2026-02-01T00:00:00Z" }),
      )
      .map(([name, role, more]) => talosCluster(name, role, more)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(namespace, fc.constantFrom(ISSUER, "http://plain.example.net"))
      .map(([home, issuer]) => provider(home, issuer)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(namespace, fc.constantFrom("one", "two"), principal, fc.constantFrom("x", "y"))
      .map(([home, name, who, subject]) => binding(home, name, who, subject)),
  },
);

/** What happens: an object comes, changes, is said again as it is, or goes; and how far the engine comes before the next. */
const edit = fc.record({
  object,
  drop: fc.constantFrom(false, false, false, false, true),
  /** Steps before the next change; undefined lets the engine come to its end. */
  steps: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined, freq: 4 }),
});

/**
 * The layered world with somebody who aims at every cluster, so that a cluster that comes or goes concerns somebody, and with people of one
 * tenant who are two principals at once.
 */
function peopledWorld(): TestWorld {
  const world = layeredWorld();
  const home = "seam-tenant-c1";
  const web = "system:serviceaccount:web:web";
  world.put(profile("seam-system", "everywhere", { principalRef: web }));
  world.put(profile(home, "ada", { principalRef: "ada" }));
  world.put(provider(home));
  world.put(binding(home, "one", web));
  world.put(binding(home, "two", "ada"));
  return world;
}

/** Everything that people and tenants see of a view. */
function visible(view: PermissionView) {
  const verdicts = (judged: Judgements<Judged<PermissionObject>>, text = said) =>
    Object.fromEntries([...judged.values()].map((entry) => [keyOf(entry.object), text(entry)]));
  return {
    sets: verdicts(view.sets),
    policies: verdicts(view.policies),
    profiles: Object.fromEntries([...view.profiles.values()].map((entry) => [keyOf(entry.object), told(entry)])),
    providers: verdicts(view.providers),
    bindings: verdicts(view.bindings),
    snapshots: Object.fromEntries([...view.snapshots].map(([name, { contentHash }]) => [name, contentHash])),
  };
}

const keyOf = ({ metadata: { namespace: home = "", name } }: PermissionObject) => `${home}/${name}`;
const said = ({ verdict }: Judged<PermissionObject>) => `${verdict.reason}: ${verdict.message}`;
const told = (entry: JudgedProfile) => {
  const { compliance } = entry.verdict;
  return `${said(entry)} | ${compliance === undefined ? "" : `${compliance.reason}: ${compliance.message}`}`;
};

/** What somebody knows who only listens. */
class Told implements PermissionListener {
  readonly verdicts = new Map<string, string>();
  readonly snapshots = new Map<string, ComputedContent>();
  readonly set = this.#judged;
  readonly policy = this.#judged;
  readonly provider = this.#judged;
  readonly binding = this.#judged;
  readonly profile = this.#judged;

  #judged(before: Judged<PermissionObject> | undefined, after: Judged<PermissionObject> | undefined): void {
    const named = after ?? before;
    if (named === undefined || before === after) throw new Error("nothing became another");
    if (this.verdicts.has(objectName(named.object)) !== (before !== undefined)) throw new Error("told of out of order");
    if (after === undefined) this.verdicts.delete(objectName(named.object));
    else this.verdicts.set(objectName(named.object), said(after));
  }

  cluster(name: string, before: ComputedContent | undefined, after: ComputedContent | undefined): void {
    expect(this.snapshots.get(name)).toBe(before);
    // Equal content is the same snapshot: nothing to sign, no new version.
    expect(before?.contentHash === after?.contentHash).toBe(before === after);
    if (after === undefined) this.snapshots.delete(name);
    else this.snapshots.set(name, after);
  }
}

function check(engine: PermissionEngine, world: TestWorld, heard: Told): number {
  const { view } = engine;
  const seen = visible(view);
  expect(seen).toEqual(naiveOutcome(world.world));
  const anew = engineOf(world.world);
  expect(seen).toEqual(visible(anew.view));
  expect(new Map(view.snapshots)).toEqual(heard.snapshots);
  const kinds = [view.sets, view.policies, view.providers, view.bindings, view.profiles];
  expect([...heard.verdicts.keys()].sort()).toEqual(
    kinds.flatMap((kind) => [...kind.values()].map(({ object: each }) => objectName(each))).sort(),
  );
  for (const kind of kinds) {
    expect([...kind.values()].length).toBe(kind.size);
    for (const entry of kind.values()) expect(heard.verdicts.get(objectName(entry.object))).toBe(said(entry));
  }
  const profiles = [...view.profiles.values()];
  expect(view.provisionedProfiles).toBe(profiles.filter(({ verdict }) => verdict.ok).length);
  for (const { object: set } of view.sets.values())
    expect(view.profilesDeclaring(set.metadata)).toBe(
      profiles.filter(
        ({ object: { metadata: own, spec } }) =>
          own.namespace === set.metadata.namespace &&
          spec.permissionDeclarations.some(({ permissionSetRef }) => permissionSetRef === set.metadata.name),
      ).length,
    );
  for (const { object: each } of view.policies.values())
    expect(view.profilesUnder(each.metadata)).toBe(
      profiles.filter(
        ({ object: { metadata: own, spec } }) =>
          own.namespace === each.metadata.namespace && spec.rbacPolicyRef === each.metadata.name,
      ).length,
    );
  // Neither more nor fewer nodes than an engine holds that never knew anything else.
  expect(engine.nodes).toBe(anew.nodes);
  return [...view.snapshots.values()].reduce((sum, { content }) => sum + content.subjects.length, 0);
}

describe("PermissionEngine under any sequence of changes", () => {
  it("stands after each where the whole computed from nothing stands, and its listener knows all of it", () => {
    let [edits, granted] = [0, 0];
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(edit, { minLength: 1, maxLength: MAX_EDITS, size: "max" }),
        (layered, sequence) => {
          const world = layered ? peopledWorld() : new TestWorld();
          const engine = new PermissionEngine({ managementCluster: "m" });
          const heard = new Told();
          for (const each of world.objects) engine.apply({ type: "put", object: each });
          atOnce(engine.settle(heard));
          let work = engine.settle(heard);
          // What was begun is brought to its end, and what came after that end is taken in.
          const settle = (): void => {
            atOnce(work);
            atOnce(engine.settle(heard));
            work = engine.settle(heard);
          };
          for (const { object: each, drop, steps } of sequence) {
            const change: PermissionChange = drop ? world.remove(objectName(each)) : world.put(each);
            engine.apply(change);
            edits++;
            for (let i = 0; i < (steps ?? 0) && work.next().done !== true; i++);
            if (steps !== undefined) continue;
            settle();
            granted += check(engine, world, heard);
          }
          settle();
          check(engine, world, heard);
          for (const each of world.objects) engine.apply(world.remove(objectName(each)));
          atOnce(engine.settle(heard));
          expect([engine.nodes, heard.verdicts.size, heard.snapshots.size]).toEqual([0, 0, 0]);
        },
      ),
      { numRuns: RUNS, seed: 6 },
    );
    expect(edits).toBeGreaterThan(4_000);
    expect(granted).toBeGreaterThan(1_000);
  }, 120_000);
});
