import { mkdtemp, rm } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditStore } from "./audit-store.ts";
import type { SinkEvent } from "./sink-batch.ts";
import { EventChain } from "../../../test/support/audit-events.ts";
import { CHAIN_START, auditHash, droppedEvent, gapEvent } from "./audit-chain.ts";
import type { AuditFilter, StoredAuditEvent } from "./audit-log-reader.ts";
import { MAX_SCANNED } from "./audit-log-reader.ts";
import { AUDIT_MIGRATIONS } from "./audit-schema.ts";
import type { ChainState } from "./audit-verification.ts";

const EPOCH = 1n;
const DAY_MS = 86_400_000;

let directory: string;
let files = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "audit-reading-"));
});
afterAll(() => rm(directory, { recursive: true }));

const newPath = (): string => join(directory, `${++files}.db`);

function append(store: AuditStore, events: readonly SinkEvent[], cluster = "t1", nowMs = 0): void {
  store.begin();
  for (let at = 0; at < events.length; at += 100)
    store.append(cluster, { epoch: EPOCH, events: events.slice(at, at + 100) }, nowMs);
  store.commit();
}

/** Verifies slice by slice, as the sink does. */
function verify(store: AuditStore, cluster = "t1"): ChainState {
  const chain = store.read((reading) => reading.chains(cluster))[0];
  if (chain === undefined) throw new Error("no chain");
  let state: ChainState | undefined;
  for (;;) {
    const from = state;
    const slice = store.read((reading) => reading.verify(chain, from));
    if (slice.done) return slice.state;
    ({ state } = slice);
  }
}

function all(store: AuditStore, filter: AuditFilter, order: "newest" | "oldest", limit: number): StoredAuditEvent[] {
  const found: StoredAuditEvent[] = [];
  let position: bigint | undefined;
  do {
    const from = position;
    const page = store.read((reading) => reading.scan({ filter, order, position: from, limit }));
    expect(page.events.length).toBeLessThanOrEqual(limit);
    found.push(...page.events);
    position = page.next;
  } while (position !== undefined);
  return found;
}

describe("a search", () => {
  it("pages over everything once, either way, whatever the filter", () => {
    const store = AuditStore.open(":memory:");
    const one = new EventChain();
    for (let n = 0; n < 3_000; n++)
      one.add({ subject: n % 7 === 0 ? "alice" : "bob", decision: n % 2 ? "deny" : "allow" });
    append(store, one.events);
    append(store, new EventChain().addMany(50, { subject: "alice", action: "b" }).events, "t2", DAY_MS);
    expect(all(store, {}, "newest", 97).map(({ arrival }) => Number(arrival))).toEqual(
      Array.from({ length: 3_050 }, (_, at) => 3_050 - at),
    );
    const alice = all(store, { subject: "alice" }, "oldest", 10);
    expect(alice).toHaveLength(429 + 50);
    expect(alice.map(({ arrival }) => arrival)).toEqual(
      alice.map(({ arrival }) => arrival).toSorted((a, b) => Number(a - b)),
    );
    expect(all(store, { subject: "alice", decision: "deny" }, "newest", 33)).toHaveLength(214);
    expect(all(store, { cluster: "t2" }, "newest", 100)).toHaveLength(50);
    expect(all(store, { action: "b", cluster: "t1" }, "newest", 100)).toHaveLength(0);
    const since = new Date(DAY_MS).toISOString();
    expect(all(store, { since }, "newest", 100)).toHaveLength(50);
    expect(all(store, { until: since }, "newest", 1_000)).toHaveLength(3_000);
    store.close();
  });

  it("looks at a bounded part of the log", () => {
    const store = AuditStore.open(":memory:");
    append(store, new EventChain().addMany(MAX_SCANNED + 10).events);
    const page = store.read((reading) =>
      reading.scan({ filter: { decision: "never" }, order: "newest", position: undefined, limit: 10 }),
    );
    expect(page).toEqual({ events: [], next: 11n });
    store.close();
  });
});

