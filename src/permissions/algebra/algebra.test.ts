import { describe, expect, it } from "vitest";
import { UNIVERSE, universeRules } from "../../../test/oracle/rule-universe.ts";
import { type Random, SeededRandom } from "../../base/random.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import { ruleAllows } from "../rules/match.ts";
import { type Rule, type RuleInput, ruleOf } from "../rules/rule.ts";
import { RuleBudgetExceeded } from "./budget.ts";
import { canonicalRules, ruleSetId, rulesHash } from "./canonical.ts";
import { covers, ruleText } from "./covers.ts";
import { intersectRules } from "./intersect.ts";
import { unionRules } from "./union.ts";

const WORLDS = 400;

function allows(rules: readonly RuleInput[], request: AccessRequest): boolean {
  return rules.some((rule) => ruleAllows(ruleOf(rule), request));
}

/** The requests of the universe that a list allows: what it means. */
function meaning(rules: readonly RuleInput[]): string {
  const list = rules.map(ruleOf);
  return UNIVERSE.map((request) => (list.some((rule) => ruleAllows(rule, request)) ? "1" : "0")).join("");
}

function inside(inner: string, outer: string): boolean {
  for (let i = 0; i < inner.length; i++) if (inner[i] === "1" && outer[i] !== "1") return false;
  return true;
}

function both(a: string, b: string): string {
  return Array.from(a, (bit, i) => (bit === "1" && b[i] === "1" ? "1" : "0")).join("");
}

function either(a: string, b: string): string {
  return Array.from(a, (bit, i) => (bit === "1" || b[i] === "1" ? "1" : "0")).join("");
}

/** Runs a property over random rule lists; a failure names its seed. */
function forWorlds(property: (random: Random, seed: number) => void): void {
  for (let seed = 0; seed < WORLDS; seed++) property(new SeededRandom(seed), seed);
}

function shuffled<T>(list: readonly T[], random: Random): readonly T[] {
  return list
    .map((entry) => ({ entry, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ entry }) => entry);
}

const id = (rules: readonly Rule[]) => ruleSetId(rules);

