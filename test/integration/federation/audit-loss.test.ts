import { cp, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { CHAIN_START, auditHash } from "../../../src/federation/audit/audit-chain.ts";
import { openSqliteAuditSink } from "../../../src/federation/audit/sqlite-audit-sink.ts";
import { factOutbox } from "../../../src/federation/outbox/fact-outbox.ts";
import { openOutbox } from "../../../src/federation/outbox/outbox.ts";
import { FederationRig, until } from "../../support/federation-rig.ts";

const CLUSTER = "tenant-1";

describe("audit when a store is lost", () => {
  let rig: FederationRig;
  afterEach(() => rig.close());

  const deny = (i: number) => ({ action: "authz.decision", decision: "deny", subject: `user-${i}` });

  /** What the sink says of the tenant's one chain, and the subjects it holds, in order. */
  async function stored() {
    const sink = await openSqliteAuditSink({ path: join(rig.directory, "audit", "audit.db"), clock: systemClock });
    const [chain] = await sink.chains(CLUSTER);
    if (chain === undefined) throw new Error("no chain");
    const { state } = await sink.verify(chain, new AbortController().signal);
    const { events } = await sink.scan({ filter: {}, order: "oldest", position: 0n, limit: 500 });
    await sink.close();
    return { state, chain, subjects: events.map(({ subject, action }) => subject || action) };
  }

  it("explains with a gap what a hub that lost its disk had, and goes on", async () => {
    rig = await FederationRig.create([CLUSTER]);
    const first = await rig.hub();
    const { spoke } = await rig.spoke(CLUSTER);
    await Promise.all(Array.from({ length: 100 }, (_, i) => spoke.outbox.audit(deny(i))));
    await until(() => spoke.status().session?.audit.ackedThrough === 100n, "all are acknowledged");
    await first.stop();
    await rm(join(rig.directory, "audit"), { recursive: true });
    const second = await rig.hub();
    await until(() => spoke.status().connected, "the agent is back", 30_000);
    await spoke.outbox.audit(deny(100));
    await until(() => spoke.status().session?.audit.ackedThrough === 102n, "the gap and the event are acknowledged");
    await second.stop();
    const { state, subjects } = await stored();
    expect(state).toMatchObject({ breaks: 0, explained: 100n, verified: 2n });
    expect(subjects).toEqual(["audit.gap", "user-100"]);
  });

  /** An agent whose store is set back from 20 to 10 events and logs `since` before it meets the hub again; what the hub has then. */
  async function regrown(since: number) {
    rig = await FederationRig.create([CLUSTER]);
    const { stop, hub } = await rig.hub();
    const directory = join(rig.directory, CLUSTER);
    const backup = join(rig.directory, "backup");
    const before = await rig.spoke(CLUSTER);
    await Promise.all(Array.from({ length: 10 }, (_, i) => before.spoke.outbox.audit(deny(i))));
    await until(() => before.spoke.status().session?.audit.ackedThrough === 10n, "ten are acknowledged");
    await before.stop();
    await cp(directory, backup, { recursive: true });
    const later = await rig.spoke(CLUSTER);
    await Promise.all(Array.from({ length: 10 }, (_, i) => later.spoke.outbox.audit(deny(10 + i))));
    await until(() => later.spoke.status().session?.audit.ackedThrough === 20n, "twenty are acknowledged");
    await later.stop();
    await rm(directory, { recursive: true });
    await cp(backup, directory, { recursive: true });
    // It logs before it can say a word to the hub.
    const outbox = await openOutbox({ directory, clock: systemClock, random: systemRandom });
    const listener = { factPending: () => {}, auditAppended: () => {} };
    const facts = factOutbox({ cluster: CLUSTER, outbox, listener, clock: systemClock, random: systemRandom });
    for (let i = 0; i < since; i++) await facts.audit(deny(100 + i));
    expect((await outbox.auditCursor()).last).toBe(BigInt(10 + since));
    await outbox.close();
    const restored = await rig.spoke(CLUSTER);
    await until(
      () => (hub.view.agent(CLUSTER)?.auditStoredThrough ?? 0n) >= BigInt(20 + since),
      "what was logged since is stored under numbers of its own",
      30_000,
    );
    await restored.stop();
    await stop();
    return stored();
  }

  it.each([
    ["stayed below the hub's number", 5],
    ["grew exactly to the hub's number", 10],
    ["grew beyond the hub's number", 35],
  ])("loses nothing that a log which was set back and %s has got since, and shows where", async (_, since) => {
    const { state, chain, subjects } = await regrown(since);
    expect(subjects.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, i) => `user-${i}`));
    expect(subjects.slice(20)).toEqual(Array.from({ length: since }, (_, i) => `user-${100 + i}`));
    expect(chain.quarantined).toBe(0n);
    expect(state).toMatchObject({ breaks: 1, firstBreak: { kind: "broken", from: 21n, to: 21n } });
    expect(rig.recorded.lines.join("\n")).toContain("the audit log was restored or lost its end");
  });
});

it("reads back a whole beginning of a log whose last write was torn, and numbers on", async () => {
  const directory = await mkdtemp(join(tmpdir(), "audit-torn-"));
  const parts = { directory, clock: systemClock, random: systemRandom };
  const copy = join(directory, "copy");
  const outbox = await openOutbox(parts);
  const { epoch } = await outbox.auditCursor();
  for (let i = 0; i < 50; i++) await outbox.appendAudit(Buffer.from(`{"i":${i}}`), false);
  // As a machine leaves it that lost power: the log of the database, with its last pages cut off.
  await cp(join(directory, "outbox.db"), join(copy, "outbox.db"));
  await cp(join(directory, "outbox.db-wal"), join(copy, "outbox.db-wal"));
  await outbox.close();
  const { size } = await stat(join(copy, "outbox.db-wal"));
  const file = await open(join(copy, "outbox.db-wal"), "r+");
  await file.truncate(size - 10_000);
  await file.close();
  const again = await openOutbox({ ...parts, directory: copy });
  const { last } = await again.auditCursor();
  expect(last).toBeGreaterThan(0n);
  expect(last).toBeLessThan(50n);
  await again.appendAudit(Buffer.from('{"i":"after"}'), false);
  let previous: Uint8Array = CHAIN_START;
  const events = await again.loadAudit(epoch, 1n, 1_000, 1 << 20);
  for (const [at, { sequence, event, hash, prevHash }] of events.entries()) {
    expect(sequence).toBe(BigInt(at + 1));
    expect(Buffer.from(prevHash).equals(previous)).toBe(true);
    expect(Buffer.from(hash).equals(auditHash(prevHash, sequence, event))).toBe(true);
    previous = hash;
  }
  expect(events).toHaveLength(Number(last) + 1);
  await again.close();
  await rm(directory, { recursive: true });
});
