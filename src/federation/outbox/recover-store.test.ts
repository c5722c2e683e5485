import { create } from "@bufbuild/protobuf";
import { existsSync } from "node:fs";
import { copyFile, mkdtemp, open as openFile, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuditEventBatchSchema } from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { ManualClock, systemClock } from "../../base/clock.ts";
import { SeededRandom } from "../../base/random.ts";
import { closedBy, parseAuditEvent } from "../audit/audit-chain.ts";
import { openSqliteAuditSink } from "../audit/sqlite-audit-sink.ts";
import { OUTBOX_FILE, type Outbox, type OutboxOptions, openOutbox } from "./outbox.ts";
import { MAX_QUARANTINED, type StoreRecovery, finishRecovery } from "./recover-store.ts";

/** Enough for several pages. */
const EVENTS = 200;

let directory: string;
let path: string;
const clock = new ManualClock();
const recoveries: StoreRecovery[] = [];
const opened: Outbox[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-recover-"));
  path = join(directory, OUTBOX_FILE);
  recoveries.length = 0;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((outbox) => outbox.close()));
  await rm(directory, { recursive: true, force: true });
});

async function open(options: Partial<OutboxOptions> = {}): Promise<Outbox> {
  const outbox = await openOutbox({
    directory,
    clock,
    random: new SeededRandom(1),
    onRecovered: (recovery) => recoveries.push(recovery),
    ...options,
  });
  opened.push(outbox);
  return outbox;
}

async function close(outbox: Outbox): Promise<void> {
  opened.splice(opened.indexOf(outbox), 1);
  await outbox.close();
}

const eventOf = (number: number): Uint8Array =>
  Buffer.from(`{"action":"a","decision":"deny","n":${number},"padding":"${"x".repeat(200)}"}`);

/** A store with {@link EVENTS} events of which the first ten are acknowledged, closed. */
async function filled(): Promise<bigint> {
  const outbox = await open();
  await Promise.all(Array.from({ length: EVENTS }, (_, i) => outbox.appendAudit(eventOf(i + 1), false)));
  const { epoch } = await outbox.auditCursor();
  const sink = await openSqliteAuditSink({ path: join(directory, "sink.db"), clock: systemClock });
  const events = [...(await outbox.loadAudit(epoch, 1n, 10, 1_000_000))];
  await sink.append("tenant-1", create(AuditEventBatchSchema, { epoch, events }));
  await sink.close();
  await outbox.apply([{ type: "AcknowledgeAudit", epoch, through: 10n }]);
  await close(outbox);
  return epoch;
}

/** Page of the database that holds an event. */
async function pageOf(number: number): Promise<number> {
  const at = (await readFile(path)).indexOf(`"n":${number},`);
  expect(at).toBeGreaterThan(0);
  return Math.floor(at / 4096);
}

async function overwrite(position: number, bytes: Uint8Array): Promise<void> {
  const file = await openFile(path, "r+");
  await file.write(bytes, 0, bytes.length, position);
  await file.close();
}

/** Everything that the log would send, as the hub stores and verifies it. */
async function forwarded(outbox: Outbox) {
  const { epoch, firstHeld, last } = await outbox.auditCursor();
  const sink = await openSqliteAuditSink({ path: join(directory, "sink.db"), clock: systemClock });
  try {
    const records: { readonly from: string; readonly to: string; readonly reason: string }[] = [];
    let next = firstHeld;
    let stored = 0;
    while (next <= last) {
      const events = await outbox.loadAudit(epoch, next, 100, 1_000_000);
      if (events.length === 0) break;
      for (const { event } of events) {
        const { action, from, to, reason } = parseAuditEvent(event);
        const isGap = action === "audit.gap" && typeof from === "string" && typeof to === "string";
        if (isGap && typeof reason === "string") records.push({ from, to, reason });
        else stored++;
      }
      const { rejected } = await sink.append("tenant-1", create(AuditEventBatchSchema, { epoch, events: [...events] }));
      expect(rejected).toEqual([]);
      const tail = events.at(-1);
      const closed = tail === undefined ? undefined : closedBy(tail.event);
      next = (closed?.to ?? tail?.sequence ?? last) + 1n;
    }
    const [chain] = await sink.chains("tenant-1");
    if (chain === undefined) throw new Error("nothing was stored");
    const { state } = await sink.verify(chain, new AbortController().signal);
    return { records, stored, last, highest: chain.highest, state };
  } finally {
    await sink.close();
  }
}

