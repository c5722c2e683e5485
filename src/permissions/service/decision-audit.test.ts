import { describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { DecisionAudit, type DecisionRecord } from "./decision-audit.ts";

function record(i: number, allowed: boolean): DecisionRecord {
  return {
    decisionId: `d${i}`,
    requestId: "",
    caller: "ops",
    principal: `user${i}`,
    request: { form: "path", verb: "get", path: "/healthz" },
    query: "check",
    allowed,
    code: allowed ? "ALLOWED" : "NO_MATCHING_RULE",
    snapshotVersion: "e1.s1.0",
    matchedPolicy: "",
  };
}

describe("DecisionAudit", () => {
  it("never queues without bound: what the lane does not take is counted and reported when it takes again", async () => {
    const events: JsonObject[] = [];
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const lane = {
      audit: (event: JsonObject) => {
        events.push(event);
        return gate;
      },
    };
    const audit = new DecisionAudit({ lane, clock: new ManualClock(), random: new SeededRandom(1), log: silentLog });
    for (let i = 0; i < 3_000; i++) audit.record(record(i, true), true);
    expect(events).toHaveLength(1_024);
    expect(audit.dropped).toBe(1_976);
    // Denies have a queue of their own behind the allows: these are all kept.
    for (let i = 0; i < 60_000; i++) audit.record(record(i, false));
    expect(events).toHaveLength(61_024);
    for (let i = 0; i < 10_000; i++) audit.record(record(i, false));
    expect(events).toHaveLength(65_536);
    expect(audit.dropped).toBe(1_976 + 5_488);
    open();
    await expect
      .poll(() => events.at(-1))
      .toMatchObject({ action: "authz.dropped", decision: "system", count: 7_464, denies: 5_488 });
    expect(audit.dropped).toBe(0);
  });

  it("logs the first allow of each kind per hour and about one in a hundred of the rest", async () => {
    const events: JsonObject[] = [];
    const clock = new ManualClock();
    const lane = {
      audit: (event: JsonObject) => {
        events.push(event);
        return Promise.resolve();
      },
    };
    const audit = new DecisionAudit({ lane, clock, random: new SeededRandom(2), log: silentLog });
    audit.record(record(1, true));
    expect(events).toHaveLength(1);
    for (let i = 0; i < 10_000; i++) {
      audit.record(record(1, true));
      if (i % 100 === 0) await Promise.resolve();
    }
    expect(events.length).toBeGreaterThan(50);
    expect(events.length).toBeLessThan(200);
    const before = events.length;
    await clock.advance(3_600_000);
    audit.record(record(1, true));
    expect(events.length).toBe(before + 1);
  });

  it("samples and masks by the first rule of its policy that matches, and denies whatever it says", () => {
    const events: JsonObject[] = [];
    const lane = {
      audit: (event: JsonObject) => {
        events.push(event);
        return Promise.resolve();
      },
    };
    const policy = {
      allowSampleRate: 1,
      rules: [{ principals: ["user1"], allowSampleRate: 0, mask: ["resource", "namespace"] }],
    } as const;
    const parts = { lane, clock: new ManualClock(), random: new SeededRandom(1), log: silentLog, policy };
    const audit = new DecisionAudit(parts);
    audit.record(record(1, true));
    audit.record(record(2, true));
    audit.record(record(1, false));
    expect(events).toMatchObject([
      { subject: "user2", resource: "/healthz" },
      { subject: "user1", resource: "***", decision: "deny" },
    ]);
    expect(events[1]).not.toHaveProperty("namespace");
  });

  it("keeps serving when the lane fails", async () => {
    const lane = { audit: () => Promise.reject(new Error("disk full")) };
    const audit = new DecisionAudit({ lane, clock: new ManualClock(), random: new SeededRandom(3), log: silentLog });
    audit.record(record(1, false));
    await expect.poll(() => audit.dropped).toBeGreaterThan(0);
  });
});
