import { describe, expect, it } from "vitest";
import { WORLD_NOW_MS, ruleSetOf } from "../../../test/oracle/permission-worlds.ts";
import { oneGrant } from "../../../test/support/snapshot-bench.ts";
import { type Rule, ruleOf } from "../rules/rule.ts";
import { indexOf } from "../index/permission-index.ts";
import { listPermissionsSteps } from "./list-permissions.ts";
import { lookupResourcesSteps } from "./lookup-resources.ts";
import { planAccessSteps } from "./plan-access.ts";

const RULES = 20_000;
const alice = { user: "alice", groups: [] };

/** A world in which one user holds what `rulesOf` gives, 200 rules to a binding. */
function largeIndex(rulesOf: (i: number) => Rule) {
  const content = oneGrant("get");
  const [subject] = content.subjects;
  const [first] = subject?.bindings ?? [];
  if (subject === undefined || first === undefined) throw new Error("there is a binding");
  const sets = Array.from({ length: RULES / 200 }, (_, set) =>
    ruleSetOf(Array.from({ length: 200 }, (__, i) => rulesOf(set * 200 + i))),
  );
  const bindings = sets.map(({ id }) => ({ ...first, ruleSet: id }));
  return indexOf({ ...content, ruleSets: sets, subjects: [{ ...subject, bindings }] });
}

function run<T>(steps: Generator<void, T>): { readonly turns: number; readonly value: T } {
  for (let turns = 1; ; turns++) {
    const step = steps.next();
    if (step.done === true) return { turns, value: step.value };
  }
}

describe("large answers are made in bounded slices", () => {
  const index = largeIndex((i) => ruleOf({ verbs: ["get"], apiGroups: [""], resources: [`r${i}`] }));

  it("ListPermissions: whole, sorted, and at least one turn for every thousand rules and each round of sorting", () => {
    const { turns, value } = run(listPermissionsSteps(index, alice, "", WORLD_NOW_MS));
    expect(value).toHaveLength(RULES);
    const names = value.map(({ rule }) => rule.resources[0] ?? "");
    expect(names).toEqual([...names].sort());
    expect(turns).toBeGreaterThan((RULES / 1_024) * 5);
  });

  it("LookupResources: likewise", () => {
    const { turns, value } = run(lookupResourcesSteps(index, alice, "get", undefined, WORLD_NOW_MS));
    expect(value).toHaveLength(RULES);
    expect(turns).toBeGreaterThan((RULES / 1_024) * 5);
  });

  it("PlanAccess: by the names that are compared, not by rules", () => {
    const question = { verb: "get", apiGroup: "", resource: "pods", subresource: "" };
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
    const named = largeIndex((i) =>
      ruleOf({
        verbs: ["get"],
        apiGroups: [""],
        resources: ["pods"],
        resourceNames: i < 400 ? names.map((name) => `${name}-${i}`) : [`n0-${i % 400}`],
      }),
    );
    const {
      turns,
      value: { plan },
    } = run(planAccessSteps(named, alice, question, WORLD_NOW_MS));
    expect(plan.plan === "CONDITIONAL" && plan.conditions.length).toBe(400);
    expect(turns).toBeGreaterThan(100);
  });
});
