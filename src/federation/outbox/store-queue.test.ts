import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nextTurn } from "../../base/next-turn.ts";
import { digestOf } from "../../base/digest.ts";
import { SeededRandom } from "../../base/random.ts";
import { CHAIN_START, auditHash } from "../audit/audit-chain.ts";
import { OutboxStore } from "./outbox-store.ts";
import { type OpenedStore, StoreQueue } from "./store-queue.ts";
import { type DiskSync, type WrittenFile, systemDisk } from "./write-ahead-disk.ts";

/** Short, so that a test sees many. */
const WRITE_BACK_BYTES = 128 * 1024;
const SECTOR_BYTES = 512;

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "seam-store-queue-"));
  path = join(directory, "outbox.db");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function openQueue(sync: DiskSync): StoreQueue {
  const open = (): OpenedStore => {
    const store = OutboxStore.open({ path, storeId: "s", auditEpoch: 1n });
    return { store, disk: store.waitElsewhere({ sync, writeBackBytes: WRITE_BACK_BYTES }) };
  };
  // Recovery has tests of its own (recover-store.test.ts).
  return new StoreQueue({ open, recover: open }, path);
}

/** Files as a disk that forgets: what was synced is there for certain, of what was written since any sector may be. */
class ForgetfulDisk implements DiskSync {
  readonly #durable: Record<WrittenFile, Buffer>;
  readonly #random = new SeededRandom(7);
  /** Called with the power about to go, before and after each sync. */
  onMoment: () => void = () => {};
  readonly syncs: string[] = [];

  constructor() {
    this.#durable = { database: this.#now("database"), log: this.#now("log") };
  }

  async bytes(fd: number, file: WrittenFile): Promise<void> {
    await this.#sync(`bytes ${file}`, file, () => systemDisk.bytes(fd, file));
  }

  async whole(fd: number, file: WrittenFile): Promise<void> {
    await this.#sync(`whole ${file}`, file, () => systemDisk.whole(fd, file));
  }