describe("recoverStore", () => {
  it("goes on with the numbers round a page that cannot be read, and says in its place what was lost", async () => {
    const epoch = await filled();
    const page = await pageOf(100);
    await overwrite(page * 4096, Buffer.alloc(4096, 0xa5));
    const outbox = await open();
    expect(recoveries).toHaveLength(1);
    const [recovery] = recoveries;
    expect(recovery?.numbering).toBe("continued");
    expect(recovery?.lostEvents).toBeGreaterThan(5);
    expect(recovery?.lostEvents).toBeLessThan(20);
    expect(await outbox.auditCursor()).toMatchObject({ epoch, ackedThrough: 10n, last: BigInt(EVENTS) });
    const appended = await outbox.appendAudit(eventOf(EVENTS + 1), false);
    expect(appended.last).toBe(BigInt(EVENTS + 1));
    const { records, stored, state } = await forwarded(outbox);
    expect(records).toHaveLength(1);
    const [record] = records;
    expect(record?.reason).toBe("corrupt");
    expect(Number(record?.to) - Number(record?.from) + 1).toBe(recovery?.lostEvents);
    expect([Number(record?.from) <= 100, Number(record?.to) >= 100]).toEqual([true, true]);
    expect(stored).toBe(EVENTS - 10 - (recovery?.lostEvents ?? 0) + 1);
    // The chain holds from the first event that is held to the last, round the hole.
    expect(state).toMatchObject({ breaks: 0, next: BigInt(EVENTS + 2) });
    expect(existsSync(recovery?.quarantined ?? "")).toBe(true);
  });

  it("finds one altered byte, which SQLite cannot tell, when the event is read, and goes on in the same process", async () => {
    const epoch = await filled();
    const at = (await readFile(path)).indexOf('"n":150,');
    await overwrite(at + 4, Buffer.from("9"));
    const outbox = await open();
    expect(recoveries).toEqual([]);
    await expect(outbox.loadAudit(epoch, 11n, 200, 1_000_000)).rejects.toThrow(
      "audit event 150: the hash it was stored with; none is needed: it is put aside, and a record says so in its place",
    );
    // What is asked next is asked of the store that took its place.
    const appended = await outbox.appendAudit(eventOf(EVENTS + 1), false);
    expect(appended.last).toBe(BigInt(EVENTS + 1));
    expect(recoveries).toMatchObject([{ numbering: "continued", lostEvents: 1 }]);
    const { records, state } = await forwarded(outbox);
    expect(records).toEqual([{ from: "150", to: "150", reason: "corrupt" }]);
    expect(state).toMatchObject({ breaks: 0, next: BigInt(EVENTS + 2) });
  });

  it("begins anew in another epoch when not even the position can be read", async () => {
    const epoch = await filled();
    await writeFile(path, "x".repeat(8192));
    clockMoves();
    const outbox = await open();
    expect(recoveries).toMatchObject([{ numbering: "restarted", salvagedEvents: 0, lostEvents: 0 }]);
    const cursor = await outbox.auditCursor();
    expect(cursor.epoch).toBeGreaterThan(epoch);
    expect(cursor.last).toBe(0n);
    expect(await readFile(recoveries[0]?.quarantined ?? "", "utf8")).toBe("x".repeat(8192));
  });

  it("begins anew when the file lost its end, which SQLite reads nothing of, and keeps the file", async () => {
    await filled();
    await truncate(path, (await pageOf(120)) * 4096);
    clockMoves();
    const outbox = await open();
    expect(recoveries).toMatchObject([{ numbering: "restarted" }]);
    expect((await outbox.appendAudit(eventOf(EVENTS + 1), false)).last).toBe(1n);
    expect((await readFile(recoveries[0]?.quarantined ?? "")).includes('"n":100,')).toBe(true);
  });

  it("keeps a few of the damaged stores, the newest", async () => {
    for (let i = 0; i < MAX_QUARANTINED + 2; i++) {
      clockMoves();
      await writeFile(path, `${i}`.repeat(8192));
      await close(await open());
    }
    const names = (await readdir(directory)).filter((name) => name.includes(".bad-")).sort();
    expect(names).toHaveLength(MAX_QUARANTINED);
    expect((await readFile(join(directory, names.at(-1) ?? ""), "utf8")).startsWith("4")).toBe(true);
    const seen: (readonly string[])[] = [];
    await open({ onQuarantined: (paths) => seen.push(paths) });
    expect(seen.map((paths) => paths.length)).toEqual([MAX_QUARANTINED]);
  });

  it("is finished after a crash in its middle, and the damaged one's own log is not taken for the new one's", async () => {
    await filled();
    const page = await pageOf(100);
    await copyFile(path, join(directory, "before"));
    await overwrite(page * 4096, Buffer.alloc(4096, 0xa5));
    await close(await open());
    // As a crash leaves it between the two renames, with a write-ahead log of the damaged store still there.
    await copyFile(path, `${path}.salvaged`);
    await rm(path);
    await writeFile(`${path}-wal`, Buffer.alloc(4096, 7));
    finishRecovery(path);
    expect(existsSync(`${path}-wal`)).toBe(false);
    const outbox = await open();
    expect(recoveries).toHaveLength(1);
    expect((await outbox.auditCursor()).last).toBe(BigInt(EVENTS));
  });

  it("salvages what lies in the write-ahead log of a process that was killed", async () => {
    const epoch = await filled();
    const db = new DatabaseSync(path);
    db.exec("PRAGMA wal_autocheckpoint = 0");
    db.prepare("UPDATE meta SET audit_acked = 20").run();
    await copyFile(path, join(directory, "copy"));
    await copyFile(`${path}-wal`, join(directory, "copy-wal"));
    db.close();
    await copyFile(join(directory, "copy"), path);
    await copyFile(join(directory, "copy-wal"), `${path}-wal`);
    const page = await pageOf(100);
    await overwrite(page * 4096, Buffer.alloc(4096, 0xa5));
    const outbox = await open();
    expect(recoveries).toMatchObject([{ numbering: "continued" }]);
    expect(await outbox.auditCursor()).toMatchObject({ epoch, ackedThrough: 20n });
  });
});

function clockMoves(): void {
  clock.jumpWall(1_000);
}
