import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestTenantCluster, openTenantCluster } from "../../../../test/support/tenant-cluster.ts";
import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import { ManualClock } from "../../../base/clock.ts";
import { isJsonObject } from "../../../base/json.ts";
import { silentLog } from "../../../base/log.ts";
import { SeededRandom } from "../../../base/random.ts";
import { factOutbox } from "../../outbox/fact-outbox.ts";
import { type Outbox, memoryOutbox } from "../../outbox/outbox.ts";
import { startAuditSpill } from "./audit-spill.ts";
import { SPILL_LABEL } from "./spill-object.ts";
import { UnacknowledgedAge } from "./unacknowledged-age.ts";

const PATIENT = { timeout: 20_000, interval: 10 };
let tenant: TestTenantCluster;
let clock: ManualClock;
let stop: AbortController;
let closed: Promise<void>;

beforeAll(async () => {
  tenant = await openTenantCluster({ nodes: false });
});
afterAll(() => tenant.close());
beforeEach(() => {
  clock = new ManualClock(Date.UTC(2026, 0, 1));
});
afterEach(async () => {
  stop.abort();
  await closed;
  for (const { metadata } of await objects())
    await tenant.cluster.delete(ConfigMap, { namespace: "ont-system", name: metadata.name });
});

async function objects(): Promise<readonly ConfigMapObject[]> {
  const selected = { namespace: "ont-system", labelSelector: `${SPILL_LABEL}=true` };
  return (await tenant.cluster.list(ConfigMap, selected)).items;
}

function facts(outbox: Outbox) {
  const listener = { factPending: () => {}, auditAppended: () => {} };
  return factOutbox({ cluster: "tenant-1", outbox, clock, random: new SeededRandom(1), listener });
}

/** A store of its own: another second is another numbering. */
function store(): Outbox {
  return memoryOutbox(clock, new SeededRandom(1));
}

function start(outbox: Outbox, maxObjects?: number): void {
  stop = new AbortController();
  ({ closed } = startAuditSpill({
    clusterId: "tenant-1",
    cluster: tenant.cluster,
    outbox,
    facts: facts(outbox),
    clock,
    random: new SeededRandom(2),
    log: silentLog,
    ...(maxObjects !== undefined && { maxObjects }),
    signal: stop.signal,
  }));
}

/** Lets so much time pass, look by look. */
async function pass(ms: number): Promise<void> {
  for (let past = 0; past < ms; past += 5_000) {
    await expect.poll(() => clock.sleeping, PATIENT).toBeGreaterThan(0);
    await clock.advance(5_000);
  }
  await expect.poll(() => clock.sleeping, PATIENT).toBeGreaterThan(0);
}

async function spilled(): Promise<readonly string[]> {
  return (await objects()).map(({ data }) => {
    const list: unknown = JSON.parse(data?.["events"] ?? "[]");
    return Array.isArray(list) ? list.map((entry: { readonly sequence: string }) => entry.sequence).join(" ") : "";
  });
}

/** Lets time pass until the objects hold these numbers. */
async function becomes(expected: readonly string[]): Promise<void> {
  for (let looks = 0; looks < 12 && JSON.stringify(await spilled()) !== JSON.stringify(expected); looks++)
    await pass(15_000);
  expect(await spilled()).toEqual(expected);
}

describe("audit spill", () => {
  it("copies what waited for a minute, lets its object grow, and removes what was acknowledged", async () => {
    const outbox = store();
    start(outbox);
    for (const subject of ["a", "b"]) await facts(outbox).audit({ action: "x", decision: "deny", subject });
    await pass(40_000);
    expect(await spilled()).toEqual([]);
    await becomes(["1 2"]);
    await facts(outbox).audit({ action: "x", decision: "deny", subject: "c" });
    await becomes(["1 2 3"]);

    const { epoch } = await outbox.auditCursor();
    await outbox.apply([{ type: "AcknowledgeAudit", epoch, through: 2n }]);
    await pass(20_000);
    expect(await spilled()).toEqual(["1 2 3"]);
    await outbox.apply([{ type: "AcknowledgeAudit", epoch, through: 3n }]);
    await becomes([]);
  });

  it("gives to the next store what a lost one left, with the numbers it had; a restart of the same store repeats nothing", async () => {
    const lost = store();
    start(lost);
    for (const subject of ["a", "b"]) await facts(lost).audit({ action: "x", decision: "deny", subject });
    await becomes(["1 2"]);
    const { epoch } = await lost.auditCursor();
    stop.abort();
    await closed;

    start(lost);
    await pass(5_000);
    expect((await lost.auditCursor()).last).toBe(2n);
    expect(await spilled()).toEqual(["1 2"]);
    stop.abort();
    await closed;

    const next = store();
    expect((await next.auditCursor()).epoch).not.toBe(epoch);
    start(next);
    await expect.poll(spilled, PATIENT).toEqual([]);
    const cursor = await next.auditCursor();
    const taken = (await next.loadAudit(cursor.epoch, 1n, 10, 1 << 20)).map(({ event }) => {
      const value: unknown = JSON.parse(Buffer.from(event).toString());
      return isJsonObject(value) ? value : {};
    });
    expect(taken).toMatchObject([
      { subject: "a", clusterId: "tenant-1", sourceEpoch: String(epoch), sourceSequence: "1" },
      { subject: "b", sourceEpoch: String(epoch), sourceSequence: "2" },
    ]);
    expect(taken[0]?.["time"]).toBe("2026-01-01T00:00:00.000Z");
  });

  it("holds so many objects of so many bytes, and goes on when there is room", async () => {
    const outbox = store();
    start(outbox, 2);
    const long = "x".repeat(60_000);
    for (let n = 0; n < 10; n++) await facts(outbox).audit({ action: "x", decision: "deny", subject: long });
    await becomes(["1 2 3 4", "5 6 7 8"]);
    await pass(30_000);
    expect(await spilled()).toHaveLength(2);
    const { epoch } = await outbox.auditCursor();
    await outbox.apply([{ type: "AcknowledgeAudit", epoch, through: 5n }]);
    await becomes(["5 6 7 8", "9 10"]);
  });

  it("leaves alone what is no copy of events, and closes no numbers of its own by those of another store", async () => {
    const create = (name: string, data: Readonly<Record<string, string>>) =>
      tenant.cluster.create(ConfigMap, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name, namespace: "ont-system", labels: { [SPILL_LABEL]: "true" } },
        data,
      });
    await create("stranger", { epoch: "7", events: "no json" });
    const gap = { sequence: "3", event: { action: "audit.gap", from: "1", to: "2" } };
    await create("conductor-audit-spill-7-3", { epoch: "7", events: JSON.stringify([gap]) });
    const outbox = store();
    start(outbox);
    await expect
      .poll(async () => (await objects()).map(({ metadata }) => metadata.name), PATIENT)
      .toEqual(["stranger"]);
    const { epoch } = await outbox.auditCursor();
    const [event] = await outbox.loadAudit(epoch, 1n, 10, 1 << 20);
    expect(Buffer.from(event?.event ?? []).toString()).toContain('"action":"audit.gap.adopted"');
  });
});

describe("UnacknowledgedAge", () => {
  it("knows what was there so long ago, and nothing older than it has seen", () => {
    const age = new UnacknowledgedAge();
    age.note(0, 3n);
    age.note(10, 5n);
    expect(age.olderThan(-1)).toBe(0n);
    expect(age.olderThan(9)).toBe(3n);
    expect(age.olderThan(10)).toBe(5n);
    for (let at = 11; at < 200; at++) age.note(at, BigInt(at));
    expect(age.olderThan(10)).toBe(0n);
  });
});
