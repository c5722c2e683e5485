import { describe, expect, it } from "vitest";
import { UNIVERSE, universeRules } from "../../../test/oracle/rule-universe.ts";
import { type Random, SeededRandom, integerBetween } from "../../base/random.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import { ruleAllows } from "../rules/match.ts";
import { ruleOf } from "../rules/rule.ts";
import { scopeAdmits } from "../rules/scope.ts";
import { beyond, placeText } from "./compare-reach.ts";
import { type PlacedRules, NO_REACH, inNamespaces, reachOf } from "./reach.ts";

const WORLDS = 300;
const NAMESPACES = ["", "a", "b", "fresh"];

/** Every request of the universe in every place: namespace `fresh` stands for all that no grant names. */
const PLACED_UNIVERSE: readonly AccessRequest[] = [...placedRequests()];

function* placedRequests(): Generator<AccessRequest> {
  for (const request of UNIVERSE)
    if (request.form === "path") yield request;
    else for (const namespace of NAMESPACES) yield { ...request, namespace };
}

function randomGrants(random: Random): readonly PlacedRules[] {
  return Array.from({ length: integerBetween(random, 0, 3) }, () => {
    const scope = random.next() < 0.4 ? ("cluster" as const) : ("namespaced" as const);
    const namespaces = scope === "cluster" || random.next() < 0.4 ? [] : random.next() < 0.5 ? ["a"] : ["a", "b"];
    return { scope, namespaces, rules: universeRules(random, 2) };
  });
}

/** Decides the naive way, from the grants themselves (permissions §5.3, §5.4). */
function allows(grants: readonly PlacedRules[], request: AccessRequest): boolean {
  return grants.some((grant) => scopeAdmits(grant, request) && grant.rules.some((rule) => ruleAllows(rule, request)));
}

describe("beyond", () => {
  it("finds a difference exactly when some request is decided differently, in every place", () => {
    let different = 0;
    for (let seed = 0; seed < WORLDS; seed++) {
      const random = new SeededRandom(seed);
      const [held, other] = [randomGrants(random), randomGrants(random)];
      const expected = PLACED_UNIVERSE.some((request) => allows(other, request) && !allows(held, request));
      const found = beyond(reachOf(held), reachOf(other));
      expect(found.length > 0, `seed ${seed}: ${JSON.stringify(found)}`).toBe(expected);
      if (expected) different++;
    }
    expect(different).toBeGreaterThan(WORLDS / 4);
    expect(different).toBeLessThan(WORLDS);
  });

  it("is empty for the same reach and for less, whatever way it was written", () => {
    for (let seed = 0; seed < WORLDS; seed++) {
      const grants = randomGrants(new SeededRandom(seed));
      expect(beyond(reachOf(grants), reachOf([...grants].reverse()))).toEqual([]);
      expect(beyond(reachOf(grants), reachOf(grants.slice(1)))).toEqual([]);
    }
  });

  const pods = ruleOf({ verbs: ["get"], apiGroups: [""], resources: ["pods"] });
  const url = ruleOf({ verbs: ["get"], nonResourceURLs: ["/metrics"] });

  it("says where: cluster-wide, every namespace, and namespaces that differ alike together", () => {
    const other = reachOf([
      { scope: "cluster", namespaces: [], rules: [url] },
      { scope: "namespaced", namespaces: ["b", "a"], rules: [pods, url] },
    ]);
    expect(beyond(NO_REACH, other)).toEqual([
      { scope: "cluster", namespaces: [], rules: ["get /metrics"], more: 0 },
      { scope: "namespaced", namespaces: ["a", "b"], rules: ['get pods in ""'], more: 0 },
    ]);
    expect(beyond(NO_REACH, other).map((place) => placeText(place))).toEqual(["cluster-wide", "in a, b"]);
    expect(placeText({ scope: "namespaced", namespaces: ["a", "b", "c"] }, 2)).toBe("in a, b and 1 more");
  });

  it("a binding in every namespace there is does for every namespace only in that cluster", () => {
    const every = reachOf([{ scope: "namespaced", namespaces: [], rules: [pods] }]);
    const each = reachOf([{ scope: "namespaced", namespaces: ["a", "b"], rules: [pods] }]);
    expect(beyond(each, every)).toHaveLength(1);
    expect(beyond(each, inNamespaces(every, ["a", "b"]))).toEqual([]);
    expect(beyond(each, inNamespaces(every, ["a", "b", "c"]))).toMatchObject([{ namespaces: ["c"] }]);
  });

  it("what is too large to compare counts as beyond", () => {
    const many = Array.from({ length: 5_000 }, (_, i) =>
      ruleOf({ verbs: [`v${i}`], apiGroups: [`g${i}`], resources: [`r${i}`], resourceNames: [`n${i}`] }),
    );
    const wide = reachOf([{ scope: "cluster", namespaces: [], rules: many }]);
    expect(beyond(wide, reachOf([{ scope: "cluster", namespaces: [], rules: [...many, ...many] }]))).toMatchObject([
      { rules: [expect.stringContaining("rules too large to compare")] },
    ]);
  });
});
