import { describe, expect, it } from "vitest";
import { simulate } from "./simulation.ts";

/** Seeds of the test command. */
const SEEDS = 60;

describe("simulation in which every revocation push is lost", () => {
  it("puts every floor in force through the signed index, before anything else of that index, in whatever schedule", () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { failure } = simulate(seed, { losesPushes: true });
      expect(failure === undefined ? "" : `seed ${seed}: ${failure}`).toBe("");
    }
  });
});
