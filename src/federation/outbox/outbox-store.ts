import type { DatabaseSync } from "node:sqlite";
import { assertNever } from "../../base/assert.ts";
import type { Digest } from "../../base/digest.ts";
import { type ErrorParts, SeamError } from "../../base/errors.ts";
import { itemKey } from "../index/index-document.ts";
import type { StatePayload } from "../session/payload.ts";
import type { PendingFact } from "../session/spoke/events.ts";
import type { AuditCursor, SpokeRecord, SpokeWrite } from "../session/spoke/record.ts";
import { AuditLog, DEFAULT_AUDIT_CAP, type HeldAuditEvent } from "./audit-log.ts";
import type { AuditPressure } from "./audit-pressure.ts";
import { DEFAULT_BLOB_CAP_BYTES, HeldBlobs } from "./held-blobs.ts";
import { type HeldFact, HeldFacts } from "./held-facts.ts";
import { HeldState } from "./held-state.ts";
import { openDatabase } from "./open-database.ts";
import type { NewAuditEvent } from "./outbox-request.ts";
import type { OutboxStoreOptions } from "./outbox-store-options.ts";
import { storeError } from "./store-error.ts";
import { WriteAheadDisk, type WriteAheadOptions } from "./write-ahead-disk.ts";

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
 * The agent's durable store: synchronous, over one SQLite database (WAL, FULL sync, exclusive lock). `begin` and `commit` belong to whoever
 * groups writes.
 */
export class OutboxStore {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #state: HeldState;
  readonly #blobs: HeldBlobs;
  readonly #facts: HeldFacts;
  readonly #audit: AuditLog;
  readonly #statements;
  /** Of the audit log when the group began. */
  #auditBytes = 0;

  private constructor(db: DatabaseSync, options: OutboxStoreOptions) {
    this.#db = db;
    this.#path = options.path;
    this.#state = new HeldState(db);
    this.#blobs = new HeldBlobs(db, options.blobCapBytes ?? DEFAULT_BLOB_CAP_BYTES, options.path);
    this.#facts = new HeldFacts(db, options.path);
    this.#audit = new AuditLog(db, options.auditCap ?? DEFAULT_AUDIT_CAP);
    this.#statements = {
      begin: db.prepare("BEGIN IMMEDIATE"),
      commit: db.prepare("COMMIT"),
      savepoint: db.prepare("SAVEPOINT member"),
      release: db.prepare("RELEASE member"),
    };
  }

  /**
   * Opens or creates the store and removes bodies that nothing names any more.
   *
   * @throws SeamError `StoreNewer`, `StoreLocked`, `StoreUnwritable`, `StoreFull` or `StoreCorrupt`; the file is left as it was
   */
  static open(options: OutboxStoreOptions): OutboxStore {
    const db = openDatabase(options);
    try {
      const store = new OutboxStore(db, options);
      store.#collectGarbage();
      return store;
    } catch (error) {
      db.close();
      throw storeError(error, options.path);
    }
  }

  begin(): void {
    this.#guard(() => this.#statements.begin.run());
    this.#auditBytes = this.#audit.bytes;
  }

  /** Durable when it returns, or once the disk of {@link waitElsewhere} says so. On failure nothing of the group is kept. */
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
    const auditBytes = this.#audit.bytes;
    try {
      const result = work();
      this.#statements.release.run();
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK TO member; RELEASE member");
      this.#reload(auditBytes);
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
    this.#reload(this.#auditBytes);
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
    return this.#guard(() => this.#facts.put(key, kind, payload));
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
    return {
      ...this.#state.read(),
      blobs: this.#blobs.list(),
      facts: this.#facts.pending(),
      audit: this.#audit.cursor(),
    };
  }

  /** The newest pending report of each key; keys that are gone are left out. */
  loadFacts(keys: readonly string[]): readonly HeldFact[] {
    return this.#facts.load(keys);
  }

  loadAudit(epoch: bigint, from: bigint, maxEvents: number, maxBytes: number): readonly HeldAuditEvent[] {
    return this.#audit.read(epoch, from, maxEvents, maxBytes);
  }

  /** At most so many of a body's chunks, the first that begins at `from`. */
  readChunks(digest: Digest, from: number, most: number): readonly Uint8Array[] {
    return this.#blobs.chunks(digest, from, most);
  }

  /** A checked body; undefined when it is not held. */
  readBlob(digest: string): Uint8Array | undefined {
    return this.#blobs.read(digest);
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
    return {
      auditPressure: this.#audit.pressure,
      auditBacklogBytes: Number(cursor.backlogBytes),
      auditBacklogEvents: Number(cursor.last - cursor.firstHeld + 1n),
      auditDropped: Number(this.#audit.dropped),
      pendingFacts: this.#facts.pendingCount,
      blobBytes: this.#blobs.bytes,
    };
  }

  /** From now on commits do not wait for the disk; whoever tells of one waits for the answer. It also closes the store. */
  waitElsewhere(options?: WriteAheadOptions): WriteAheadDisk {
    return this.#guard(() => WriteAheadDisk.take(this.#db, this.#path, options));
  }

  close(): void {
    this.#db.close();
  }

  #applyOne(write: SpokeWrite, nowMs: number): void {
    switch (write.type) {
      case "PutIndex":
        this.#state.putIndex(write.index);
        return;
      case "PutTerm":
        this.#state.putTerm(write.term);
        return;
      case "PutRevocationSerial":
        this.#state.putRevocationSerial(write.serial);
        return;
      case "PutItem":
        this.#state.putItem(write.record);
        return;
      case "DeleteItem":
        this.#state.removeItem(write.key);
        return;
      case "AppendBlob":
        this.#blobs.append(write);
        return;
      case "MarkBlobChecked":
        this.#blobs.markChecked(write.digest);
        return;
      case "DeleteBlob":
        this.#blobs.remove(write.digest);
        return;
      case "AcknowledgeFact":
        this.#facts.acknowledge(write.key, write.reportVersion);
        return;
      case "ReopenFacts":
        this.#facts.reopen();
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

  /** Bodies that neither the held index nor an item names: left over when an index replaced another just before a crash. */
  #collectGarbage(): void {
    const named = this.#state.namedDigests();
    const orphans = this.#blobs.list().filter(({ digest }) => !named.has(digest));
    if (orphans.length === 0) return;
    this.begin();
    for (const { digest } of orphans) this.#blobs.remove(digest);
    this.commit();
  }

  /** What is kept in memory of the database, after some of it was undone. */
  #reload(auditBytes: number): void {
    this.#blobs.reload();
    this.#audit.reload(auditBytes);
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeError(error, this.#path);
    }
  }
}

/** The last record of each item that one transaction writes more than once; undefined when there is nothing to skip. */
function newestItems(writes: readonly SpokeWrite[]): ReadonlyMap<string, SpokeWrite> | undefined {
  if (writes.length < 2) return undefined;
  const newest = new Map<string, SpokeWrite>();
  for (const write of writes) if (write.type === "PutItem") newest.set(itemKey(write.record.item), write);
  return newest;
}
