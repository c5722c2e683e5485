import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SCENARIOS } from "../scenarios/scenarios.ts";
import type { CaughtBy } from "./mutant.ts";
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
    expect(await isThere(caughtBy)).toBe(true);
  });

  it("have names of their own", () => {
    expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
  });
});

async function isThere(by: CaughtBy): Promise<boolean> {
  if ("scenario" in by) return SCENARIOS.some(({ name }) => name.startsWith(by.scenario));
  return "worlds" in by || (await readFile(join(ROOT, by.test), "utf8")).includes("describe(");
}
