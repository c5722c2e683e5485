import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { digestOf } from "../../base/digest.ts";
import { SeededRandom } from "../../base/random.ts";
import type { IndexItem } from "../index/index-document.ts";
import type { ItemRecord } from "../session/spoke/record.ts";
import { factOutbox } from "./fact-outbox.ts";
import { loadedFact } from "./load-facts.ts";
import { OUTBOX_FILE, type Outbox, type OutboxOptions, openOutbox } from "./outbox.ts";

let directory: string;
const open: Outbox[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-outbox-"));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((outbox) => outbox.close()));
  await rm(directory, { recursive: true, force: true });
});

async function opened(options: Partial<OutboxOptions> = {}): Promise<Outbox> {
  const outbox = await openOutbox({ directory, clock: new ManualClock(), random: new SeededRandom(1), ...options });
  open.push(outbox);
  return outbox;
}

async function closed(outbox: Outbox): Promise<void> {
  open.splice(open.indexOf(outbox), 1);
  await outbox.close();
}

const body = Buffer.from("a body in two parts");
const digest = digestOf(body);

function itemRecord(name: string, level: ItemRecord["level"] = "pending"): ItemRecord {
  const item: IndexItem = { kind: "PackInstalled", name, version: 3, digest, size: body.length };
  return {
    item,
    epoch: 7,
    level,
    atMs: 5,
    nack: undefined,
    attempts: 0,
    lastGood: undefined,
    quarantinedBy: "",
    retriedBy: "",
  };
}

describe("openOutbox", () => {
  it("reads back after a restart exactly what was committed", async () => {
    const first = await opened();
    const { storeId } = await first.record();
    const index = {
      body: Buffer.from(`{"digest":"${digest}"}`),
      digest: digestOf("index"),
      signatures: [{ keyId: "k", signature: Buffer.alloc(64, 9) }],
    };
    await first.apply([
      { type: "PutIndex", index },
      { type: "PutTerm", term: 5n },
      { type: "PutTerm", term: 4n },
      { type: "PutRevocationSerial", serial: 2n },
      { type: "PutItem", record: itemRecord("web", "received") },
      { type: "PutItem", record: itemRecord("old") },
      { type: "DeleteItem", key: "PackInstalled/old" },
      { type: "AppendBlob", digest, offset: 0, total: body.length, data: body.subarray(0, 6), checked: false },
    ]);
    await closed(first);

    const second = await opened();
    const record = await second.record();
    expect(record).toMatchObject({
      storeId,
      term: 5n,
      revocationSerial: 2n,
      items: [itemRecord("web", "received")],
      blobs: [{ digest, held: 6, total: body.length, checked: false }],
    });
    expect(Buffer.from(record.index?.body ?? []).toString()).toBe(index.body.toString());
    expect(record.index?.signatures[0]?.keyId).toBe("k");
    await second.apply([
      { type: "AppendBlob", digest, offset: 6, total: body.length, data: body.subarray(6), checked: false },
    ]);
    expect(await second.readBlob(digest)).toBeUndefined();
    expect(await second.checkBlob(digest)).toBe(true);
    await second.apply([{ type: "MarkBlobChecked", digest }]);
    expect(Buffer.from((await second.readBlob(digest)) ?? []).toString()).toBe(body.toString());
  });

  it("keeps nothing of a transaction that breaks a rule, and lives on", async () => {
    const outbox = await opened();
    await expect(
      outbox.apply([
        { type: "PutTerm", term: 9n },
        { type: "AppendBlob", digest, offset: 4, total: 9, data: body, checked: false },
      ]),
    ).rejects.toThrow(/append at 4, held 0/);
    expect((await outbox.record()).term).toBe(0n);
    await outbox.apply([{ type: "PutTerm", term: 1n }]);
    expect((await outbox.record()).term).toBe(1n);
  });

  it("counts what an undone write has added to the audit log as if it had never been", async () => {
    const outbox = await opened({ auditEpoch: 1n });
    await outbox.appendAudit(Buffer.from("{}"), false);
    const before = await outbox.auditCursor();
    await expect(
      outbox.apply([
        { type: "AppendAuditGap", epoch: 1n, from: 1n, to: 1n },
        { type: "AppendBlob", digest, offset: 4, total: 9, data: body, checked: false },
      ]),
    ).rejects.toThrow(/append at 4, held 0/);
    expect(await outbox.auditCursor()).toEqual(before);
    await closed(outbox);
    expect(await (await opened()).auditCursor()).toEqual(before);
  });

  it("removes bodies at open that neither index nor item names", async () => {
    const first = await opened();
    const orphan = digestOf("orphan");
    await first.apply([
      { type: "PutItem", record: itemRecord("web") },
      { type: "AppendBlob", digest, offset: 0, total: body.length, data: body, checked: true },
      { type: "AppendBlob", digest: orphan, offset: 0, total: 6, data: Buffer.from("orphan"), checked: true },
    ]);
    await closed(first);
    const second = await opened();
    expect((await second.record()).blobs.map((blob) => blob.digest)).toEqual([digest]);
    expect((await second.status()).blobBytes).toBe(body.length);
  });

  it("refuses a body over the byte cap by name", async () => {
    const outbox = await opened({ blobCapBytes: 10 });
    await expect(
      outbox.apply([{ type: "AppendBlob", digest, offset: 0, total: body.length, data: body, checked: true }]),
    ).rejects.toThrow(/bodies of at most 10 bytes in all; raise the cap/);
  });
});

