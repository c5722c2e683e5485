import { describe, expect, it } from "vitest";
import { ManualClock } from "./clock.ts";
import { atOnce, inSlices, nextTurn } from "./next-turn.ts";

/** Work of steps that take some time each, by the clock. */
function* steps(clock: ManualClock, count: number, stepMs: number): Generator<void, string> {
  for (let i = 0; i < count; i++) {
    void clock.advance(stepMs); // nobody sleeps: it has moved on return
    yield;
  }
  return "done";
}

describe("inSlices", () => {
  it("lets others have their turn whenever a slice is spent, and only then", async () => {
    const clock = new ManualClock();
    let turns = 0;
    const over = new AbortController();
    const others = (async () => {
      while (!over.signal.aborted) {
        await nextTurn();
        turns++;
      }
    })();
    await expect(inSlices(steps(clock, 100, 1), 10, clock)).resolves.toBe("done");
    const between = turns;
    await expect(inSlices(steps(clock, 100, 0), 10, clock)).resolves.toBe("done");
    over.abort();
    await others;
    expect(between).toBeGreaterThanOrEqual(9);
    expect(between).toBeLessThanOrEqual(12);
  });

  it("ends between two slices when nobody waits any more", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    stop.abort(new Error("nobody waits"));
    await expect(inSlices(steps(clock, 9, 1), 10, clock, stop.signal)).resolves.toBe("done");
    await expect(inSlices(steps(clock, 100, 1), 10, clock, stop.signal)).rejects.toThrow("nobody waits");
  });

  it("does all of it at once where nobody waits", () => {
    expect(atOnce(steps(new ManualClock(), 3, 1))).toBe("done");
  });
});
