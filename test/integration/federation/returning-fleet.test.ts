import { describe, expect, it } from "vitest";
import { DEFAULT_HUB_LIMITS } from "../../../src/federation/hub/hub-options.ts";
import { type Absence, returningFleet } from "../../support/returning-fleet.ts";

const MINUTES_10 = 600_000;
/** What a handshake and what follows it cost a core, milliseconds (docs/scale.md). */
const COST = { handshakeMs: 1, admittedMs: 0.8 };

const max = (values: readonly number[]): number => values.reduce((most, value) => Math.max(most, value), 0);

describe("a fleet that comes back (docs/scale.md, Coming back)", () => {
  it.each<[Absence, number]>([
    ["dropped", 60_000],
    ["refused", 60_000],
    ["swallowed", 60_000],
    ["dropped", MINUTES_10],
    ["refused", MINUTES_10],
    ["swallowed", MINUTES_10],
  ])("has all of 1,000 agents back in 10 s when dials were %s for %d ms", (absence, awayMs) => {
    for (const seed of [1, 2, 3]) {
      const { backMs } = returningFleet({ agents: 1_000, absence, awayMs, ...COST, seed });
      expect(backMs).toHaveLength(1_000);
      expect(backMs.at(-1)).toBeLessThan(10_000);
    }
  });

  it("brings 10,000 back after ten minutes as fast as one replica admits them, without a storm", () => {
    const fleet = returningFleet({ agents: 10_000, absence: "dropped", awayMs: MINUTES_10, ...COST, seed: 1 });
    expect(fleet.backMs).toHaveLength(10_000);
    // Admission alone takes (10,000 - 1,000) / 300 = 30 s.
    expect(fleet.backMs[9_000]).toBeLessThan(36_000);
    expect(fleet.backMs.at(-1)).toBeLessThan(60_000);
    // A dial takes 5 s and waits 2.5 s in the mean: 1,333 a second.
    expect(max(fleet.dialsAway)).toBeLessThan(1_700);
    // Nobody waits longer than the ceiling, so the first seconds bring a second try of each at most.
    expect(max(fleet.connects)).toBeLessThan(5_000);
    expect(max(fleet.connects.slice(5))).toBeLessThan(3_000);
    const accept = DEFAULT_HUB_LIMITS.connections.accept ?? { perSecond: 0, burst: 0 };
    expect(fleet.handshakes[0]).toBeLessThanOrEqual(accept.burst + accept.perSecond);
    expect(max(fleet.handshakes.slice(1))).toBeLessThanOrEqual(accept.perSecond * 1.02);
    expect(fleet.wasted).toBe(0);
  }, 60_000);

  it("does not collapse at a hub that manages 200 handshakes a second: nearly every one that it begins is finished", () => {
    const slow = { handshakeMs: 5, admittedMs: 1 };
    for (const absence of ["dropped", "swallowed"] as const) {
      const fleet = returningFleet({ agents: 10_000, absence, awayMs: 120_000, ...slow, seed: 1 });
      expect(fleet.backMs).toHaveLength(10_000);
      expect(fleet.backMs.at(-1)).toBeLessThan(90_000);
      // Those whose dial was nearly over when the path came back.
      expect(fleet.wasted).toBeLessThan(300);
      expect(max(fleet.handshakes.slice(1))).toBeLessThanOrEqual(210);
    }
  }, 60_000);
});