describe("intersection", () => {
  it("allows exactly what both lists allow, for every request of the universe", () => {
    forWorlds((random, seed) => {
      const [d, c] = [universeRules(random), universeRules(random)];
      expect(meaning(intersectRules(d, c)), `seed ${seed}`).toBe(both(meaning(d), meaning(c)));
    });
  });

  it("is idempotent, commutative and monotone", () => {
    forWorlds((random, seed) => {
      const [a, b, more] = [universeRules(random), universeRules(random), universeRules(random)];
      expect(id(intersectRules(a, b)), `seed ${seed}`).toBe(id(intersectRules(b, a)));
      expect(id(intersectRules(a, a)), `seed ${seed}`).toBe(id(unionRules([a])));
      const wider = intersectRules([...a, ...more], b);
      expect(covers(wider, intersectRules(a, b)).covered, `seed ${seed}`).toBe(true);
    });
  });

  it("is associative in meaning and gives nothing under an empty ceiling", () => {
    forWorlds((random, seed) => {
      const [a, b, c] = [universeRules(random), universeRules(random), universeRules(random)];
      const left = meaning(intersectRules(intersectRules(a, b), c));
      expect(left, `seed ${seed}`).toBe(meaning(intersectRules(a, intersectRules(b, c))));
      expect(intersectRules(a, [])).toEqual([]);
    });
  });

  it("W2: disjoint names leave no rule, never every name", () => {
    const named = (name: string): RuleInput => ({
      verbs: ["get"],
      apiGroups: [""],
      resources: ["pods"],
      resourceNames: [name],
    });
    expect(intersectRules([named("a")], [named("b")])).toEqual([]);
    expect(intersectRules([named("a")], [{ ...named("a"), resourceNames: [] }])[0]?.resourceNames).toEqual(["a"]);
  });

  it("W3: rules of one resource are neither merged by names nor by verbs", () => {
    const pods: RuleInput = { apiGroups: [""], resources: ["pods"] };
    const declared = [
      { ...pods, verbs: ["get"], resourceNames: ["a"] },
      { ...pods, verbs: ["update"], resourceNames: ["b"] },
    ];
    const granted = intersectRules(declared, [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }]);
    const ask = (verb: string, name: string) =>
      allows(granted, { form: "resource", verb, name, apiGroup: "", resource: "pods", subresource: "", namespace: "" });
    expect([ask("get", "a"), ask("update", "b"), ask("get", "b"), ask("update", "a")]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it("W5: a declared * under a specific ceiling is trimmed to it, not dropped", () => {
    const ceiling = [{ verbs: ["get", "list"], apiGroups: ["apps"], resources: ["deployments", "*/scale"] }];
    expect(intersectRules([{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }], ceiling)).toEqual(
      canonicalRules(ceiling),
    );
  });

  it.each<readonly [string, string, string | undefined]>([
    ["*/log", "pods/log", "pods/log"],
    ["*/log", "pods", undefined],
    ["*/log", "*", "*/log"],
    ["pods", "pods/log", undefined],
    ["*/*", "pods/*", "pods/*"],
    ["*/b", "pods/a/b", undefined],
  ])("resource %s with %s", (a, b, expected) => {
    const rule = (resource: string): RuleInput => ({ verbs: ["get"], apiGroups: [""], resources: [resource] });
    expect(intersectRules([rule(a)], [rule(b)])[0]?.resources[0]).toBe(expected);
    expect(intersectRules([rule(b)], [rule(a)])[0]?.resources[0]).toBe(expected);
  });

  it.each<readonly [string, string, string | undefined]>([
    ["/api/*", "/api/v1/*", "/api/v1/*"],
    ["/api*", "/apis", "/apis"],
    ["/api/*", "/api", undefined],
    ["/api/**", "/api/*", "/api/*"],
    ["*", "/healthz", "/healthz"],
    ["/a*", "/b*", undefined],
  ])("URL %s with %s", (a, b, expected) => {
    const rule = (url: string): RuleInput => ({ verbs: ["get"], nonResourceURLs: [url] });
    expect(intersectRules([rule(a)], [rule(b)])[0]?.nonResourceURLs[0]).toBe(expected);
  });
});

describe("cover test", () => {
  it("is sound and complete against brute force", () => {
    let covered = 0;
    forWorlds((random, seed) => {
      const owner = universeRules(random, 4);
      const servant = random.next() < 0.3 ? intersectRules(owner, universeRules(random)) : universeRules(random, 2);
      const outcome = covers(owner, servant);
      const truth = inside(meaning(servant), meaning(owner));
      expect(outcome.covered, `seed ${seed}: ${servant.map(ruleText).join("; ")}`).toBe(truth);
      if (truth) covered++;
      // What is reported missing is exactly what is missing: together with the owner it gives the union.
      expect(outcome.more).toBe(0);
      expect(either(meaning(owner), meaning(outcome.uncovered)), `seed ${seed}`).toBe(
        either(meaning(owner), meaning(servant)),
      );
    });
    expect(covered).toBeGreaterThan(WORLDS / 10);
    expect(covered).toBeLessThan(WORLDS - WORLDS / 10);
  });

  it("is reflexive and transitive, and always covers an intersection", () => {
    forWorlds((random, seed) => {
      const [a, b, c] = [universeRules(random), universeRules(random), universeRules(random)];
      expect(covers(a, a).covered, `seed ${seed}`).toBe(true);
      expect(covers(c, intersectRules(a, c)).covered, `seed ${seed}`).toBe(true);
      const mid = intersectRules(a, b);
      expect(covers(a, intersectRules(mid, c)).covered, `seed ${seed}`).toBe(true);
    });
  });

  it("names what is missing in few words, at most 20 parts", () => {
    const owner = [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }];
    const servant = [{ verbs: ["get", "delete"], apiGroups: ["", "apps"], resources: ["pods"], resourceNames: ["a"] }];
    expect(covers(owner, servant).uncovered.map(ruleText)).toEqual([
      'delete pods in "",apps named a',
      "get pods in apps named a",
    ]);
    const many = Array.from({ length: 50 }, (_, i) => ({
      verbs: [`v${i}`],
      apiGroups: [`g${i}`],
      resources: [`r${i}`],
    }));
    const { uncovered, more } = covers(owner, many);
    expect([uncovered.length, more]).toEqual([20, 30]);
  });
});

describe("union", () => {
  it("allows what one of the lists allows, is idempotent, commutative and associative", () => {
    forWorlds((random, seed) => {
      const [a, b, c] = [universeRules(random), universeRules(random), universeRules(random)];
      const union = unionRules([a, b]);
      expect(meaning(union), `seed ${seed}`).toBe(either(meaning(a), meaning(b)));
      expect(id(union), `seed ${seed}`).toBe(id(unionRules([b, a])));
      expect(id(unionRules([union, union])), `seed ${seed}`).toBe(id(union));
      expect(meaning(unionRules([unionRules([a, b]), c])), `seed ${seed}`).toBe(
        meaning(unionRules([a, unionRules([b, c])])),
      );
    });
  });

  it("keeps no rule that another one covers", () => {
    forWorlds((random, seed) => {
      const union = unionRules([universeRules(random), universeRules(random)]);
      for (const rule of union) {
        const others = union.filter((other) => other !== rule);
        expect(
          others.some((other) => covers([other], [rule]).covered),
          `seed ${seed}: ${ruleText(rule)}`,
        ).toBe(false);
      }
    });
  });
});

describe("canonical form", () => {
  it("means the same, is stable, and does not depend on order or repetition", () => {
    forWorlds((random, seed) => {
      const rules = universeRules(random);
      const canonical = canonicalRules(rules);
      expect(meaning(canonical), `seed ${seed}`).toBe(meaning(rules));
      expect(canonicalRules(canonical)).toEqual(canonical);
      const mixed = shuffled([...rules, ...rules], random).map(
        ({ verbs, apiGroups, resources, resourceNames, nonResourceURLs }) => ({
          verbs: shuffled(verbs, random),
          apiGroups,
          resources: shuffled([...resources, ...resources], random),
          resourceNames,
          nonResourceURLs,
        }),
      );
      expect(rulesHash(mixed), `seed ${seed}`).toBe(rulesHash(rules));
    });
  });

  it("has a golden id", () => {
    const rules = canonicalRules([{ verbs: ["list", "get"], apiGroups: [""], resources: ["pods"], resourceNames: [] }]);
    expect(ruleSetId(rules)).toBe("rs-ac690b3b34ee3be353e38404553f8954");
  });
});

describe("budgets fail closed", () => {
  const many = (count: number, prefix: string): RuleInput[] =>
    Array.from({ length: count }, (_, i) => ({ verbs: ["get"], apiGroups: [""], resources: [`${prefix}${i}`] }));

  it("refuses too many rules, entries and steps, and gives nothing of the result", () => {
    const budget = { rules: 10, entries: 100, steps: 100_000 };
    expect(() => unionRules([many(11, "r")], budget)).toThrow("more than 10 effective rules");
    const wide = [{ verbs: ["get"], apiGroups: [""], resources: Array.from({ length: 101 }, (_, i) => `r${i}`) }];
    expect(() => unionRules([wide], budget)).toThrow("more than 100 effective entries");
    expect(() => covers(many(400, "r"), many(400, "s"), budget)).toThrow(RuleBudgetExceeded);
    expect(() => intersectRules(many(400, "r"), many(400, "s"), budget)).toThrow(RuleBudgetExceeded);
    expect(unionRules([many(10, "r")], budget)).toHaveLength(10);
  });
});
