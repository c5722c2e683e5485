import { describe, expect, it } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { Alarm } from "./alarm.ts";

function rings(): { readonly alarm: Alarm; readonly at: number[]; rung(): Promise<number> } {
  const at: number[] = [];
  let wake: (ms: number) => void = () => {};
  const alarm = new Alarm(systemClock, () => {
    const now = systemClock.monotonic();
    at.push(now);
    wake(now);
  });
  return {
    alarm,
    at,
    rung: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
  };
}

describe("Alarm", () => {
  it("rings at or after its deadline, never before, once", async () => {
    const { alarm, at, rung } = rings();
    const due = systemClock.monotonic() + 20.4;
    alarm.set(due);
    expect(await rung()).toBeGreaterThanOrEqual(due);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(at).toHaveLength(1);
  });

  it("follows a deadline that comes nearer and one that moves away", async () => {
    const { alarm, rung } = rings();
    const now = systemClock.monotonic();
    alarm.set(now + 60_000);
    alarm.set(now + 10);
    expect((await rung()) - now).toBeLessThan(5_000);
    const again = systemClock.monotonic();
    alarm.set(again + 10);
    alarm.set(again + 60);
    expect(await rung()).toBeGreaterThanOrEqual(again + 60);
  });

  it("is silent after it was stopped or set to never", async () => {
    const { alarm, at } = rings();
    alarm.set(systemClock.monotonic() + 5);
    alarm.stop();
    alarm.set(systemClock.monotonic() + 5);
    alarm.set(Infinity);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(at).toEqual([]);
  });
});
