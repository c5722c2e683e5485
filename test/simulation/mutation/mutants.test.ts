import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SCENARIOS } from "../scenarios/scenarios.ts";
import { MUTANTS } from "./mutants.ts";

const ROOT = join(import.meta.dirname, "../../..");
const ALL = Object.values(MUTANTS).flat();

// What notices them is tried by hand: `node test/simulation/mutation/mutate.ts`.
describe("mutants", () => {
  it.each(ALL)("is still possible: $name", async ({ file, find, put }) => {
    const text = await readFile(join(ROOT, file), "utf8");
    expect([text.split(find).length, find === put]).toEqual([2, false]);
  });

  it.each(ALL)("is to be noticed by something that is there: $name", async ({ caughtBy }) => {
    if ("scenario" in caughtBy)
      expect(SCENARIOS.filter(({ name }) => name.startsWith(caughtBy.scenario))).not.toEqual([]);
    if ("test" in caughtBy) expect(await readFile(join(ROOT, caughtBy.test), "utf8")).toContain("describe(");
  });

  it("have names of their own", () => {
    expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
  });
});
