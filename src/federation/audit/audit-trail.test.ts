import { afterEach, expect, it, vi } from "vitest";
import type { AuditRecord } from "../../api/audit-record.ts";
import { systemClock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { MAX_WAITING_RECORDS, startAuditTrail } from "./audit-trail.ts";

const PATIENT = { timeout: 15_000, interval: 10 };
const record: AuditRecord = { action: "ceiling.changed", decision: "system", subject: "s", resource: "r" };
let stop = new AbortController();

afterEach(() => stop.abort());

/** A log that takes events only while it is told to. */
class Lane {
  readonly stored: JsonObject[] = [];
  full = false;

  async audit(event: JsonObject): Promise<void> {
    if (this.full) throw new Error("AuditLogFull");
    this.stored.push(event);
  }
}

function trailOver(lane: Lane) {
  stop = new AbortController();
  return startAuditTrail({
    lane,
    clock: systemClock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
  });
}

it("resolves when the record is durable, with an id and a time of its own", async () => {
  const lane = new Lane();
  const trail = trailOver(lane);
  await trail.record({ ...record, details: { n: 1 }, lineageIndexRef: { name: "root", namespace: "seam-system" } });
  expect(lane.stored).toMatchObject([
    { action: "ceiling.changed", details: { n: 1 }, lineageIndexRef: { name: "root", namespace: "seam-system" } },
  ]);
  expect(lane.stored[0]?.["eventId"]).toMatch(/^[0-9A-Z]{26}$/);
});

it("holds nobody up while the log is full, and stores in order what waited", async () => {
  const lane = new Lane();
  lane.full = true;
  const trail = trailOver(lane);
  for (let n = 0; n < 3; n++) await trail.record({ ...record, subject: `s${n}` });
  lane.full = false;
  await vi.waitFor(() => expect(lane.stored.map(({ subject }) => subject)).toEqual(["s0", "s1", "s2"]), PATIENT);
});

it("counts by action what found no place, and says so when there is room", async () => {
  const lane = new Lane();
  lane.full = true;
  const trail = trailOver(lane);
  await trail.record(record);
  for (let n = 1; n < MAX_WAITING_RECORDS; n++) void trail.record(record);
  for (let n = 0; n < 5; n++) await trail.record({ ...record, action: "drift.detected" });
  await trail.record(record);
  lane.full = false;
  await vi.waitFor(() => expect(lane.stored.at(-1)).toMatchObject({ action: "audit.missed" }), PATIENT);
  expect(lane.stored).toHaveLength(MAX_WAITING_RECORDS + 1);
  expect(lane.stored.at(-1)).toMatchObject({
    details: { count: 6, actions: { "ceiling.changed": 1, "drift.detected": 5 } },
  });
});

it("leaves out details beyond the bound and says how large they were", async () => {
  const lane = new Lane();
  await trailOver(lane).record({ ...record, details: { text: "x".repeat(20_000) } });
  expect(lane.stored[0]).toMatchObject({ detailsOmittedBytes: 20_011 });
  expect(lane.stored[0]?.["details"]).toBeUndefined();
});
