import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { parseAuditEvent } from "../audit/audit-chain.ts";
import { OUTBOX_FILE, type Outbox, openOutbox } from "./outbox.ts";
import { REOPEN_MS, ReopeningOutbox, type StoreUnavailable } from "./reopening-outbox.ts";
import { storeError } from "./store-error.ts";
import { MAX_EVENTS_IN_MEMORY } from "../../base/waiting-events.ts";

const PATIENT = { timeout: 20_000, interval: 10 };
let directory: string;
let clock: ManualClock;
let stop: AbortController;
let told: (StoreUnavailable | undefined)[];
const opened: Outbox[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-reopening-"));
  clock = new ManualClock();
  stop = new AbortController();
  told = [];
});
afterEach(async () => {
  stop.abort();
  await Promise.all(opened.splice(0).map((outbox) => outbox.close()));
  await rm(directory, { recursive: true, force: true });
});

function reopening(folder: string, open: typeof openOutbox = openOutbox): ReopeningOutbox {
  const outbox = new ReopeningOutbox({
    directory: folder,
    clock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
    told: (unavailable) => told.push(unavailable),
    open,
  });
  opened.push(outbox);
  return outbox;
}

const eio = (): Error =>
  Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO", syscall: "fdatasync", errno: -5 });

const eventOf = (n: number, decision: string): Uint8Array =>
  Buffer.from(`{"action":"a","decision":"${decision}","n":${n}}`);

/** Numbers of the events in the log, in its order. */
async function logged(outbox: Outbox): Promise<readonly unknown[]> {
  const { epoch } = await outbox.auditCursor();
  return (await outbox.loadAudit(epoch, 1n, 2_000, 10_000_000)).map(({ event }) => parseAuditEvent(event)["n"]);
}

describe("ReopeningOutbox", () => {
  it("keeps a thousand events in memory while its folder cannot be written, denies before allows, and opens when it can", async () => {
    // A file in the place of the folder: also for a superuser nothing can be written below it.
    const folder = join(directory, "wal");
    await writeFile(folder, "");
    const outbox = reopening(folder);
    expect(await outbox.triedOnce).toBe(false);
    expect(told).toEqual([
      {
        reason: "StoreUnwritable",
        detail: expect.stringContaining("a directory this process may create; check owner and mode of its parent"),
      },
    ]);
    await expect(outbox.auditCursor()).rejects.toThrow(/an open store: .*; opening is tried again every 30 s/);
    const outcomes: Promise<unknown>[] = [];
    const append = (n: number, decision: string): void => {
      outcomes.push(
        outbox.appendAudit(eventOf(n, decision), decision === "allow").then(
          () => "logged",
          (error: unknown) => error,
        ),
      );
    };
    for (let n = 1; n <= 400; n++) append(n, "allow");
    for (let n = 401; n <= 1_400; n++) append(n, "deny");
    for (let n = 1_401; n <= 1_500; n++) append(n, "deny");
    expect([outbox.waiting, outbox.missed]).toEqual([MAX_EVENTS_IN_MEMORY, 500]);
    await clock.advance(REOPEN_MS - 1);
    await rm(folder);
    expect(outbox.waiting).toBe(MAX_EVENTS_IN_MEMORY);
    await clock.advance(1);
    await outbox.opened;
    const settled = await Promise.all(outcomes);
    expect(told.at(-1)).toBeUndefined();
    // Every allow made room for a deny; then the newest denies found no place, and were told so.
    expect(await logged(outbox)).toEqual(Array.from({ length: 1_000 }, (_, i) => 401 + i));
    const refused = settled.filter((outcome) => outcome !== "logged");
    expect(refused).toHaveLength(500);
    expect(refused.every((error) => error instanceof SeamError && error.reason === "AuditLogUnavailable")).toBe(true);
    expect((await outbox.appendAudit(eventOf(2_000, "deny"), false)).last).toBe(1_001n);
  });

  it("opens a store that another process had locked", async () => {
    const other = await openOutbox({ directory, clock, random: new SeededRandom(2) });
    const outbox = reopening(directory);
    expect(await outbox.triedOnce).toBe(false);
    expect(told).toMatchObject([{ reason: "StoreLocked" }]);
    const waiting = outbox.appendAudit(eventOf(1, "deny"), false);
    await other.close();
    await expect.poll(() => clock.sleeping, PATIENT).toBe(1);
    await clock.advance(REOPEN_MS);
    expect((await waiting).last).toBe(1n);
  });

  it("says that its disk fails, and opens again with everything that was durable when it does not", async () => {
    let failing = false;
    const outbox = reopening(directory, async (options) => {
      if (failing) throw storeError(eio(), directory);
      const store = await openOutbox(options);
      const appendAudit: Outbox["appendAudit"] = (...event) =>
        failing ? Promise.reject(storeError(eio(), directory)) : store.appendAudit(...event);
      return { ...store, appendAudit };
    });
    await outbox.opened;
    await outbox.appendAudit(eventOf(1, "deny"), false);
    failing = true;
    await expect(outbox.appendAudit(eventOf(2, "deny"), false)).rejects.toMatchObject({
      parts: { reason: "StoreIoError" },
    });
    const waiting = outbox.appendAudit(eventOf(3, "deny"), false);
    await expect.poll(() => clock.sleeping, PATIENT).toBe(1);
    expect(told).toEqual([
      {
        reason: "StoreIoError",
        detail: expect.stringMatching(/a disk that reads and writes; check the disk.*EIO: i\/o error, fdatasync/),
      },
    ]);
    failing = false;
    await clock.advance(REOPEN_MS);
    expect((await waiting).last).toBe(2n);
    expect(await logged(outbox)).toEqual([1, 3]);
    expect(told.at(-1)).toBeUndefined();
  });

  it("opens again when its store was closed, and loses nothing that was durable", async () => {
    const stores: Outbox[] = [];
    const outbox = reopening(directory, async (options) => {
      const store = await openOutbox(options);
      stores.push(store);
      return store;
    });
    await outbox.opened;
    await outbox.appendAudit(eventOf(1, "deny"), false);
    // Whoever asks next is told that the store is closed.
    await stores[0]?.close();
    await expect(outbox.appendAudit(eventOf(2, "deny"), false)).rejects.toMatchObject({
      parts: { reason: "StoreClosed" },
    });
    expect((await outbox.appendAudit(eventOf(3, "deny"), false)).last).toBe(2n);
    expect(await logged(outbox)).toEqual([1, 3]);
    expect(stores).toHaveLength(2);
    expect(told.map((unavailable) => unavailable?.reason)).toEqual([undefined, "StoreClosed", undefined].slice(1));
  });

  it("puts a damaged store aside and is open at once", async () => {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, OUTBOX_FILE), "x".repeat(8_192));
    const outbox = reopening(directory);
    expect(await outbox.triedOnce).toBe(true);
    expect((await readdir(directory)).filter((name) => name.includes(".bad-"))).toHaveLength(1);
  });
});
