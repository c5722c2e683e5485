import { describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { SeededRandom } from "../../base/random.ts";
import { Admission } from "./admission.ts";

function admission(clock: ManualClock): Admission {
  return new Admission({
    clock,
    random: new SeededRandom(1),
    rate: { perSecond: 10, burst: 2 },
    perCluster: { perSecond: 0.5, burst: 3 },
  });
}

describe("Admission", () => {
  it("admits the burst and spreads the rest by their place in the queue", () => {
    const gate = admission(new ManualClock());
    const verdicts = Array.from({ length: 12 }, (_, i) => gate.admit(`tenant-${i}`));
    expect(verdicts.filter(({ ok }) => ok)).toHaveLength(2);
    const waits = verdicts.flatMap((verdict) => (verdict.ok ? [] : [verdict.retryAfterMs]));
    expect(waits[0]).toBeGreaterThan(100);
    expect(waits.at(-1)).toBeGreaterThan(900);
    expect(waits.at(-1)).toBeLessThan(1_400);
  });

  it("holds back one cluster that connects too often without touching others", async () => {
    const clock = new ManualClock();
    const gate = admission(clock);
    for (let i = 0; i < 3; i++) {
      expect(gate.admit("flapping")).toEqual({ ok: true });
      await clock.advance(100);
    }
    expect(gate.admit("flapping")).toMatchObject({ ok: false, reason: "ClusterConnectRate" });
    expect(gate.admit("calm")).toEqual({ ok: true });
    await clock.advance(2_000);
    expect(gate.admit("flapping")).toEqual({ ok: true });
  });
});
