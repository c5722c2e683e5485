import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { EventChain, batchOf } from "../../../test/support/audit-events.ts";
import { NO_POSTGRES, PostgresServer, postgresPrograms } from "../../../test/support/postgres-server.ts";
import { ManualClock } from "../../base/clock.ts";
import { CHAIN_START, auditHash, droppedEvent, gapEvent } from "./audit-chain.ts";
import { type AuditFilter, MAX_SCANNED, type StoredAuditEvent } from "./audit-log-reader.ts";
import type { HubAuditSink } from "./hub-audit-sink.ts";
import { MAX_QUARANTINED, MAX_QUARANTINED_BYTES } from "./quarantine.ts";
import { openPostgresAuditSink } from "./postgres/postgres-audit-sink.ts";
import type { SinkEvent } from "./sink-batch.ts";
import { openSqliteAuditSink } from "./sqlite-audit-sink.ts";

const EPOCH = 7n;
const START_MS = Date.UTC(2026, 0, 15);
const DAY_MS = 86_400_000;
const never = new AbortController().signal;

/** A store of sinks: each `open` leads to the same data until the next `fresh`. */
interface Bed {
  fresh(): Promise<void>;
  open(clock: ManualClock): Promise<HubAuditSink>;
  close(): Promise<void>;
}

async function sqliteBed(): Promise<Bed> {
  const directory = await mkdtemp(join(tmpdir(), "audit-sinks-"));
  let count = 0;
  return {
    fresh: async () => {
      count += 1;
    },
    open: (clock) => openSqliteAuditSink({ path: join(directory, `${count}.db`), clock }),
    close: () => rm(directory, { recursive: true }),
  };
}

async function postgresBed(): Promise<Bed> {
  const server = await PostgresServer.start();
  let count = 0;
  return {
    fresh: async () => {
      count += 1;
      await server.database(`sink${count}`);
    },
    open: (clock) => openPostgresAuditSink({ target: server.target(`sink${count}`), clock }),
    close: () => server.close(),
  };
}

const beds = [
  ["SQLite", sqliteBed, true],
  [
    `PostgreSQL${postgresPrograms() === undefined ? `: ${NO_POSTGRES}` : ""}`,
    postgresBed,
    postgresPrograms() !== undefined,
  ],
] as const;

