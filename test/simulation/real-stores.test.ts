import { describe, expect, it } from "vitest";
import { simulate } from "./simulation.ts";

/** Seeds of the test command; a third of them tear, lose and restore stores. */
const SEEDS = 150;

describe("simulation with the real stores beside the simulated ones", { timeout: 120_000 }, () => {
  it("reads back from SQLite what was committed, at every start, and the sink counts alike", () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { failure } = simulate(seed, { realStores: true });
      expect(failure === undefined ? "" : `seed ${seed}: ${failure}`).toBe("");
    }
  });
});
