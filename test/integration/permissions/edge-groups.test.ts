import { describe, expect, it } from "vitest";
import { EFFECTIVE_RULE_BUDGET } from "../../../src/permissions/algebra/budget.ts";
import { covers } from "../../../src/permissions/algebra/covers.ts";
import { intersectRules } from "../../../src/permissions/algebra/intersect.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import { check } from "../../../src/permissions/decision/check.ts";
import { explain } from "../../../src/permissions/decision/explain.ts";
import { planAccess } from "../../../src/permissions/decision/plan-access.ts";
import { whoCan } from "../../../src/permissions/decision/who-can.ts";
import { buildIndex } from "../../../src/permissions/index/build-index.ts";
import { indexOf } from "../../../src/permissions/index/permission-index.ts";
import { ruleAllows } from "../../../src/permissions/rules/match.ts";
import { principalRefOf } from "../../../src/permissions/rules/principal.ts";
import { type Rule, ruleOf } from "../../../src/permissions/rules/rule.ts";
import { encodeContent } from "../../../src/permissions/snapshot/content.ts";
import { loadContent } from "../../../src/permissions/snapshot/load-content.ts";
import { verifyStatement } from "../../../src/permissions/snapshot/verify-statement.ts";
import { decodeEnvelope } from "../../../src/trust/dsse.ts";
import { NO_FLOOR } from "../../../src/trust/floors/ordering.ts";
import { EDGE_GROUPS, contentOf, questionOf } from "../../oracle/edge-groups.ts";
import { FOUND_DIFFERENCES } from "../../oracle/found-differences.ts";
import { scanDecision } from "../../oracle/permission-scan.ts";
import { ALPHABET, WORLD_NOW_MS, randomQuestion, randomWorld } from "../../oracle/permission-worlds.ts";
import { UNIVERSE, universeRule } from "../../oracle/rule-universe.ts";
import { signedSnapshot, testKey } from "../../oracle/signed-snapshots.ts";

const groups = [...EDGE_GROUPS, { number: 0, title: "differences found so far", cases: FOUND_DIFFERENCES }];

describe.each(groups.filter(({ cases }) => cases.length > 0))("§16.$number $title", ({ cases }) => {
  it.each(cases)("$name", ({ grants, asks }) => {
    const content = contentOf(grants);
    const index = indexOf(content);
    for (const [ask, allowed] of asks) {
      const { user, groups: of, request } = questionOf(ask);
      const decided = {
        scan: scanDecision(content, user, of, request, 0) === "allowed",
        index: index.decide(user, of, request, 0) === "allowed",
      };
      expect({ ask, ...decided }).toEqual({ ask, scan: allowed, index: allowed });
    }
  });
});

describe("§16.17 a reference to rules that are not there", () => {
  const { ruleSets, ...rest } = contentOf([
    {
      to: { kind: "User", namespace: "", name: "u" },
      rules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }],
    },
  ]);

  it("makes the snapshot invalid as a whole, so that no decision meets it", () => {
    const load = (content: typeof rest & { ruleSets: typeof ruleSets }): unknown => {
      const { bytes, contentHash } = encodeContent(content);
      return loadContent(bytes, contentHash);
    };
    expect(load({ ...rest, ruleSets })).toMatchObject({ ruleSets });
    expect(() => load({ ...rest, ruleSets: [] })).toThrow(expect.objectContaining({ code: "INVALID_CONTENT" }));
  });
});

describe("W6: what Kubernetes can say can be said", () => {
  it("subresource, namespace, group, path and any verb are granted and asked for", () => {
    const may = { kind: "Group", namespace: "", name: "ops" } as const;
    const content = contentOf([
      { to: may, in: ["a"], rules: [{ verbs: ["approve"], apiGroups: ["apps"], resources: ["deployments/scale"] }] },
      { to: may, rules: [{ verbs: ["get"], nonResourceURLs: ["/healthz/*"] }] },
    ]);
    const index = indexOf(content);
    const allowed = (ask: Parameters<typeof questionOf>[0]): boolean => {
      const { user, groups: of, request } = questionOf({ groups: ["ops"], ...ask });
      return index.decide(user, of, request, 0) === "allowed";
    };
    const scale = { verb: "approve", apiGroup: "apps", resource: "deployments", subresource: "scale", namespace: "a" };
    expect(allowed(scale)).toBe(true);
    for (const other of [{ verb: "get" }, { apiGroup: "" }, { subresource: "" }, { namespace: "b" }, { groups: [] }])
      expect([other, allowed({ ...scale, ...other })]).toEqual([other, false]);
    expect([allowed({ path: "/healthz/etcd" }), allowed({ path: "/metrics" })]).toEqual([true, false]);
  });
});

