import { describe, expect, it } from "vitest";
import { ManualClock, Timestamps, rfc3339, rfc3339Seconds, systemClock } from "./clock.ts";

describe("manual clock", () => {
  it("wakes sleepers in the order of their time, each seeing its own time", async () => {
    const clock = new ManualClock(0);
    const seen: string[] = [];
    const sleep = async (name: string, ms: number): Promise<void> => {
      await clock.sleep(ms);
      seen.push(`${name}@${clock.now()}`);
    };
    const all = Promise.all([sleep("late", 30), sleep("early", 10), sleep("middle", 20)]);
    expect(clock.sleeping).toBe(3);
    await clock.advance(30);
    await all;
    expect(seen).toEqual(["early@10", "middle@20", "late@30"]);
    expect(clock.sleeping).toBe(0);
  });

  it("does not wake what is not due, and does wake what a woken one starts within the step", async () => {
    const clock = new ManualClock(0);
    let woken = 0;
    const twice = (async () => {
      await clock.sleep(5);
      woken += 1;
      await clock.sleep(5);
      woken += 1;
    })();
    await clock.advance(4);
    expect(woken).toBe(0);
    await clock.advance(6);
    await twice;
    expect(woken).toBe(2);
  });

  it("moves the wall clock alone on a jump", async () => {
    const clock = new ManualClock(1_000_000);
    let woken = false;
    const sleeping = clock.sleep(10).then(() => {
      woken = true;
    });
    clock.jumpWall(-500_000);
    expect(clock.now()).toBe(500_000);
    expect(clock.monotonic()).toBe(0);
    await Promise.resolve();
    expect(woken).toBe(false);
    await clock.advance(10);
    await sleeping;
  });

  it("rejects a sleep whose signal aborts, and forgets it", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const sleeping = clock.sleep(1000, stop.signal);
    stop.abort(new Error("stopping"));
    await expect(sleeping).rejects.toThrow("stopping");
    expect(clock.sleeping).toBe(0);
    await expect(clock.sleep(1, stop.signal)).rejects.toThrow("stopping");
  });
});

describe("system clock", () => {
  it("rejects at once when the signal aborts during a long sleep", async () => {
    const stop = new AbortController();
    const started = performance.now();
    const sleeping = systemClock.sleep(60_000, stop.signal);
    queueMicrotask(() => stop.abort(new Error("stopping")));
    await expect(sleeping).rejects.toThrow("stopping");
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it("resolves a sleep, and its monotonic time does not go back", async () => {
    const before = systemClock.monotonic();
    await systemClock.sleep(1);
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(before);
  });
});

it("writes RFC 3339 with and without fraction", () => {
  const ms = Date.UTC(2026, 0, 10, 8, 0, 0, 7);
  expect(rfc3339(ms)).toBe("2026-01-10T08:00:00.007Z");
  expect(rfc3339Seconds(ms)).toBe("2026-01-10T08:00:00Z");
  const stamps = new Timestamps();
  for (const at of [0, ms, ms + 9, ms + 90, ms + 900, ms + 993, ms + 1_000, ms - 5, -1, 253_402_300_799_999])
    expect(stamps.text(at)).toBe(rfc3339(at));
});
