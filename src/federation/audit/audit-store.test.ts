import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { CHAIN_START, auditHash, droppedEvent, gapEvent } from "./audit-chain.ts";
import { AUDIT_MIGRATIONS } from "./audit-schema.ts";
import { AuditStore } from "./audit-store.ts";
import type { SinkBatch, SinkEvent } from "./sink-batch.ts";

const EPOCH = 7n;
type Event = SinkEvent;

function json(fields: Record<string, string>): Buffer {
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify(Object.fromEntries(sorted)));
}

function event(sequence: number, bytes: Uint8Array = json({ action: `a${sequence}` }), prevHash = CHAIN_START): Event {
  const number = BigInt(sequence);
  return { sequence: number, event: bytes, prevHash, hash: auditHash(prevHash, number, bytes) };
}

function batch(...events: Event[]): SinkBatch {
  return { epoch: EPOCH, events };
}

describe("AuditStore", () => {
  it("takes over what an older version had in quarantine", async () => {
    const directory = await mkdtemp(join(tmpdir(), "audit-store-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const path = join(directory, "audit.db");
    const old = new DatabaseSync(path);
    for (const migration of AUDIT_MIGRATIONS.slice(0, 3)) old.exec(migration);
    old.exec("PRAGMA user_version = 3");
    old
      .prepare("INSERT INTO audit_conflicts VALUES ('t1', 7, 1, ?, ?, '2026-01-01T00:00:00.000Z')")
      .run(new Uint8Array(32), Buffer.from("{}"));
    old.close();
    const store = AuditStore.open(path);
    expect(store.quarantine({ op: "page", cluster: undefined, after: undefined, limit: 10 })).toMatchObject([
      { cluster: "t1", epoch: 7n, sequence: 1n, code: "", bytes: 2, receivedAt: "2026-01-01T00:00:00.000Z" },
    ]);
    store.close();
  });

  it("starts at zero and follows consecutive numbers, per cluster and epoch", () => {
    const store = AuditStore.open(":memory:");
    expect(store.position("t1", EPOCH)).toEqual({ contiguousThrough: 0n, highest: 0n });
    expect(store.append("t1", batch(event(1), event(2)), 0)).toEqual({
      contiguousThrough: 2n,
      highest: 2n,
      rejected: [],
    });
    expect(store.position("t2", EPOCH).contiguousThrough).toBe(0n);
    expect(store.position("t1", EPOCH + 1n).contiguousThrough).toBe(0n);
  });

  it("stores a replay once and says nothing about it", () => {
    const store = AuditStore.open(":memory:");
    store.append("t1", batch(event(1), event(2)), 0);
    expect(store.append("t1", batch(event(1), event(2), event(3)), 0)).toEqual({
      contiguousThrough: 3n,
      highest: 3n,
      rejected: [],
    });
  });

  it("waits at a hole until it is filled", () => {
    const store = AuditStore.open(":memory:");
    expect(store.append("t1", batch(event(1), event(3), event(4)), 0)).toMatchObject({
      contiguousThrough: 1n,
      highest: 4n,
    });
    expect(store.append("t1", batch(event(2)), 0)).toMatchObject({ contiguousThrough: 4n, highest: 4n });
  });

  it.each([
    ["a gap record with a number of its own", event(10, gapEvent({ from: 2n, to: 9n }, "lost", "t")), 10n],
    [
      "a dropped record in place of its first number",
      event(2, droppedEvent({ from: 2n, to: 9n }, CHAIN_START, "t")),
      9n,
    ],
  ])("passes numbers that %s explains", (_name, record, reached) => {
    const store = AuditStore.open(":memory:");
    store.append("t1", batch(event(1)), 0);
    expect(store.append("t1", batch(record), 0).contiguousThrough).toBe(reached);
    expect(store.append("t1", batch(event(Number(reached) + 1)), 0).contiguousThrough).toBe(reached + 1n);
  });

  it("never overwrites: an equal number with another hash is a conflict, kept apart", () => {
    const store = AuditStore.open(":memory:");
    store.append("t1", batch(event(1)), 0);
    const other = event(1, json({ action: "other" }));
    expect(store.append("t1", batch(other, event(2)), 0)).toEqual({
      contiguousThrough: 2n,
      highest: 2n,
      rejected: [{ sequence: 1n, code: "AUDIT_CONFLICT" }],
    });
    expect(store.append("t1", batch(event(1)), 0).rejected).toEqual([]);
  });

  it.each([
    ["bytes that are no canonical JSON", event(1, Buffer.from("{ }")), "AUDIT_INVALID"],
    ["a hash that does not match", { ...event(1), hash: new Uint8Array(32) }, "AUDIT_HASH_MISMATCH"],
    ["another cluster's name", event(1, json({ clusterId: "t2" })), "AUDIT_CLUSTER_MISMATCH"],
    ["a hash of the wrong length", { ...event(1), hash: new Uint8Array(3) }, "AUDIT_INVALID"],
  ])("refuses %s, and the log goes on", (_name, bad, code) => {
    const store = AuditStore.open(":memory:");
    expect(store.append("t1", batch(bad, event(2)), 0)).toEqual({
      contiguousThrough: 2n,
      highest: 2n,
      rejected: [{ sequence: 1n, code }],
    });
  });

  it("answers nonsense without failing the group that others share", () => {
    const store = AuditStore.open(":memory:");
    store.begin();
    expect(store.append("t1", { epoch: 2n ** 64n - 1n, events: [event(1)] }, 0).rejected).toHaveLength(1);
    expect(store.position("t1", 2n ** 64n - 1n).highest).toBe(0n);
    const far = { ...event(1), sequence: 2n ** 64n - 1n };
    expect(store.append("t1", batch(far), 0).rejected).toEqual([{ sequence: far.sequence, code: "AUDIT_INVALID" }]);
    const endless = event(1, gapEvent({ from: 1n, to: 2n ** 63n }, "lost", "t"));
    expect(store.append("t1", batch(endless, event(2)), 0).contiguousThrough).toBe(2n);
    expect(store.append("t2", batch(event(1)), 0).contiguousThrough).toBe(1n);
    store.commit();
  });

  it("refuses number zero without moving", () => {
    const store = AuditStore.open(":memory:");
    expect(store.append("t1", batch(event(0)), 0)).toEqual({
      contiguousThrough: 0n,
      highest: 0n,
      rejected: [{ sequence: 0n, code: "AUDIT_INVALID" }],
    });
  });
});
