import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { rfc3339 } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { AuditAppendResult, AuditSinkPosition } from "../hub/ports.ts";
import { newerSchema, storeError } from "../outbox/store-error.ts";
import { type Row, bigintOf, bytesOf, prepareBigint } from "../outbox/row.ts";
import { AuditReading } from "./audit-reading.ts";
import { AUDIT_MIGRATIONS, AUDIT_SCHEMA_VERSION } from "./audit-schema.ts";
import { MAX_SEQUENCE } from "./audit-chain.ts";
import type { RetainedSlice } from "./audit-verification.ts";
import { answered } from "./asking.ts";
import {
  type AddedNumbers,
  AddedRun,
  type ContiguityAnswer,
  type ContiguityQuestion,
  contiguousThrough,
  followedBy,
} from "./contiguity.ts";
import { type AuditRejection, judgeEvent } from "./judge-event.ts";
import { type SinkBatch, type SinkEvent, refuseAll } from "./sink-batch.ts";

/**
 * The sink's tables, synchronous; whoever groups requests owns `begin` and `commit`. An event that is refused still counts as seen
 * for contiguity, so that one bad event does not hold up the log for ever; it is kept in quarantine and named in the answer.
 */
export class AuditStore {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #statements;
  /** Reads for people, and the floors of retention. */
  readonly #reading: AuditReading;
  #arrivals: bigint;

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
    this.#reading = new AuditReading(db);
    this.#arrivals = this.#reading.newest();
    this.#statements = {
      insert: db.prepare(
        "INSERT INTO audit_events (cluster, epoch, sequence, event_id, event_time, received_at, subject, action, resource, decision, event, prev_hash, hash, chained, arrival) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO NOTHING",
      ),
      hash: db.prepare("SELECT hash FROM audit_events WHERE cluster = ? AND epoch = ? AND sequence = ?"),
      quarantine: db.prepare(
        "INSERT INTO audit_conflicts (cluster, epoch, sequence, hash, event, received_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
      ),
      range: db.prepare(
        "INSERT INTO audit_ranges (cluster, epoch, first, last) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      ),
      position: prepareBigint(db, "SELECT contiguous, highest FROM audit_positions WHERE cluster = ? AND epoch = ?"),
      putPosition: db.prepare(
        "INSERT INTO audit_positions (cluster, epoch, contiguous, highest) VALUES (?, ?, ?, ?) ON CONFLICT (cluster, epoch) DO UPDATE SET contiguous = excluded.contiguous, highest = excluded.highest",
      ),
      coveredAt: prepareBigint(
        db,
        "SELECT max(last) AS last FROM audit_ranges WHERE cluster = ?1 AND epoch = ?2 AND first <= ?3 AND last >= ?3",
      ),
      present: prepareBigint(
        db,
        "SELECT sequence FROM audit_events WHERE cluster = ? AND epoch = ? AND sequence >= ? ORDER BY sequence LIMIT 1000",
      ),
    };
  }

  /** @throws SeamError `StoreNewer`, `StoreLocked`, `StoreUnwritable` or `StoreCorrupt` */
  static open(path: string): AuditStore {
    let db: DatabaseSync | undefined;
    try {
      if (path !== ":memory:") makeDirectory(path);
      db = new DatabaseSync(path);
      db.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL;");
      const { user_version: found } = db.prepare("PRAGMA user_version").get() as { user_version: number };
      if (found > AUDIT_SCHEMA_VERSION) throw newerSchema(path, found, AUDIT_SCHEMA_VERSION);
      db.exec("PRAGMA journal_mode = WAL; BEGIN EXCLUSIVE;");
      for (const migration of AUDIT_MIGRATIONS.slice(found)) db.exec(migration);
      db.exec(`PRAGMA user_version = ${AUDIT_SCHEMA_VERSION};`);
      db.exec("COMMIT");
      return new AuditStore(db, path);
    } catch (error) {
      db?.close();
      throw storeError(error, path);
    }
  }

  begin(): void {
    this.#guard(() => this.#db.exec("BEGIN IMMEDIATE"));
  }

  commit(): void {
    this.#guard(() => this.#db.exec("COMMIT"));
  }

  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#arrivals = this.#reading.newest();
  }

  /** Inserts what is absent, in order, and says where the cluster's log stands now. */
  append(cluster: string, batch: SinkBatch, nowMs: number): AuditAppendResult {
    if (batch.epoch > MAX_SEQUENCE) return refuseAll(batch);
    return this.#guard(() => {
      const receivedAt = rfc3339(nowMs);
      const floor = this.#reading.floorOf(cluster, batch.epoch);
      const rejected: { sequence: bigint; code: AuditRejection }[] = [];
      const added = new AddedRun();
      for (const event of batch.events) {
        if (event.sequence < 1n || event.sequence > MAX_SEQUENCE) {
          rejected.push({ sequence: event.sequence, code: "AUDIT_INVALID" });
          continue;
        }
        if (event.sequence <= floor) continue; // stored once, and removed by retention since
        const { refused, ranged } = this.#appendOne(cluster, batch.epoch, event, receivedAt);
        added.add(event.sequence, ranged);
        if (refused !== undefined) rejected.push({ sequence: event.sequence, code: refused });
      }
      return { ...this.#advance(cluster, batch.epoch, added.numbers), rejected };
    });
  }

  /** Resume point; zeros when nothing is stored. */
  position(cluster: string, epoch: bigint): AuditSinkPosition {
    if (epoch > MAX_SEQUENCE) return { contiguousThrough: 0n, highest: 0n };
    return this.#guard(() => {
      const row = this.#statements.position.get(cluster, epoch) as Row | undefined;
      if (row === undefined) return { contiguousThrough: 0n, highest: 0n };
      return { contiguousThrough: bigintOf(row, "contiguous"), highest: bigintOf(row, "highest") };
    });
  }

  /** Runs a read. */
  read<T>(look: (reading: AuditReading) => T): T {
    return this.#guard(() => look(this.#reading));
  }

  /** One slice of retention, in a transaction of its own. */
  retain(cluster: string, epoch: bigint, before: string, nowMs: number): RetainedSlice {
    return this.#guard(() => {
      this.begin();
      try {
        const slice = this.#reading.retain(cluster, epoch, before, nowMs);
        this.commit();
        return slice;
      } catch (error) {
        this.rollback();
        throw error;
      }
    });
  }

  /** Writes the schema's version again: one page, one fsync. */
  probe(): void {
    this.#guard(() => this.#db.exec(`PRAGMA user_version = ${AUDIT_SCHEMA_VERSION}`));
  }

  close(): void {
    this.#db.close();
  }

  /** Stores one event; says whether it was refused, and whether it closed a range. */
  #appendOne(
    cluster: string,
    epoch: bigint,
    event: SinkEvent,
    receivedAt: string,
  ): { readonly refused: AuditRejection | undefined; readonly ranged: boolean } {
    const { sequence, hash, prevHash } = event;
    const judged = judgeEvent(cluster, event);
    if (judged.fault !== undefined) {
      // Kept as it came, and its number is used up.
      this.#quarantine(cluster, epoch, event, receivedAt);
      this.#statements.range.run(cluster, epoch, sequence, sequence);
      return { refused: judged.fault, ranged: true };
    }
    const { columns, range } = judged;
    // Even a conflicting loss record explains its numbers: the log must not wait for events that no longer exist.
    if (range !== undefined) this.#statements.range.run(cluster, epoch, range.from, range.to);
    const ranged = range !== undefined;
    const { changes } = this.#statements.insert.run(
      cluster,
      epoch,
      sequence,
      columns.eventId,
      columns.time,
      receivedAt,
      columns.subject,
      columns.action,
      columns.resource,
      columns.decision,
      event.event,
      prevHash,
      hash,
      this.#arrivals + 1n,
    );
    if (changes !== 0) {
      this.#arrivals += 1n;
      return { refused: undefined, ranged };
    }
    const stored = this.#statements.hash.get(cluster, epoch, sequence) as Row;
    if (Buffer.compare(bytesOf(stored, "hash"), hash) === 0) return { refused: undefined, ranged }; // a replay
    this.#quarantine(cluster, epoch, event, receivedAt);
    return { refused: "AUDIT_CONFLICT", ranged };
  }

  #quarantine(cluster: string, epoch: bigint, event: SinkEvent, receivedAt: string): void {
    this.#statements.quarantine.run(cluster, epoch, event.sequence, event.hash, event.event, receivedAt);
  }

  /** Moves the contiguous position over stored events and closed ranges. */
  #advance(cluster: string, epoch: bigint, added: AddedNumbers | undefined): AuditSinkPosition {
    const before = this.position(cluster, epoch);
    if (added === undefined) return before;
    let position = followedBy(before, added);
    if (position === undefined) {
      const contiguous = answered(contiguousThrough(before.contiguousThrough), (question) =>
        this.#look(cluster, epoch, question),
      );
      const highest = [before.highest, added.last, contiguous].reduce((a, b) => (a > b ? a : b));
      position = { contiguousThrough: contiguous, highest };
    }
    this.#statements.putPosition.run(cluster, epoch, position.contiguousThrough, position.highest);
    return position;
  }

  #look(cluster: string, epoch: bigint, question: ContiguityQuestion): ContiguityAnswer {
    if (question.ask === "present")
      return (this.#statements.present.all(cluster, epoch, question.after + 1n) as Row[]).map((row) =>
        bigintOf(row, "sequence"),
      );
    const { last } = this.#statements.coveredAt.get(cluster, epoch, question.number) as Row;
    return typeof last === "bigint" ? [last] : [];
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeError(error, this.#path);
    }
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new SeamError(
      {
        reason: "StoreUnwritable",
        object: dirname(path),
        expected: `a directory this process may create: ${errorMessage(cause)}`,
        remedy: "check owner and mode of its parent",
      },
      { cause },
    );
  }
}