  async #sync(what: string, file: WrittenFile, work: () => Promise<void>): Promise<void> {
    this.syncs.push(what);
    this.onMoment();
    await work();
    this.#durable[file] = this.#now(file);
    this.onMoment();
  }

  /** A folder with what a power cut leaves now. */
  cut(): string {
    const folder = join(directory, "after-the-cut");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    writeFileSync(join(folder, "outbox.db"), this.#left("database"));
    writeFileSync(join(folder, "outbox.db-wal"), this.#left("log"));
    return folder;
  }

  #now(file: WrittenFile): Buffer {
    return readFileSync(file === "log" ? `${path}-wal` : path);
  }

  #left(file: WrittenFile): Buffer {
    const durable = this.#durable[file];
    const now = this.#now(file);
    const kept = this.#random.next() < 0.5 ? now.length : durable.length;
    // Sometimes everything that was not waited for is lost, sometimes next to nothing, mostly this and that.
    const share = [0, 0.05, 0.5, 0.95][Math.floor(this.#random.next() * 4)] ?? 0;
    const left = Buffer.alloc(kept);
    for (let at = 0; at < kept; at += SECTOR_BYTES) {
      // A file that became shorter has its old bytes or none.
      const from = at < now.length && this.#random.next() < share ? now : durable;
      if (at < from.length) from.copy(left, at, at, Math.min(at + SECTOR_BYTES, kept));
    }
    return left;
  }
}

describe("a power cut", () => {
  it("at any moment leaves every write that was answered, and a whole database", { timeout: 120_000 }, async () => {
    // Made and closed once, so that the disk has a first state to forget to.
    await openQueue(systemDisk).close();
    const queue = openQueue({
      bytes: (fd, file) => forgetful.bytes(fd, file),
      whole: (fd, file) => forgetful.whole(fd, file),
    });
    const forgetful = new ForgetfulDisk();
    const told = { term: 0n, last: 0n, bodies: new Set<string>() };
    let cuts = 0;
    forgetful.onMoment = () => {
      cuts++;
      const store = OutboxStore.open({ path: join(forgetful.cut(), "outbox.db"), storeId: "other", auditEpoch: 9n });
      const { storeId, term, audit, blobs } = store.record();
      expect(storeId).toBe("s");
      expect(term).toBeGreaterThanOrEqual(told.term);
      expect(audit.last).toBeGreaterThanOrEqual(told.last);
      const held = new Set<string>(blobs.map(({ digest }) => digest));
      expect([...told.bodies].filter((digest) => !held.has(digest))).toEqual([]);
      let previous: Uint8Array = CHAIN_START;
      for (const { sequence, event, hash } of store.loadAudit(1n, 1n, 100_000, 1 << 30)) {
        expect(Buffer.from(hash).equals(auditHash(previous, sequence, event))).toBe(true);
        previous = hash;
      }
      store.close();
      const db = new DatabaseSync(join(directory, "after-the-cut", "outbox.db"));
      expect(db.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
      db.close();
    };
    const random = new SeededRandom(3);
    for (let i = 1; i <= 120; i++) {
      const data = Buffer.alloc(1 + Math.floor(random.next() * 20_000), i);
      const digest = digestOf(data);
      const item = { kind: "PackInstalled" as const, name: `web-${i % 8}`, version: i, digest, size: data.length };
      const record = {
        item,
        epoch: 7,
        level: "pending",
        atMs: 5,
        nack: undefined,
        attempts: 0,
        lastGood: undefined,
      } as const;
      const term = BigInt(i);
      const [, appended] = await Promise.all([
        queue.ask({
          op: "apply",
          nowMs: 0,
          writes: [
            { type: "PutTerm", term },
            { type: "PutItem", record: { ...record, quarantinedBy: "", retriedBy: "" } },
            { type: "AppendBlob", digest, offset: 0, total: data.length, data, checked: true },
          ],
        }),
        queue.ask({ op: "appendAudit", nowMs: 0, events: [{ event: Buffer.from(`{"n":${i}}`), droppable: false }] }),
      ]);
      told.term = term;
      told.last = (appended as { readonly last: bigint }).last;
      // Eight items: the body of the ninth last version is left over, that of the eighth as soon as the next is stored, told or not.
      told.bodies.add(digest);
      const [oldest] = told.bodies;
      if (told.bodies.size > 7 && oldest !== undefined) told.bodies.delete(oldest);
    }
    expect(forgetful.syncs.filter((what) => what === "whole database").length).toBeGreaterThan(5);
    expect(cuts).toBeGreaterThan(240);
    await queue.close();
  });
});

describe("the disk", () => {
  it("is waited for by everything but acknowledgements, which the hub says again", async () => {
    const syncs: string[] = [];
    const queue = openQueue({
      bytes: (fd, file) => (syncs.push(`bytes ${file}`), systemDisk.bytes(fd, file)),
      whole: (fd, file) => (syncs.push(`whole ${file}`), systemDisk.whole(fd, file)),
    });
    const append = { op: "appendAudit", events: [{ event: Buffer.from("{}"), droppable: false }], nowMs: 0 } as const;
    const writes = [{ type: "AcknowledgeAudit", epoch: 1n, through: 1n }] as const;
    const acknowledge = { op: "apply", writes, nowMs: 0 } as const;
    await queue.ask(append);
    expect(syncs).toEqual(["bytes log"]);
    await queue.ask(acknowledge);
    await queue.ask({ op: "auditCursor" });
    expect(syncs).toHaveLength(1);
    await Promise.all([queue.ask(acknowledge), queue.ask(append)]);
    expect(syncs).toHaveLength(2);
    await queue.close();
  });

  it("answers nobody before it is done, and has the next group wait", async () => {
    const gate = Promise.withResolvers<void>();
    const queue = openQueue({ ...systemDisk, bytes: () => gate.promise });
    const order: string[] = [];
    const first = queue.ask({ op: "apply", writes: [{ type: "PutTerm", term: 1n }], nowMs: 0 });
    const done = first.then(() => order.push("write"));
    const read = nextTurn().then(async () => {
      await queue.ask({ op: "record" });
      order.push("read");
    });
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    expect(order).toEqual([]);
    gate.resolve();
    await Promise.all([done, read]);
    expect(order).toEqual(["write", "read"]);
    await queue.close();
  });

  it("that fails is told to everybody who waited; the store is opened again and goes on", async () => {
    let broken = false;
    const queue = openQueue({
      ...systemDisk,
      bytes: (fd, file) =>
        broken ? Promise.reject(new Error("EIO: i/o error, fdatasync")) : systemDisk.bytes(fd, file),
    });
    const put = (term: bigint): Promise<unknown> =>
      queue.ask({ op: "apply", writes: [{ type: "PutTerm", term }], nowMs: 0 });
    await put(1n);
    broken = true;
    const both = await Promise.allSettled([put(2n), put(3n)]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(put(4n)).rejects.toThrow(/EIO: i\/o error, fdatasync/);
    broken = false;
    await put(5n);
    expect(await queue.ask({ op: "record" })).toMatchObject({ storeId: "s", term: 5n });
    await queue.close();
    await expect(put(6n)).rejects.toThrow(/outbox\.db: an open store/);
  });

  it("keeps the log short, and is waited for at each step of it", async () => {
    const syncs: string[] = [];
    const queue = openQueue({
      bytes: (fd, file) => (syncs.push(`bytes ${file}`), systemDisk.bytes(fd, file)),
      whole: (fd, file) => (syncs.push(`whole ${file}`), systemDisk.whole(fd, file)),
    });
    for (let i = 0; i < 60; i++) {
      const data = Buffer.alloc(16 * 1024, i);
      const digest = digestOf(data);
      const writes = [
        { type: "AppendBlob", digest, offset: 0, total: data.length, data, checked: true },
        { type: "DeleteBlob", digest },
      ] as const;
      await queue.ask({ op: "apply", writes, nowMs: 0 });
      await queue.ask({ op: "status" });
      expect(readFileSync(`${path}-wal`).length).toBeLessThan(2 * WRITE_BACK_BYTES);
    }
    const at = syncs.indexOf("whole database");
    expect(syncs.slice(at - 2, at + 2)).toEqual(["bytes log", "bytes log", "whole database", "whole log"]);
    await queue.close();
  });
});
