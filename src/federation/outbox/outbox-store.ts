import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { assertNever, invariant } from "../../base/assert.ts";
import { type Digest, isDigest } from "../../base/digest.ts";
import { type ErrorParts, SeamError } from "../../base/errors.ts";
import { CHAIN_START } from "../audit/audit-chain.ts";
import { MAX_FACT_KEYS } from "../session/limits.ts";
import { itemKey } from "../index/index-document.ts";
import type { PendingFact } from "../session/spoke/events.ts";
import type { AuditCursor, ItemRecord, SpokeRecord, SpokeWrite, StoredIndex } from "../session/spoke/record.ts";
import type { StatePayload } from "../session/payload.ts";
import { type AuditCap, AuditLog, DEFAULT_AUDIT_CAP, type HeldAuditEvent } from "./audit-log.ts";
import type { AuditPressure } from "./audit-pressure.ts";
import type { NewAuditEvent } from "./outbox-request.ts";
import { OUTBOX_MIGRATION_2, OUTBOX_SCHEMA, OUTBOX_SCHEMA_VERSION } from "./outbox-schema.ts";
import { type Row, bigintOf, bytesOf, prepareBigint, textOf } from "./row.ts";
import { newerSchema, storeError } from "./store-error.ts";

/** What a store is opened with. */
export interface OutboxStoreOptions {
  /** Database file; `:memory:` for benches and simulations that state so. */
  readonly path: string;
  /** Used when the store is created: a new store id. */
  readonly storeId: string;
  /** Used when the store is created: epoch of the audit numbering, Unix seconds. */
  readonly auditEpoch: bigint;
  readonly auditCap?: AuditCap;
  /** Most bytes of bodies; default {@link DEFAULT_BLOB_CAP_BYTES}. */
  readonly blobCapBytes?: number;
  /** Most bytes of the database file; 0 or absent: what the caps allow. */
  readonly maxDatabaseBytes?: number;
}

/** Bodies one agent may hold, bytes. */
export const DEFAULT_BLOB_CAP_BYTES = 4 * 1024 * 1024 * 1024;

const PAGE_BYTES = 4096;

/** A report as the store holds it: without its version, which is a column. */
export interface HeldFact extends PendingFact {
  readonly payload: Uint8Array;
}

/** Where the audit log stands after an append. */
export interface AuditAppended extends AuditCursor {
  readonly pressure: AuditPressure;
  /** Events dropped since the store was created. */
  readonly dropped: bigint;
}

/** Answer to an append of several events. */
export interface AuditAppend extends AuditAppended {
  /** Events that did not fit, by their place in the request. */
  readonly refused: readonly { readonly at: number; readonly parts: ErrorParts }[];
}

/** Counters for status and metrics. */
export interface OutboxStatus {
  readonly auditPressure: AuditPressure;
  readonly auditBacklogBytes: number;
  readonly auditBacklogEvents: number;
  readonly auditDropped: number;
  readonly pendingFacts: number;
  readonly blobBytes: number;
}

/**
 * The agent's durable store: synchronous, over one SQLite database (WAL, FULL sync, exclusive lock). It runs in a worker thread;
 * `begin` and `commit` belong to whoever groups writes.
 */
export class OutboxStore {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #audit: AuditLog;
  readonly #blobCap: number;
  #blobBytes: number;
  readonly #statements;
  /** True while the database does not wait for the disk. */
  #relaxed = false;

