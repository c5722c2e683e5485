import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ReplicaLoad, SLACK_SESSIONS, TOLERANCE, planMoves } from "./plan-moves.ts";

const loads = (...sessions: number[]): ReplicaLoad[] =>
  sessions.map((count, at) => ({ replica: `hub-${at}`, endpoint: `hub-${at}:9443`, sessions: count }));
const text = (own: ReplicaLoad | undefined, all: readonly ReplicaLoad[], max = 1_000): string =>
  own === undefined
    ? ""
    : planMoves(
        own,
        all.filter((each) => each !== own),
        max,
      )
        .map(({ to, count }) => `${count} to ${to.replica}`)
        .join(", ");

/** One round: every replica plans from the same counts, then all moves happen. Returns how many agents moved. */
function round(all: ReplicaLoad[], max: number): number {
  const change = new Map<string, number>();
  let moved = 0;
  for (const own of all)
    for (const { to, count } of planMoves(
      own,
      all.filter((each) => each !== own),
      max,
    )) {
      change.set(own.replica, (change.get(own.replica) ?? 0) - count);
      change.set(to.replica, (change.get(to.replica) ?? 0) + count);
      moved += count;
    }
  for (const [at, load] of all.entries())
    all[at] = { ...load, sessions: load.sessions + (change.get(load.replica) ?? 0) };
  return moved;
}

describe("planMoves", () => {
  it("fills a replica that joined from both others", () => {
    const all = loads(150, 150, 0);
    expect(all.map((own) => text(own, all))).toEqual(["50 to hub-2", "50 to hub-2", ""]);
  });

  it("leaves small differences alone", () => {
    for (const all of [loads(100, 100, 100), loads(110, 100, 90), loads(3, 1), loads(2, 0, 0), loads(0, 0)])
      expect(all.map((own) => text(own, all)).join("")).toBe("");
  });

  it("gives to those that lack most, and never more than asked at once", () => {
    const all = loads(200, 10, 60);
    expect(text(all[0], all)).toBe("80 to hub-1, 30 to hub-2");
    expect(text(all[0], all, 20)).toBe("20 to hub-1");
    expect(text(all[0], all, 0)).toBe("");
  });

  it("does nothing alone", () => {
    expect(planMoves({ replica: "a", endpoint: "a:1", sessions: 500 }, [], 10)).toEqual([]);
  });

  it("comes to rest within tolerance from any start, moves nobody in vain, and stays at rest", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 2, maxLength: 8 }),
        fc.integer({ min: 1, max: 400 }),
        (start, max) => {
          const all = loads(...start);
          const total = start.reduce((sum, count) => sum + count, 0);
          const average = total / all.length;
          const needed = start.reduce((sum, count) => sum + Math.max(0, count - average), 0);
          let moved = 0;
          let rounds = 0;
          for (let last = -1; last !== 0 && rounds < 10_000; rounds++) moved += last = round(all, max);
          expect(all.reduce((sum, { sessions }) => sum + sessions, 0)).toBe(total);
          for (const { sessions } of all) {
            expect(sessions).toBeGreaterThanOrEqual(0);
            expect(sessions).toBeLessThanOrEqual(Math.ceil(average * (1 + TOLERANCE) + SLACK_SESSIONS));
          }
          expect(moved).toBeLessThanOrEqual(Math.ceil(needed) + all.length * all.length);
          expect(round(all, max)).toBe(0);
        },
      ),
      { numRuns: 500 },
    );
  });
});