describe.each(beds)("audit sink on %s", (store, makeBed, here) => {
  describe.skipIf(!here)("behaves as every sink", () => {
    let bed: Bed;
    let clock: ManualClock;
    let sink: HubAuditSink;

    beforeAll(async () => {
      bed = await makeBed();
    });
    afterAll(() => bed.close());
    beforeEach(async () => {
      await bed.fresh();
      clock = new ManualClock(START_MS);
      sink = await bed.open(clock);
    });
    afterEach(() => sink.close());

    const append = (events: readonly SinkEvent[], cluster = "t1", epoch = EPOCH) =>
      sink.append(cluster, batchOf(epoch, events));

    async function all(filter: AuditFilter, order: "newest" | "oldest", limit = 1_000): Promise<StoredAuditEvent[]> {
      const found: StoredAuditEvent[] = [];
      let position: bigint | undefined;
      do {
        const page = await sink.scan({ filter, order, position, limit });
        expect(page.events.length).toBeLessThanOrEqual(limit);
        found.push(...page.events);
        position = page.next;
      } while (position !== undefined);
      return found;
    }

    async function verdict(cluster = "t1") {
      const [chain] = await sink.chains(cluster);
      if (chain === undefined) throw new Error("no chain");
      return sink.verify(chain, never);
    }

    it("starts at zero and follows consecutive numbers, per cluster and epoch", async () => {
      const { events } = new EventChain().addMany(2);
      expect(await sink.position("t1", EPOCH)).toEqual({ contiguousThrough: 0n, highest: 0n, highestHash: undefined });
      expect(await append(events)).toEqual({ contiguousThrough: 2n, highest: 2n, rejected: [] });
      expect(await sink.position("t2", EPOCH)).toEqual({ contiguousThrough: 0n, highest: 0n, highestHash: undefined });
      expect(await sink.position("t1", EPOCH + 1n)).toEqual({
        contiguousThrough: 0n,
        highest: 0n,
        highestHash: undefined,
      });
      expect((await append(events, "t1", EPOCH + 1n)).contiguousThrough).toBe(2n);
    });

    it("stores a replay once, also after it was opened again", async () => {
      const { events } = new EventChain().addMany(250);
      await append(events.slice(0, 100));
      await append(events.slice(50, 150));
      await sink.close();
      sink = await bed.open(clock);
      const { highestHash, ...position } = await sink.position("t1", EPOCH);
      expect(position).toEqual({ contiguousThrough: 150n, highest: 150n });
      expect(Buffer.from(highestHash ?? "").toString("hex")).toBe(
        Buffer.from(events[149]?.hash ?? "none").toString("hex"),
      );
      expect(await append(events)).toEqual({ contiguousThrough: 250n, highest: 250n, rejected: [] });
      expect((await all({}, "oldest")).map(({ sequence }) => sequence)).toEqual(events.map(({ sequence }) => sequence));
    });

    it("waits at a hole until it is filled", async () => {
      const { events } = new EventChain().addMany(5);
      await append(events.slice(0, 1));
      expect(await append(events.slice(2, 4))).toMatchObject({ contiguousThrough: 1n, highest: 4n });
      expect(await append(events.slice(1, 2))).toMatchObject({ contiguousThrough: 4n, highest: 4n });
      expect(await append(events.slice(4))).toMatchObject({ contiguousThrough: 5n, highest: 5n });
    });

    it("passes numbers that a record explains, with a number of its own or in place of its first", async () => {
      const gap = gapEvent({ from: 2n, to: 9n }, "lost", "t");
      const lost = (sequence: bigint, event: Uint8Array, prevHash = CHAIN_START): SinkEvent => ({
        sequence,
        event,
        prevHash,
        hash: auditHash(prevHash, sequence, event),
      });
      const [first] = new EventChain().add().events;
      if (first === undefined) throw new Error("no event");
      await append([first]);
      expect((await append([lost(10n, gap, first.hash)])).contiguousThrough).toBe(10n);
      await append([first], "t2");
      const dropped = droppedEvent({ from: 2n, to: 9n }, CHAIN_START, "t");
      expect((await append([lost(2n, dropped, first.hash)], "t2")).contiguousThrough).toBe(9n);
      expect((await verdict("t2")).state).toMatchObject({ breaks: 0, verified: 2n, explained: 7n });
    });

    it("never overwrites: an equal number with another hash is a conflict, kept apart and counted", async () => {
      const { events } = new EventChain().addMany(2);
      const [other] = new EventChain().add({ action: "other" }).events;
      if (other === undefined) throw new Error("no event");
      await append(events.slice(0, 1));
      const refused = { contiguousThrough: 2n, highest: 2n, rejected: [{ sequence: 1n, code: "AUDIT_CONFLICT" }] };
      expect(await append([other, ...events.slice(1)])).toEqual(refused);
      expect(await append([other])).toEqual(refused);
      expect(await sink.chains("t1")).toMatchObject([{ quarantined: 1n }]);
      expect((await append(events)).rejected).toEqual([]);
      expect((await all({}, "oldest")).map(({ action }) => action)).toEqual(["a", "a"]);
    });

    it.each([
      ["bytes that are no canonical JSON", { event: Buffer.from("{ }") }, "AUDIT_INVALID"],
      ["a hash that does not match", { hash: new Uint8Array(32) }, "AUDIT_HASH_MISMATCH"],
      ["a hash of the wrong length", { hash: new Uint8Array(100_000) }, "AUDIT_INVALID"],
    ])("refuses %s, and the log goes on", async (_name, change, code) => {
      const [first, second] = new EventChain().addMany(2).events;
      if (first === undefined || second === undefined) throw new Error("no events");
      expect(await append([{ ...first, ...change }, second])).toEqual({
        contiguousThrough: 2n,
        highest: 2n,
        rejected: [{ sequence: 1n, code }],
      });
      expect(await sink.chains("t1")).toMatchObject([{ quarantined: 1n }]);
      expect((await verdict()).state).toMatchObject({ breaks: 0, explained: 1n, verified: 1n });
    });

    it("refuses another cluster's name", async () => {
      const { events } = new EventChain().add({ clusterId: "t2" });
      expect((await append(events)).rejected).toEqual([{ sequence: 1n, code: "AUDIT_CLUSTER_MISMATCH" }]);
    });

    it("shows what is in quarantine beside the event that has its number, until it is released", async () => {
      const { events } = new EventChain().addMany(2);
      const [other] = new EventChain().add({ subject: "other" }).events;
      if (other === undefined) throw new Error("no event");
      await append(events);
      await append([other]);
      await append([{ ...other, sequence: 3n }], "t2");
      const entries = await sink.quarantinePage(undefined, undefined, 10);
      expect(entries.map(({ cluster, sequence, code }) => `${cluster} ${sequence} ${code}`)).toEqual([
        "t1 1 AUDIT_CONFLICT",
        "t2 3 AUDIT_HASH_MISMATCH",
      ]);
      const [conflict, mismatch] = entries;
      if (conflict === undefined || mismatch === undefined) throw new Error("two entries");
      expect(await sink.quarantinePage(undefined, conflict, 10)).toEqual([mismatch]);
      expect(await sink.quarantinePage("t2", undefined, 10)).toEqual([mismatch]);
      const held = await sink.quarantinedEvent(conflict);
      expect(Buffer.from(held?.event ?? []).toString()).toBe('{"action":"a","subject":"other"}');
      expect(Buffer.from(held?.hash ?? []).equals(other.hash)).toBe(true);
      expect(held?.stored).toMatchObject({ cluster: "t1", sequence: 1n, action: "a" });
      expect(await sink.quarantinedEvent(mismatch)).toMatchObject({ stored: undefined });

      expect(await sink.release(conflict)).toBe(true);
      expect(await sink.release(conflict)).toBe(false);
      expect(await sink.quarantinedEvent(conflict)).toBeUndefined();
      expect(await sink.quarantineTotals(undefined)).toMatchObject([
        ...(store === "SQLite" ? [] : [{ cluster: "t1", entries: 0n, overflowed: 0n }]),
        { cluster: "t2", entries: 1n, overflowed: 0n },
      ]);
      expect((await all({}, "oldest")).map(({ cluster }) => cluster)).toEqual(["t1", "t1"]);
    });

    it("keeps so many refused events of a cluster, and counts the others; what is released makes room", async () => {
      const wrong = (from: number, count: number): SinkEvent[] =>
        Array.from({ length: count }, (_, at) => ({
          sequence: BigInt(from + at),
          event: Buffer.from(`{"n":${from + at}}`),
          hash: new Uint8Array(32),
          prevHash: new Uint8Array(32),
        }));
      await append(wrong(1, MAX_QUARANTINED - 1));
      await append(wrong(MAX_QUARANTINED, 5));
      await append(wrong(1, 3)); // held already: no new refusals
      const full = { cluster: "t1", entries: BigInt(MAX_QUARANTINED), overflowed: 4n };
      expect(await sink.quarantineTotals("t1")).toMatchObject([full]);
      expect((await sink.position("t1", EPOCH)).contiguousThrough).toBe(BigInt(MAX_QUARANTINED + 4));
      await append(wrong(1, 1), "t2");
      expect(await sink.quarantineTotals("t2")).toMatchObject([{ entries: 1n, overflowed: 0n }]);

      const [first] = await sink.quarantinePage("t1", undefined, 1);
      if (first === undefined) throw new Error("a full quarantine");
      await sink.release(first);
      await append(wrong(MAX_QUARANTINED + 10, 2));
      expect(await sink.quarantineTotals("t1")).toMatchObject([{ ...full, overflowed: 5n }]);
    });

    it("bounds the bytes of a cluster's quarantine", async () => {
      const large = Buffer.alloc(MAX_QUARANTINED_BYTES / 4 + 1, "x");
      for (let sequence = 1n; sequence <= 5n; sequence++)
        await append([{ sequence, event: large, hash: new Uint8Array(32), prevHash: new Uint8Array(32) }]);
      expect(await sink.quarantineTotals("t1")).toMatchObject([{ entries: 3n, overflowed: 2n }]);
    });

    it("finds events by the LineageRecord they name", async () => {
      const ref = { name: "root", namespace: "seam-system" };
      const chain = new EventChain().add();
      chain.put(Buffer.from(JSON.stringify({ action: "b", lineageIndexRef: ref })), 2n);
      await append(chain.events);
      expect((await all({ lineage: "seam-system/root" }, "newest")).map(({ sequence }) => sequence)).toEqual([2n]);
      expect(await all({ lineage: "seam-system/other" }, "newest")).toEqual([]);
    });

    it("takes a tenant's nonsense without failing what others store at the same time", async () => {
      const [event] = new EventChain().add().events;
      if (event === undefined) throw new Error("no event");
      const long = new EventChain().add({ subject: "\u{10000}".repeat(20_000), resource: "nul \0 byte" }).events;
      const [far, epoch, other, nul] = await Promise.all([
        append([{ ...event, sequence: 2n ** 64n - 1n }], "t1"),
        append([event], "t1", 2n ** 64n - 1n),
        append([event], "t2"),
        append(long, "t3"),
      ]);
      expect(far.rejected).toEqual([{ sequence: 2n ** 64n - 1n, code: "AUDIT_INVALID" }]);
      expect(epoch.rejected).toHaveLength(1);
      expect((await sink.position("t1", 2n ** 64n - 1n)).highest).toBe(0n);
      expect(other.contiguousThrough).toBe(1n);
      expect(nul.rejected).toEqual([]);
      expect(await all({ subject: "\u{10000}".repeat(20_000) }, "newest")).toMatchObject([
        { cluster: "t3", resource: "nul \uFFFD byte" },
      ]);
    });

    it("is searched in both orders, by each member and by time", async () => {
      await append(new EventChain().addMany(5, { subject: "ann", decision: "allow" }).events);
      await append(new EventChain().addMany(3, { subject: "bob", decision: "deny" }).events, "t2");
      await clock.advance(60_000);
      const later = new EventChain()
        .addMany(5, { subject: "ann", decision: "allow" })
        .addMany(2, { subject: "bob", action: "b" });
      await append(later.events);
      const numbers = (events: readonly StoredAuditEvent[]) =>
        events.map(({ cluster, sequence }) => `${cluster}/${sequence}`);
      expect(numbers(await all({ cluster: "t1" }, "newest", 2))).toEqual([
        "t1/7",
        "t1/6",
        "t1/5",
        "t1/4",
        "t1/3",
        "t1/2",
        "t1/1",
      ]);
      expect(numbers(await all({ subject: "bob" }, "oldest", 2))).toEqual(["t2/1", "t2/2", "t2/3", "t1/6", "t1/7"]);
      expect(numbers(await all({ action: "b" }, "oldest"))).toEqual(["t1/6", "t1/7"]);
      expect(numbers(await all({ decision: "deny", cluster: "t2" }, "newest"))).toEqual(["t2/3", "t2/2", "t2/1"]);
      expect(numbers(await all({ since: new Date(START_MS + 60_000).toISOString() }, "newest"))).toEqual([
        "t1/7",
        "t1/6",
      ]);
      expect(await all({ until: new Date(START_MS).toISOString() }, "oldest")).toEqual([]);
      const [newest] = await all({}, "newest", 1);
      expect(newest).toMatchObject({ receivedAt: new Date(START_MS + 60_000).toISOString() });
      expect(await sink.newest()).toBe(newest?.arrival);
    });

    it("verifies more than one slice, and tells its listeners of what is new", async () => {
      let told = 0;
      const stop = sink.subscribe(() => told++);
      const { events } = new EventChain().addMany(MAX_SCANNED + 100);
      for (let at = 0; at < events.length; at += 100) await append(events.slice(at, at + 100));
      stop();
      expect(told).toBe(6);
      expect((await verdict()).state).toMatchObject({ breaks: 0, verified: BigInt(MAX_SCANNED + 100) });
    });

    it("names the first break of a chain and counts all", async () => {
      const { events } = new EventChain().addMany(9);
      const [stranger] = new EventChain().add({ subject: "stranger" }).events;
      const sixth = events[5];
      if (stranger === undefined || sixth === undefined) throw new Error("no event");
      // As if the tenant's log had been cut and gone on elsewhere.
      const forged = { ...sixth, prevHash: stranger.hash, hash: auditHash(stranger.hash, 6n, sixth.event) };
      await append([...events.slice(0, 2), ...events.slice(4, 5), forged, ...events.slice(6)]);
      expect((await verdict()).state).toMatchObject({
        breaks: 3,
        firstBreak: { kind: "missing", from: 3n, to: 4n },
      });
    });

    it("removes by age from the beginning of a chain, and goes on above its floor", async () => {
      const { events } = new EventChain().addMany(30);
      await append(events.slice(0, 20));
      await append(new EventChain().addMany(3).events, "t2");
      await clock.advance(60 * DAY_MS);
      await append(events.slice(20));
      expect(await sink.retain(clock.now() - 30 * DAY_MS, never)).toBe(23);
      expect(await sink.retain(clock.now() - 30 * DAY_MS, never)).toBe(0);
      expect(await all({}, "oldest")).toHaveLength(10);
      const { chain, state } = await verdict();
      expect(chain.floor).toMatchObject({ through: 20n, removed: 20n, breaks: 0n });
      expect(state).toMatchObject({ breaks: 0, verified: 10n });
      // A tenant that sends the removed part once more is answered as for any replay.
      expect(await append(events)).toEqual({ contiguousThrough: 30n, highest: 30n, rejected: [] });
      expect(await all({}, "oldest")).toHaveLength(10);
    });

    it("answers what was asked before it was closed, and nothing after", async () => {
      const { events } = new EventChain().addMany(10);
      const asked = append(events);
      await sink.close();
      expect(await asked).toMatchObject({ contiguousThrough: 10n });
      await expect(append(events)).rejects.toThrow(/an open audit sink/);
      sink = await bed.open(clock);
      expect(sink.state()).toEqual({ ok: true });
    });
  });
});