const rules = (random: SeededRandom): readonly Rule[] =>
  Array.from({ length: 1 + Math.floor(random.next() * 3) }, () => universeRule(random));
const allows = (list: readonly Rule[], request: (typeof UNIVERSE)[number]): boolean =>
  list.some((rule) => ruleAllows(rule, request));

describe("§16.20 the effective rules allow what declaration and ceiling both allow", () => {
  const pods = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
  const meet = (declared: object, ceiling: object | undefined) =>
    intersectRules([ruleOf(declared)], ceiling === undefined ? [] : [ruleOf(ceiling)], EFFECTIVE_RULE_BUDGET);

  it("for random declarations and ceilings, every request of the universe", () => {
    const random = new SeededRandom(16);
    for (let i = 0; i < 60; i++) {
      const [declared, ceiling] = [rules(random), rules(random)];
      const effective = intersectRules(declared, ceiling, EFFECTIVE_RULE_BUDGET);
      for (const request of UNIVERSE)
        if (allows(effective, request) !== (allows(declared, request) && allows(ceiling, request)))
          throw new Error(JSON.stringify({ declared, ceiling, request }));
    }
  });

  it("under no ceiling nothing, under * everything, under disjoint names nothing", () => {
    expect(meet(pods, undefined)).toEqual([]);
    expect(meet(pods, { verbs: ["*"], apiGroups: ["*"], resources: ["*"] })).toEqual([ruleOf(pods)]);
    expect(meet({ ...pods, resourceNames: ["a"] }, { ...pods, resourceNames: ["b"] })).toEqual([]);
  });

  it("URL prefixes nested and disjoint; */s with r/s, with r, with *", () => {
    const url = (entry: string) => ({ verbs: ["get"], nonResourceURLs: [entry] });
    expect(meet(url("/api*"), url("/api/v1*")).map((rule) => rule.nonResourceURLs)).toEqual([["/api/v1*"]]);
    expect(meet(url("/api*"), url("/healthz"))).toEqual([]);
    const resource = (entry: string) => ({ ...pods, resources: [entry] });
    const found = (entry: string) => meet(resource("*/s"), resource(entry)).flatMap((rule) => rule.resources);
    expect([found("r/s"), found("r"), found("*")]).toEqual([["r/s"], [], ["*/s"]]);
  });
});

describe("§16.21 the cover test", () => {
  it("always covers an intersection, is reflexive and transitive", () => {
    const random = new SeededRandom(21);
    for (let i = 0; i < 300; i++) {
      const a = rules(random);
      const b = intersectRules(a, rules(random), EFFECTIVE_RULE_BUDGET);
      const c = intersectRules(rules(random), b, EFFECTIVE_RULE_BUDGET);
      expect(covers(a, a).covered).toBe(true);
      expect(covers(a, b).covered && covers(b, c).covered).toBe(true);
      expect(covers(a, c).covered).toBe(true);
    }
  });
});

