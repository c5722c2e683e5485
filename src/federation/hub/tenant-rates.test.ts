import { describe, expect, it } from "vitest";
import { RecordedMetrics } from "../../../test/support/recorded-metrics.ts";
import { ManualClock } from "../../base/clock.ts";
import { TenantRates } from "./tenant-rates.ts";

function rates(): { readonly clock: ManualClock; readonly metrics: RecordedMetrics; readonly rates: TenantRates } {
  const clock = new ManualClock();
  const metrics = new RecordedMetrics();
  const limits = { requests: { perSecond: 1, burst: 2 }, facts: { perSecond: 10, burst: 3 } };
  return { clock, metrics, rates: new TenantRates({ clock, metrics, limits }) };
}

describe("rates of one tenant", () => {
  it("refuses requests above the rate, and counts them", async () => {
    const { clock, metrics, rates: own } = rates();
    expect([own.admitsRequest(), own.admitsRequest(), own.admitsRequest()]).toEqual([true, true, false]);
    expect(metrics.counts.get("federation_refused_total RequestRate")).toBe(1);
    await clock.advance(1_000);
    expect(own.admitsRequest()).toBe(true);
  });

  it("lets facts wait, loses none, and counts who waited", async () => {
    const { clock, metrics, rates: own } = rates();
    let stored = 0;
    const all = Array.from({ length: 8 }, () => own.fact().then(() => stored++));
    await clock.advance(0);
    expect(stored).toBe(3);
    await clock.advance(200);
    expect(stored).toBe(5);
    await clock.advance(1_000);
    await Promise.all(all);
    expect(stored).toBe(8);
    expect(metrics.counts.get("federation_throttled_total FactRate")).toBe(5);
  });
});
