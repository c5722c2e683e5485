import { describe, expect, it } from "vitest";
import { compareWithScan, shrunk } from "../../oracle/differential.ts";
import { contentOf, questionOf } from "../../oracle/edge-groups.ts";
import { scanDecision } from "../../oracle/permission-scan.ts";

/** The same worlds every time. */
const SEED = 20_260_110;
const WORLDS = 1_000;
const QUESTIONS_PER_WORLD = 1_000;
/** Worlds of a seed of the day on top: another part of the universe every run, and a failure names its seed. */
const FRESH_WORLDS = 200;
const DAY_MS = 86_400_000;

describe("the compiled index decides as the naive scan of permissions §5", () => {
  it("a million decisions in a thousand hostile worlds, no difference", () => {
    const { decisions, outcomes } = compareWithScan(SEED, WORLDS, QUESTIONS_PER_WORLD);
    expect(decisions).toBe(1_000_000);
    // Every outcome is common, or the alphabets have lost their collisions and the test its meaning.
    const kinds = ["allowed", "conditional", "noMatchingRule", "unknown", "suspended"] as const;
    expect(Math.min(...kinds.map((kind) => outcomes.get(kind) ?? 0))).toBeGreaterThan(8_000);
  });

  it("and in worlds of today's seed", () => {
    const { worlds } = compareWithScan(Math.floor(Date.now() / DAY_MS), FRESH_WORLDS, 200);
    expect(worlds).toBe(FRESH_WORLDS);
  });

  it("a difference would be told in its smallest form", () => {
    const rule = (verb: string) => ({ verbs: [verb], apiGroups: [""], resources: ["pods"] });
    const to = (name: string) => ({ kind: "User", namespace: "", name }) as const;
    const content = contentOf([
      { to: to("u"), rules: [rule("get"), rule("list")] },
      { to: to("u"), rules: [rule("create")] },
      { to: to("v"), rules: [rule("get")] },
    ]);
    const { user, groups, request } = questionOf({});
    const small = shrunk(content, (smaller) => scanDecision(smaller, user, groups, request, 0) === "allowed");
    expect(small.subjects.map(({ name, bindings }) => [name, bindings.length])).toEqual([["u", 1]]);
    expect(small.ruleSets.map(({ rules }) => rules.map(({ verbs }) => verbs))).toEqual([[["get"]]]);
  });
});