describe("§16.22 and invariant 13: every way to ask gives the answer of Check", () => {
  it("WhoCanDo, ExplainDecision and PlanAccess over the whole alphabet", () => {
    const random = new SeededRandom(22);
    let asked = 0;
    for (let world = 0; world < 6; world++) {
      const content = randomWorld(random);
      const index = indexOf(content);
      for (const verb of ALPHABET.verbs)
        for (const apiGroup of ALPHABET.groups)
          for (const resource of ALPHABET.resources)
            for (const subresource of ["", "log", "scale"]) {
              const plans = new Map(
                ALPHABET.users.map((user) => [
                  user,
                  planAccess(index, { user, groups: [] }, { verb, apiGroup, resource, subresource }, WORLD_NOW_MS),
                ]),
              );
              for (const namespace of ["", "default"])
                for (const name of ["", "a"]) {
                  const request = { form: "resource", verb, apiGroup, resource, subresource, name, namespace } as const;
                  const who = whoCan(index, request, [], WORLD_NOW_MS);
                  for (const user of ALPHABET.users) {
                    const decision = check(index, { user, groups: [] }, request, WORLD_NOW_MS);
                    asked++;
                    expect(explain(index, { user, groups: [] }, request, WORLD_NOW_MS).decision).toEqual(decision);
                    const listed = who.some(
                      ({ subject, conditionalNames }) =>
                        subject.kind !== "Group" && principalRefOf(subject) === user && conditionalNames.length === 0,
                    );
                    expect(listed).toBe(decision.allowed);
                    const plan = plans.get(user);
                    const planned =
                      plan?.plan === "CONDITIONAL"
                        ? plan.conditions.some(
                            ({ scope, namespaces, names }) =>
                              (scope === "cluster" ||
                                (namespace !== "" && (namespaces.length === 0 || namespaces.includes(namespace)))) &&
                              (names.length === 0 || names.includes(name)),
                          )
                        : plan?.plan === "ALWAYS_ALLOWED";
                    expect(planned).toBe(decision.allowed);
                  }
                }
            }
    }
    expect(asked).toBeGreaterThan(30_000);
  });
});

describe("§16.23 order does not matter", () => {
  it("shuffled rules, bindings and subjects give the same content hash and the same decisions", () => {
    const random = new SeededRandom(23);
    const shuffle = <T>(list: readonly T[]): T[] =>
      list
        .map((value) => ({ value, at: random.next() }))
        .sort((a, b) => a.at - b.at)
        .map(({ value }) => value);
    for (const { cases } of EDGE_GROUPS)
      for (const { grants, asks } of cases) {
        const content = contentOf(grants);
        const again = contentOf(
          shuffle(grants).map((grant) =>
            Object.assign({}, grant, {
              rules: shuffle(grant.rules),
              in: grant.in === undefined ? undefined : shuffle(grant.in),
            }),
          ),
        );
        expect(again.ruleSets).toEqual(content.ruleSets);
        const named = { ...again, subjects: unnamed(again.subjects) };
        expect(encodeContent(named).contentHash).toBe(
          encodeContent({ ...content, subjects: unnamed(content.subjects) }).contentHash,
        );
        for (const [ask, allowed] of asks) {
          const { user, groups: of, request } = questionOf(ask);
          expect(indexOf(again).decide(user, of, request, 0) === "allowed").toBe(allowed);
        }
      }
  });
});

describe("§16.24 signed, verified and loaded, the decisions are the same", () => {
  it("on the event loop and from a worker", async () => {
    const random = new SeededRandom(24);
    const key = testKey();
    const { signal } = new AbortController();
    for (let world = 0; world < 60; world++) {
      const content = randomWorld(random);
      const signed = signedSnapshot(content, key, { sequence: world + 1, issuedAtMs: WORLD_NOW_MS });
      const envelope = decodeEnvelope(signed.envelope);
      if (envelope === undefined) throw new Error("the envelope does not decode");
      const checks = { cluster: "tenant-1", keys: key.ring, floor: NO_FLOOR, nowMs: WORLD_NOW_MS };
      const { statement } = verifyStatement(envelope, checks);
      const offLoop = world % 20 === 0 ? { offLoopEntries: -1 } : {};
      const loaded = await buildIndex(signed.content, statement.contentHash, { signal, ...offLoop });
      for (let i = 0; i < 100; i++) {
        const { user, groups: of, request } = randomQuestion(random);
        expect(loaded.decide(user, of, request, WORLD_NOW_MS)).toBe(
          scanDecision(content, user, of, request, WORLD_NOW_MS),
        );
      }
    }
  });
});

/** Subjects with every source the same: what a shuffle of profiles leaves equal. */
function unnamed(subjects: ReturnType<typeof contentOf>["subjects"]) {
  return subjects.map((subject) => {
    const bindings = subject.bindings.map((binding) => ({
      ...binding,
      source: { ...binding.source, profileName: "p" },
    }));
    return Object.assign({}, subject, {
      bindings: bindings.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    });
  });
}
