import { describe, expect, it } from "vitest";
import { runSeeds } from "../run-seeds.ts";
import { sizeOf } from "../schedule.ts";
import { permissionReport } from "./permission-report.ts";
import { permissionSchedule } from "./permission-schedule.ts";
import { simulatePermissions } from "./simulate-permissions.ts";

/** Seeds of the test command; `npm run simulate -- --permissions --seeds N` runs more. */
const SEEDS = 80;
/** Seeds with three hub replicas. */
const REPLICA_SEEDS = 10;
/** About a quarter of a minute of one core, on a machine that does other things. */
const LIMIT_MS = 600_000;

/** Paths that so many seeds must have met: a simulator that stopped to meet them proves nothing. */
const MET: readonly string[] = [
  "answers FRESH",
  "answers STALE",
  "answers EXPIRED",
  "answers suspended",
  "surface beyond",
  "surface short",
  "surface as declared",
  "answers to an account",
  "chunkedSnapshots",
  "snapshots activated",
  "snapshots renewed",
  "snapshots revoked",
  "snapshots refused",
  "snapshots healed",
  "snapshot UNKNOWN_KEY",
  "snapshot KEYS_MISSING",
  "snapshot UNSIGNED",
  "snapshot WRONG_CLUSTER",
  "snapshot ROLLBACK_REJECTED",
  "snapshot EXPIRED",
  "snapshot CLOCK_SKEW",
  "snapshot REVOKED",
];

describe("simulation of the permission plane over the federation", () => {
  it(
    `answers only from what was verified, above every floor and within its time, and converges to what was signed last, in seeds 1 to ${SEEDS}`,
    { timeout: LIMIT_MS },
    async ({ signal }) => {
      const { seeds, reports, coverage } = await runSeeds({
        first: 1,
        count: SEEDS,
        threads: 2,
        permissions: true,
        signal,
      });
      expect(reports.join("\n\n")).toBe("");
      expect(seeds).toBe(SEEDS);
      for (const path of MET) expect([path, (coverage.get(path) ?? 0) > 0]).toEqual([path, true]);
    },
  );

  it(`and with three hub replicas, in seeds 1 to ${REPLICA_SEEDS}`, { timeout: LIMIT_MS }, async () => {
    for (let seed = 1; seed <= REPLICA_SEEDS; seed++) {
      const options = { replicas: 3 };
      const result = await simulatePermissions(seed, options);
      expect(result.failure === undefined ? "" : await permissionReport(result, options)).toBe("");
    }
  });

  it("seed 400073: a receipt for a snapshot that a restored management cluster does not have is refused, and that is told", async () => {
    expect((await simulatePermissions(400_073)).failure).toBeUndefined();
  });

  it("replays a seed exactly", async () => {
    const one = await simulatePermissions(42, { traced: true });
    const two = await simulatePermissions(42, { traced: true });
    expect(one.transcript).toBe(two.transcript);
    expect(one.events).toBe(two.events);
  });

  it("finds a failure and leaves out what does not cause it", { timeout: LIMIT_MS }, async () => {
    const wrong = { atMs: 50_000, do: "suspend", agent: 99 } as const;
    const schedule = [...permissionSchedule(5, sizeOf(5)), wrong].sort((a, b) => a.atMs - b.atMs);
    const result = await simulatePermissions(5, { permissionSchedule: schedule });
    expect(result.failure).toContain("names an agent that does not exist");
    const report = await permissionReport(result, { permissionSchedule: schedule });
    expect(report).toContain("smaller schedule (1 actions): SimulationFailure: the schedule names an agent");
    expect(report).toContain("plane    suspend");
  });
});