describe("a store that cannot be used", () => {
  it("refuses a second process and names the reason", async () => {
    await opened();
    await expect(opened()).rejects.toMatchObject({ parts: { reason: "StoreLocked" } });
  });

  it("refuses a newer schema and leaves the file alone", async () => {
    await closed(await opened());
    const path = join(directory, OUTBOX_FILE);
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 99");
    db.close();
    const before = await readFile(path);
    await expect(opened()).rejects.toThrow(
      /outbox\.db: schema version: at most 2, found 99: a newer version of this program wrote it; run that version/,
    );
    expect(await readFile(path)).toEqual(before);
  });

  it.skipIf(process.getuid?.() === 0)("names an unwritable directory", async () => {
    await chmod(directory, 0o500);
    await expect(opened()).rejects.toMatchObject({ parts: { reason: "StoreUnwritable" } });
    await chmod(directory, 0o700);
  });

  it("names a directory that cannot be created", async () => {
    await writeFile(join(directory, "file"), "");
    await expect(opened({ directory: join(directory, "file", "sub") })).rejects.toThrow(
      /a directory this process may create; check owner and mode/,
    );
  });

  it("says when the disk is full, keeps what was committed and takes writes again later", async () => {
    const outbox = await opened({ maxDatabaseBytes: 160 * 1024 });
    await outbox.apply([{ type: "PutTerm", term: 3n }]);
    await expect(
      outbox.apply([
        { type: "PutTerm", term: 4n },
        { type: "AppendBlob", digest, offset: 0, total: 300_000, data: Buffer.alloc(300_000), checked: false },
      ]),
    ).rejects.toThrow(/free space on the disk and below the configured cap; free space; nothing half-written is kept/);
    expect((await outbox.record()).term).toBe(3n);
    await outbox.apply([{ type: "PutTerm", term: 5n }]);
    await closed(outbox);
    expect((await (await opened()).record()).term).toBe(5n);
  });
});

describe("facts", () => {
  it("keeps the newest report of a key, counts its versions and removes only what was acknowledged", async () => {
    const outbox = await opened();
    const pending: string[] = [];
    const facts = factOutbox({
      cluster: "tenant-1",
      outbox,
      clock: new ManualClock(),
      random: new SeededRandom(2),
      listener: {
        factPending: ({ key, reportVersion }) => pending.push(`${key}@${reportVersion}`),
        auditAppended: () => {},
      },
    });
    const drift = { signalName: "drift-web", healthy: false, pathological: undefined };
    const report = (reason: string): Promise<void> =>
      facts.drift({
        signalName: drift.signalName,
        driftClass: "PackResources",
        affectedGroup: "",
        affectedKind: "",
        affectedNamespace: "",
        affectedName: "",
        declared: "",
        observed: "",
        reason,
        driftedResources: [],
        observedUnixMs: 1n,
        healthy: false,
        packInstanceRef: "",
        lastCorrectionId: "",
        lastCorrectionApplied: false,
        lastCorrectionError: "",
        consecutiveChecks: 1,
      });
    await report("one");
    await report("two");
    expect(pending).toEqual(["driftReport/drift-web@1", "driftReport/drift-web@2"]);
    await outbox.apply([{ type: "AcknowledgeFact", key: "driftReport/drift-web", reportVersion: 1n }]);
    const [held] = await outbox.loadFacts(["driftReport/drift-web", "no-such"]);
    expect(held && loadedFact(held).payload.value).toMatchObject({ reason: "two", reportVersion: 2n });
    await outbox.apply([{ type: "AcknowledgeFact", key: "driftReport/drift-web", reportVersion: 2n }]);
    expect((await outbox.record()).facts).toEqual([]);
    await report("three");
    expect(pending.at(-1)).toBe("driftReport/drift-web@3");
    // A hub that lost its store gets it again, acknowledged or not, with the version it had; over a restart too.
    await outbox.apply([{ type: "AcknowledgeFact", key: "driftReport/drift-web", reportVersion: 3n }]);
    expect((await outbox.status()).pendingFacts).toBe(0);
    await outbox.apply([{ type: "ReopenFacts" }]);
    await outbox.close();
    const again = await opened();
    expect((await again.record()).facts).toMatchObject([{ key: "driftReport/drift-web", reportVersion: 3n }]);
    const [reopened] = await again.loadFacts(["driftReport/drift-web"]);
    expect(reopened && loadedFact(reopened).payload.value).toMatchObject({ reason: "three", reportVersion: 3n });
    await again.apply([{ type: "AcknowledgeFact", key: "driftReport/drift-web", reportVersion: 3n }]);
    expect((await again.record()).facts).toEqual([]);
  });

  it("takes over a store of the version before, whose acknowledged reports have no body", async () => {
    await closed(await opened());
    const db = new DatabaseSync(join(directory, OUTBOX_FILE));
    db.exec("ALTER TABLE facts DROP COLUMN acked; PRAGMA user_version = 1");
    db.exec(
      "INSERT INTO facts (key, kind, report_version, payload) VALUES ('a', 'driftReport', 4, NULL), ('b', 'driftReport', 2, x'0a')",
    );
    db.close();
    const outbox = await opened();
    expect((await outbox.record()).facts).toMatchObject([{ key: "b", reportVersion: 2n }]);
    await outbox.apply([{ type: "ReopenFacts" }]);
    expect((await outbox.record()).facts).toMatchObject([{ key: "b", reportVersion: 2n }]);
    expect(await outbox.putFact({ key: "a", kind: "driftReport", payload: Buffer.from("x") })).toMatchObject({
      reportVersion: 5n,
    });
    expect((await outbox.record()).facts).toMatchObject([{ key: "a", reportVersion: 5n }, { key: "b" }]);
  });
});
