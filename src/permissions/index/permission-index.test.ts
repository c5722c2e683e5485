import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../base/random.ts";
import { scanDecision } from "../../../test/oracle/permission-scan.ts";
import { WORLD_NOW_MS, randomQuestion, randomWorld } from "../../../test/oracle/permission-worlds.ts";
import { indexOf } from "./permission-index.ts";

const WORLDS = 2_500;
const QUESTIONS_PER_WORLD = 100;

describe("PermissionIndex", () => {
  it("agrees with the naive scan on every decision in hostile worlds", () => {
    const random = new SeededRandom(20_260_110);
    const seen = new Map<string, number>();
    for (let world = 0; world < WORLDS; world++) {
      const content = randomWorld(random);
      const index = indexOf(content);
      for (let i = 0; i < QUESTIONS_PER_WORLD; i++) {
        const { user, groups, request } = randomQuestion(random);
        const expected = scanDecision(content, user, groups, request, WORLD_NOW_MS);
        const found = index.decide(user, groups, request, WORLD_NOW_MS);
        seen.set(found, (seen.get(found) ?? 0) + 1);
        if (found !== expected)
          throw new Error(
            `world ${world}: ${JSON.stringify({ user, groups, request })} is ${expected}, index says ${found}\n${JSON.stringify(content)}`,
          );
      }
    }
    // Every outcome is common, or the alphabets have lost their collisions and the test its meaning.
    const outcomes = ["allowed", "conditional", "noMatchingRule", "unknown", "suspended"];
    expect(Math.min(...outcomes.map((outcome) => seen.get(outcome) ?? 0))).toBeGreaterThan(2_000);
  });
});