  private constructor(db: DatabaseSync, options: OutboxStoreOptions) {
    this.#db = db;
    this.#path = options.path;
    this.#blobCap = options.blobCapBytes ?? DEFAULT_BLOB_CAP_BYTES;
    this.#statements = {
      begin: db.prepare("BEGIN IMMEDIATE"),
      commit: db.prepare("COMMIT"),
      savepoint: db.prepare("SAVEPOINT member"),
      release: db.prepare("RELEASE member"),
      putIndex: db.prepare(
        "INSERT INTO held_index (id, digest, body, signatures) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, body = excluded.body, signatures = excluded.signatures",
      ),
      putTerm: db.prepare("UPDATE meta SET term = max(term, ?)"),
      putRevocation: db.prepare("UPDATE meta SET revocation_serial = max(revocation_serial, ?)"),
      putItem: db.prepare(
        "INSERT INTO items (key, record) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record",
      ),
      deleteItem: db.prepare("DELETE FROM items WHERE key = ?"),
      blob: prepareBigint(db, "SELECT held, total, checked FROM blobs WHERE digest = ?"),
      putBlob: db.prepare(
        "INSERT INTO blobs (digest, held, total, checked) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET held = excluded.held, total = excluded.total, checked = excluded.checked",
      ),
      putChunk: db.prepare("INSERT INTO blob_chunks (digest, start, data) VALUES (?, ?, ?)"),
      chunks: db.prepare("SELECT data FROM blob_chunks WHERE digest = ? ORDER BY start"),
      markChecked: db.prepare("UPDATE blobs SET checked = 1 WHERE digest = ?"),
      deleteBlob: prepareBigint(db, "DELETE FROM blobs WHERE digest = ? RETURNING held"),
      deleteChunks: db.prepare("DELETE FROM blob_chunks WHERE digest = ?"),
      fact: prepareBigint(db, "SELECT kind, report_version, acked, payload FROM facts WHERE key = ?"),
      countFacts: prepareBigint(db, "SELECT count(*) AS n FROM facts"),
      putFact: prepareBigint(
        db,
        "INSERT INTO facts (key, kind, report_version, payload) VALUES (?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, report_version = report_version + 1, payload = excluded.payload RETURNING report_version",
      ),
      // The body stays: a hub that lost its store asks for it again.
      acknowledgeFact: db.prepare("UPDATE facts SET acked = max(acked, ?2) WHERE key = ?1 AND report_version >= ?2"),
      reopenFacts: db.prepare("UPDATE facts SET acked = 0 WHERE payload IS NOT NULL"),
    };
    this.#audit = new AuditLog(db, options.auditCap ?? DEFAULT_AUDIT_CAP);
    this.#blobBytes = this.#measureBlobs();
  }

  /**
   * Opens or creates the store and removes bodies that nothing names any more.
   *
   * @throws SeamError `StoreNewer`, `StoreLocked`, `StoreUnwritable`, `StoreFull` or `StoreCorrupt`; the file is left as it was
   */
  static open(options: OutboxStoreOptions): OutboxStore {
    let db: DatabaseSync | undefined;
    try {
      if (options.path !== ":memory:") makeDirectory(dirname(options.path));
      db = new DatabaseSync(options.path);
      prepareDatabase(db, options);
      const store = new OutboxStore(db, options);
      store.#collectGarbage();
      return store;
    } catch (error) {
      db?.close();
      throw storeError(error, options.path);
    }
  }

  /** @param repeatable true when a crash may undo the transaction: it is committed without an fsync */
  begin(repeatable = false): void {
    this.#guard(() => {
      if (repeatable !== this.#relaxed) {
        this.#db.exec(repeatable ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
        this.#relaxed = repeatable;
      }
      this.#statements.begin.run();
    });
  }

  /** Durable when it returns. On failure nothing of the group is kept. */
  commit(): void {
    this.#guard(() => this.#statements.commit.run());
  }

  /**
   * Runs one member of a group so that its failure undoes only itself.
   *
   * @throws what `work` threw; {@link grouped} is false when the whole group went with it
   */
  member<T>(work: () => T): T {
    this.#statements.savepoint.run();
    try {
      const result = work();
      this.#statements.release.run();
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK TO member; RELEASE member");
      this.#blobBytes = this.#measureBlobs();
      this.#audit.reload();
      throw error;
    }
  }

  /** True between `begin` and `commit`, unless a failure ended the group. */
  get grouped(): boolean {
    return this.#db.isTransaction;
  }

  rollback(): void {
    // A failed COMMIT or a full disk may have ended the transaction already.
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#blobBytes = this.#measureBlobs();
    this.#audit.reload();
  }

  /** Applies the writes of one Ready, in order. */
  apply(writes: readonly SpokeWrite[], nowMs: number): void {
    this.#guard(() => {
      const newest = newestItems(writes);
      for (const write of writes)
        if (write.type !== "PutItem" || newest === undefined || newest.get(itemKey(write.record.item)) === write)
          this.#applyOne(write, nowMs);
    });
  }

  /** Stores the newest report of a key and returns it as pending. @throws SeamError `TooManyFacts` */
  putFact(key: string, kind: StatePayload["case"], payload: Uint8Array): PendingFact {
    return this.#guard(() => {
      if (this.#statements.fact.get(key) === undefined) {
        const { n } = this.#statements.countFacts.get() as { n: bigint };
        if (n >= BigInt(MAX_FACT_KEYS))
          throw new SeamError({
            reason: "TooManyFacts",
            object: this.#path,
            expected: `at most ${MAX_FACT_KEYS} different reports`,
          });
      }
      const row = this.#statements.putFact.get(key, kind, payload) as Row;
      return { key, kind, reportVersion: bigintOf(row, "report_version") };
    });
  }

  /** Appends audit events in order. One that does not fit is refused alone; the answer has its error. */
  appendAudit(events: readonly NewAuditEvent[], nowMs: number): AuditAppend {
    return this.#guard(() => {
      const refused: { at: number; parts: ErrorParts }[] = [];
      for (const [at, { event, droppable }] of events.entries()) {
        try {
          this.#audit.append(event, droppable, nowMs);
        } catch (error) {
          if (!(error instanceof SeamError) || error.parts.reason !== "AuditLogFull") throw error;
          refused.push({ at, parts: error.parts });
        }
      }
      this.#audit.flush();
      return { ...this.#audit.cursor(), pressure: this.#audit.pressure, dropped: this.#audit.dropped, refused };
    });
  }

  /** Everything the session machine starts from. */
  record(): SpokeRecord {
    const meta = prepareBigint(this.#db, "SELECT store_id, term, revocation_serial FROM meta").get() as Row;
    const items = this.#db.prepare("SELECT record FROM items ORDER BY key").all() as Row[];
    const blobs = prepareBigint(
      this.#db,
      "SELECT digest, held, total, checked FROM blobs ORDER BY digest",
    ).all() as Row[];
    const facts = prepareBigint(
      this.#db,
      `SELECT key, kind, report_version FROM facts WHERE ${PENDING} ORDER BY key`,
    ).all() as Row[];
    return {
      storeId: textOf(meta, "store_id"),
      index: this.#index(),
      term: bigintOf(meta, "term"),
      revocationSerial: bigintOf(meta, "revocation_serial"),
      items: items.map((row) => parseItem(textOf(row, "record"))),
      blobs: blobs.map((row) => ({
        digest: textOf(row, "digest") as Digest,
        held: Number(bigintOf(row, "held")),
        total: Number(bigintOf(row, "total")),
        checked: bigintOf(row, "checked") === 1n,
      })),
      facts: facts.map((row) => ({
        key: textOf(row, "key"),
        kind: textOf(row, "kind") as StatePayload["case"],
        reportVersion: bigintOf(row, "report_version"),
      })),
      audit: this.#audit.cursor(),
    };
  }

  /** The newest pending report of each key; keys that are gone are left out. */
  loadFacts(keys: readonly string[]): readonly HeldFact[] {
    const held: HeldFact[] = [];
    for (const key of keys) {
      const row = this.#statements.fact.get(key) as Row | undefined;
      if (row === undefined || row["payload"] === null || bigintOf(row, "acked") >= bigintOf(row, "report_version"))
        continue;
      held.push({
        key,
        kind: textOf(row, "kind") as StatePayload["case"],
        reportVersion: bigintOf(row, "report_version"),
        payload: bytesOf(row, "payload"),
      });
    }
    return held;
  }

  loadAudit(epoch: bigint, from: bigint, maxEvents: number, maxBytes: number): readonly HeldAuditEvent[] {
    return this.#audit.read(epoch, from, maxEvents, maxBytes);
  }

  /** Hashes a wholly held body, chunk by chunk. */
  checkBlob(digest: Digest): boolean {
    const hash = createHash("sha256");
    for (const row of this.#statements.chunks.iterate(digest)) hash.update(bytesOf(row as Row, "data"));
    return `sha256:${hash.digest("hex")}` === digest;
  }

  /** A checked body; undefined when it is not held. */
  readBlob(digest: string): Uint8Array | undefined {
    const row = this.#statements.blob.get(digest) as Row | undefined;
    if (row === undefined || bigintOf(row, "checked") !== 1n) return undefined;
    const chunks = (this.#statements.chunks.all(digest) as Row[]).map((chunk) => bytesOf(chunk, "data"));
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
  }

  auditCursor(): SpokeRecord["audit"] {
    return this.#audit.cursor();
  }

  get auditPressure(): AuditPressure {
    return this.#audit.pressure;
  }

  /** Events dropped since the store was created. */
  get auditDropped(): bigint {
    return this.#audit.dropped;
  }

  status(): OutboxStatus {
    const cursor = this.#audit.cursor();
    const { n } = prepareBigint(this.#db, `SELECT count(*) AS n FROM facts WHERE ${PENDING}`).get() as {
      n: bigint;
    };
    return {
      auditPressure: this.#audit.pressure,
      auditBacklogBytes: Number(cursor.backlogBytes),
      auditBacklogEvents: Number(cursor.last - cursor.firstHeld + 1n),
      auditDropped: Number(this.#audit.dropped),
      pendingFacts: Number(n),
      blobBytes: this.#blobBytes,
    };
  }

  /** How the database waits for the disk (PRAGMA synchronous): 2 is FULL, 1 NORMAL. */
  get synchronous(): unknown {
    return this.#db.prepare("PRAGMA synchronous").get()?.["synchronous"];
  }

  close(): void {
    this.#db.close();
  }

  #applyOne(write: SpokeWrite, nowMs: number): void {
    switch (write.type) {
      case "PutIndex":
        this.#statements.putIndex.run(write.index.digest, write.index.body, encodeSignatures(write.index));
        return;
      case "PutTerm":
        this.#statements.putTerm.run(write.term);
        return;
      case "PutRevocationSerial":
        this.#statements.putRevocation.run(write.serial);
        return;
      case "PutItem": {
        const { record } = write;
        this.#statements.putItem.run(itemKey(record.item), JSON.stringify(record));
        return;
      }
      case "DeleteItem":
        this.#statements.deleteItem.run(write.key);
        return;
      case "AppendBlob":
        this.#appendBlob(write);
        return;
      case "MarkBlobChecked":
        this.#statements.markChecked.run(write.digest);
        return;
      case "DeleteBlob":
        this.#deleteBlob(write.digest);
        return;
      case "AcknowledgeFact":
        this.#statements.acknowledgeFact.run(write.key, write.reportVersion);
        return;
      case "ReopenFacts":
        this.#statements.reopenFacts.run();
        return;
      case "AcknowledgeAudit":
        this.#audit.acknowledge(write.epoch, write.through);
        return;
      case "MoveAudit":
        this.#audit.move(write.epoch, write.by);
        return;
      case "AppendAuditGap":
        this.#audit.appendGap(write.epoch, write.from, write.to, nowMs);
        return;
      default:
        assertNever(write);
    }
  }

  #appendBlob(write: SpokeWrite & { readonly type: "AppendBlob" }): void {
    const { digest, offset, total, data, checked } = write;
    if (offset === 0) this.#deleteBlob(digest);
    const row = offset === 0 ? undefined : (this.#statements.blob.get(digest) as Row | undefined);
    const held = row === undefined ? 0 : Number(bigintOf(row, "held"));
    invariant(offset === held, `blob ${digest}: append at ${offset}, held ${held}`);
    invariant(held + data.length <= total, `blob ${digest}: ${held + data.length} bytes of ${total}`);
    if (this.#blobBytes + data.length > this.#blobCap)
      throw new SeamError({
        reason: "StoreFull",
        object: this.#path,
        expected: `bodies of at most ${this.#blobCap} bytes in all`,
        remedy: "raise the cap of the agent's store, or deliver less to this cluster",
      });
    if (data.length > 0) this.#statements.putChunk.run(digest, offset, data);
    this.#statements.putBlob.run(digest, held + data.length, total, checked ? 1 : 0);
    this.#blobBytes += data.length;
  }

  #deleteBlob(digest: string): void {
    const row = this.#statements.deleteBlob.get(digest) as Row | undefined;
    if (row === undefined) return;
    this.#statements.deleteChunks.run(digest);
    this.#blobBytes -= Number(bigintOf(row, "held"));
  }

  #index(): StoredIndex | undefined {
    const row = this.#db.prepare("SELECT digest, body, signatures FROM held_index").get() as Row | undefined;
    if (row === undefined) return undefined;
    return {
      digest: textOf(row, "digest") as Digest,
      body: bytesOf(row, "body"),
      signatures: decodeSignatures(textOf(row, "signatures")),
    };
  }

  /** Bodies that neither the held index nor an item names: left over when an index replaced another just before a crash. */
  #collectGarbage(): void {
    const named = new Set<string>();
    const index = this.#index();
    if (index !== undefined) collectDigests(Buffer.from(index.body).toString("utf8"), named);
    for (const row of this.#db.prepare("SELECT record FROM items").all() as Row[])
      collectDigests(textOf(row, "record"), named);
    const orphans = (this.#db.prepare("SELECT digest FROM blobs").all() as Row[])
      .map((row) => textOf(row, "digest"))
      .filter((digest) => !named.has(digest));
    if (orphans.length === 0) return;
    this.begin();
    for (const digest of orphans) this.#deleteBlob(digest);
    this.commit();
  }

  #measureBlobs(): number {
    const row = prepareBigint(this.#db, "SELECT coalesce(sum(held), 0) AS bytes FROM blobs").get() as Row;
    return Number(bigintOf(row, "bytes"));
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeError(error, this.#path);
    }
  }
}

/** Reports that no hub has acknowledged. */
const PENDING = "payload IS NOT NULL AND acked < report_version";

function prepareDatabase(db: DatabaseSync, options: OutboxStoreOptions): void {
  // Exclusive: a second process on the same directory fails at once instead of mixing numbers, and a killed one leaves no lock.
  db.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL;");
  const { user_version: found } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (found > OUTBOX_SCHEMA_VERSION) throw newerSchema(options.path, found, OUTBOX_SCHEMA_VERSION);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 1000;");
  if (options.maxDatabaseBytes !== undefined && options.maxDatabaseBytes > 0)
    db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.maxDatabaseBytes / PAGE_BYTES))}`);
  // Takes the lock even when there is nothing to create.
  db.exec("BEGIN EXCLUSIVE");
  if (found === 0) {
    db.exec(OUTBOX_SCHEMA);
    db.prepare(
      "INSERT INTO meta (id, store_id, term, revocation_serial, audit_epoch, audit_acked, audit_last, audit_last_hash, audit_dropped) VALUES (1, ?, 0, 0, ?, 0, 0, ?, 0)",
    ).run(options.storeId, options.auditEpoch, CHAIN_START);
  } else if (found < OUTBOX_SCHEMA_VERSION) db.exec(OUTBOX_MIGRATION_2);
  db.exec(`PRAGMA user_version = ${OUTBOX_SCHEMA_VERSION}; COMMIT;`);
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new SeamError(
      {
        reason: "StoreUnwritable",
        object: directory,
        expected: "a directory this process may create",
        remedy: "check owner and mode of its parent",
      },
      { cause },
    );
  }
}

/** The last record of each item that one transaction writes more than once; undefined when there is nothing to skip. */
function newestItems(writes: readonly SpokeWrite[]): ReadonlyMap<string, SpokeWrite> | undefined {
  if (writes.length < 2) return undefined;
  const newest = new Map<string, SpokeWrite>();
  for (const write of writes) if (write.type === "PutItem") newest.set(itemKey(write.record.item), write);
  return newest;
}

/** JSON has no undefined: members that were undefined come back as such. An older build knew no `retriedBy`. */
function parseItem(text: string): ItemRecord {
  const record = JSON.parse(text) as Omit<ItemRecord, "nack" | "lastGood" | "retriedBy">;
  return { nack: undefined, lastGood: undefined, retriedBy: "", ...record };
}

function encodeSignatures(index: StoredIndex): string {
  return JSON.stringify(
    index.signatures.map(({ keyId, signature }) => ({ keyId, signature: Buffer.from(signature).toString("base64") })),
  );
}

function decodeSignatures(text: string): StoredIndex["signatures"] {
  const stored = JSON.parse(text) as readonly { readonly keyId: string; readonly signature: string }[];
  return stored.map(({ keyId, signature }) => ({ keyId, signature: Buffer.from(signature, "base64") }));
}

const DIGESTS = /sha256:[0-9a-f]{64}/g;

function collectDigests(text: string, into: Set<string>): void {
  for (const [digest] of text.matchAll(DIGESTS)) if (isDigest(digest)) into.add(digest);
}