describe("a verification", () => {
  it("finds a chain whole, over many slices", () => {
    const store = AuditStore.open(":memory:");
    append(store, new EventChain().addMany(2 * MAX_SCANNED + 5).events);
    expect(verify(store)).toMatchObject({ verified: BigInt(2 * MAX_SCANNED + 5), breaks: 0, explained: 0n });
    store.close();
  });

  it.each([
    [
      "an altered event",
      'UPDATE audit_events SET event = CAST(\'{"action":"z"}\' AS BLOB) WHERE sequence = 5',
      "altered",
      5n,
      5n,
    ],
    ["a removed event", "DELETE FROM audit_events WHERE sequence = 5", "missing", 5n, 5n],
    ["a removed beginning", "DELETE FROM audit_events WHERE sequence < 4", "missing", 1n, 3n],
    ["a removed end", "DELETE FROM audit_events WHERE sequence > 8", "missing", 9n, 10n],
  ] as const)("names %s", (_name, tamper, kind, from, to) => {
    const path = newPath();
    const store = AuditStore.open(path);
    append(store, new EventChain().addMany(10).events);
    store.close();
    const db = new DatabaseSync(path);
    db.exec(tamper);
    db.close();
    const again = AuditStore.open(path);
    expect(verify(again)).toMatchObject({ breaks: 1, firstBreak: { kind, from, to } });
    again.close();
  });

  it("names an event that was exchanged with its hash made anew, by the next link", () => {
    const path = newPath();
    const chain = new EventChain().addMany(10);
    const store = AuditStore.open(path);
    append(store, chain.events);
    store.close();
    const event = Buffer.from('{"action":"z"}');
    const hash = auditHash(chain.events[4]?.prevHash ?? CHAIN_START, 5n, event);
    const db = new DatabaseSync(path);
    db.prepare("UPDATE audit_events SET event = ?, hash = ? WHERE sequence = 5").run(event, hash);
    db.close();
    const again = AuditStore.open(path);
    expect(verify(again)).toMatchObject({ breaks: 1, firstBreak: { kind: "broken", from: 6n, to: 6n } });
    again.close();
  });

  it("counts what records explain and finds no break there", () => {
    const store = AuditStore.open(":memory:");
    const chain = new EventChain().addMany(3);
    const lost = new EventChain().addMany(6);
    // 4 to 6 were dropped at the tenant's cap, 8 and 9 were lost with its store.
    const lastHash = lost.events.at(-1)?.hash ?? CHAIN_START;
    chain.put(droppedEvent({ from: 4n, to: 6n }, lastHash, "t"), 6n, lastHash).addMany(4);
    chain.put(gapEvent({ from: 8n, to: 9n }, "lost", "t"), 11n).addMany(2);
    append(
      store,
      chain.events.filter(({ sequence }) => sequence !== 8n && sequence !== 9n),
    );
    expect(verify(store)).toMatchObject({ breaks: 0, explained: 4n, verified: 9n });
    store.close();
  });

  it("lets a quarantined number pass as explained", () => {
    const store = AuditStore.open(":memory:");
    const { events } = new EventChain().addMany(5);
    const [third] = events.splice(2, 1);
    if (third === undefined) throw new Error("no third event");
    append(store, [...events.slice(0, 2), { ...third, hash: CHAIN_START }, ...events.slice(2)]);
    expect(verify(store)).toMatchObject({ breaks: 0, explained: 1n, verified: 4n });
    expect(store.read((reading) => reading.chains("t1"))[0]).toMatchObject({ quarantined: 1n, highest: 5n });
    store.close();
  });
});

describe("retention", () => {
  it("removes the beginning by age, counts it, and leaves a whole chain above the floor", () => {
    const path = newPath();
    const store = AuditStore.open(path);
    const chain = new EventChain().addMany(MAX_SCANNED + 300);
    append(store, chain.events.slice(0, MAX_SCANNED + 100), "t1", 0);
    append(store, chain.events.slice(MAX_SCANNED + 100), "t1", 10 * DAY_MS);
    const before = new Date(5 * DAY_MS).toISOString();
    const first = store.retain("t1", EPOCH, before, 11 * DAY_MS);
    expect(first).toEqual({ removed: MAX_SCANNED, done: false });
    expect(verify(store)).toMatchObject({ breaks: 0, verified: 300n });
    expect(store.retain("t1", EPOCH, before, 12 * DAY_MS)).toEqual({ removed: 100, done: true });
    expect(store.retain("t1", EPOCH, before, 13 * DAY_MS)).toEqual({ removed: 0, done: true });
    store.close();

    const again = AuditStore.open(path);
    expect(again.read((reading) => reading.chains("t1"))).toMatchObject([
      {
        highest: BigInt(MAX_SCANNED + 300),
        floor: { through: BigInt(MAX_SCANNED + 100), removed: BigInt(MAX_SCANNED + 100), breaks: 0n },
      },
    ]);
    expect(verify(again)).toMatchObject({ breaks: 0, verified: 200n });
    // A tenant that sends the removed part once more is answered as for any replay.
    append(again, chain.events.slice(0, 100));
    expect(all(again, {}, "newest", 1_000)).toHaveLength(200);
    expect(again.position("t1", EPOCH).contiguousThrough).toBe(BigInt(MAX_SCANNED + 300));
    again.close();
  });

  it("goes on in a verification that it overtakes", () => {
    const store = AuditStore.open(":memory:");
    append(store, new EventChain().addMany(2 * MAX_SCANNED).events);
    const chain = store.read((reading) => reading.chains("t1"))[0];
    if (chain === undefined) throw new Error("no chain");
    const slice = store.read((reading) => reading.verify(chain));
    expect(slice).toMatchObject({ done: false, state: { verified: BigInt(MAX_SCANNED) } });
    store.retain("t1", EPOCH, new Date(DAY_MS).toISOString(), 0);
    store.retain("t1", EPOCH, new Date(DAY_MS).toISOString(), 0);
    expect(store.read((reading) => reading.verify(chain, slice.state))).toMatchObject({
      done: true,
      state: { breaks: 0 },
    });
    store.close();
  });
});

it("brings a log of the first version over, in its order", () => {
  const path = newPath();
  const db = new DatabaseSync(path);
  db.exec(`${AUDIT_MIGRATIONS[0] ?? ""}; PRAGMA user_version = 1;`);
  const insert = db.prepare(
    "INSERT INTO audit_events (cluster, epoch, sequence, event_id, event_time, received_at, subject, action, resource, decision, event, prev_hash, hash, chained) VALUES (?, 1, ?, '', '', ?, '', 'a', '', '', ?, ?, ?, 1)",
  );
  const { events } = new EventChain().addMany(3);
  for (const { sequence, event, prevHash, hash } of events)
    insert.run("t1", sequence, new Date(Number(sequence)).toISOString(), event, prevHash, hash);
  db.exec("INSERT INTO audit_positions VALUES ('t1', 1, 3, 3)");
  db.close();
  const store = AuditStore.open(path);
  expect(all(store, {}, "oldest", 2).map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n]);
  append(store, new EventChain().addMany(4).events);
  expect(all(store, {}, "newest", 2)[0]).toMatchObject({ sequence: 4n, arrival: 4n });
  expect(verify(store)).toMatchObject({ verified: 4n, breaks: 0 });
  store.close();
});
