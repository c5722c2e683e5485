import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { runSeeds } from "../run-seeds.ts";
import { simulate } from "../simulation.ts";

/** Seeds that the test command runs; `npm run simulate -- --replicas 3 --seeds 10000` runs more. */
const SEEDS = 300;
const REPLICAS = 3;

/** Seeds that found a bug once, with what it was. */
const FOUND: readonly (readonly [number, string])[] = [
  [24, "a session whose ownership was gone lived on, and nothing its agent said was stored"],
  [162, "a frame on its way to a dead agent process settled a frame of the next one's stream"],
];

describe("simulation of several replicas: killed, frozen, cut off from the API server, with jumping clocks", () => {
  it(
    `loses nothing, doubles nothing and converges in seeds 1 to ${SEEDS}`,
    { timeout: 600_000 },
    async ({ signal }) => {
      const options = { replicas: REPLICAS };
      const threads = availableParallelism();
      const { seeds, reports, coverage } = await runSeeds({ first: 1, count: SEEDS, threads, options, signal });
      expect(reports.join("\n\n")).toBe("");
      expect(seeds).toBe(SEEDS);
      // The fences were needed, or nothing of this was tested.
      for (const path of ["membershipsEnded", "writesRefused"])
        expect([path, (coverage.get(path) ?? 0) > 0]).toEqual([path, true]);
    },
  );

  it.each(FOUND)("seed %i: %s", (seed) => {
    expect(simulate(seed, { replicas: REPLICAS }).failure).toBeUndefined();
  });

  it("replays a seed exactly", () => {
    const one = simulate(7, { replicas: REPLICAS, traced: true });
    expect(simulate(7, { replicas: REPLICAS, traced: true }).transcript).toBe(one.transcript);
  });
});
