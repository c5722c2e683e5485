import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { invariant } from "../../base/assert.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { AuditAppendResult, AuditResumePoint, AuditSinkPosition } from "../hub/ports.ts";
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
import type { QuarantineAsk } from "./quarantine.ts";
import { SqliteQuarantine } from "./sqlite-quarantine.ts";
import { type SinkBatch, type SinkEvent, refuseAll } from "./sink-batch.ts";

/** A chain as the store holds it. */
interface StoredChain {
  /** Cluster id. */
  readonly name: string;
  readonly epoch: bigint;
  readonly number: bigint;
  /** Number of the cluster. */
  readonly cluster: bigint;
  position: AuditSinkPosition;
}

const NOWHERE: AuditSinkPosition = { contiguousThrough: 0n, highest: 0n };
/** Most chains whose position is kept in memory. */
const MAX_KNOWN_CHAINS = 100_000;
/** Pages of the database in memory, KiB: the ends of all indexes of a fleet that writes. */
const CACHE_KIB = 64 * 1024;
/** Pages of the log after which it is written back, each once however often it changed: 64 MiB. */
const CHECKPOINT_PAGES = 16_384;

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
  readonly #quarantine: SqliteQuarantine;
  #arrivals: bigint;
  #committed: bigint;
  /** Chains that were looked up, by cluster and epoch; what the store says of them, also within the running transaction. */
  readonly #chains = new Map<string, StoredChain>();

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
    this.#reading = new AuditReading(db);
    this.#quarantine = new SqliteQuarantine(db);
    this.#arrivals = this.#reading.newest();
    this.#committed = this.#arrivals;
    this.#statements = {
      insert: db.prepare(
        `INSERT INTO audit_events (arrival, cluster, chain, sequence, received_ms, subject, action, event, prev_hash, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      ),
      hash: db.prepare("SELECT hash FROM audit_events WHERE chain = ? AND sequence = ?"),
      range: db.prepare(
        "INSERT INTO audit_ranges (cluster, epoch, first, last) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      ),
      addCluster: db.prepare("INSERT INTO audit_clusters (name) VALUES (?) ON CONFLICT DO NOTHING"),
      addChain: db.prepare(
        `INSERT INTO audit_chains (cluster, epoch, contiguous, highest)
         SELECT number, ?2, 0, 0 FROM audit_clusters WHERE name = ?1 ON CONFLICT DO NOTHING`,
      ),
      chain: prepareBigint(
        db,
        `SELECT h.chain, h.cluster, h.contiguous, h.highest FROM audit_chains h JOIN audit_clusters c ON c.number = h.cluster
         WHERE c.name = ? AND h.epoch = ?`,
      ),
      putPosition: db.prepare("UPDATE audit_chains SET contiguous = ?, highest = ? WHERE chain = ?"),
      putNewest: db.prepare("UPDATE audit_arrivals SET newest = ?"),
      coveredAt: prepareBigint(
        db,
        "SELECT max(last) AS last FROM audit_ranges WHERE cluster = ?1 AND epoch = ?2 AND first <= ?3 AND last >= ?3",
      ),
      present: prepareBigint(
        db,
        "SELECT sequence FROM audit_events WHERE chain = ? AND sequence > ? ORDER BY sequence LIMIT 1000",
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
      db.exec(
        `PRAGMA journal_mode = WAL; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; BEGIN EXCLUSIVE;`,
      );
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
    this.#guard(() => {
      if (this.#arrivals !== this.#committed) this.#statements.putNewest.run(this.#arrivals);
      this.#db.exec("COMMIT");
    });
    this.#committed = this.#arrivals;
  }

  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#arrivals = this.#reading.newest();
    this.#committed = this.#arrivals;
    this.#chains.clear();
    this.#quarantine.forget();
  }

  /** Inserts what is absent, in order, and says where the cluster's log stands now. */
  append(cluster: string, batch: SinkBatch, nowMs: number): AuditAppendResult {
    if (batch.epoch > MAX_SEQUENCE) return refuseAll(batch);
    return this.#guard(() => {
      const chain = this.#chain(cluster, batch.epoch) ?? this.#newChain(cluster, batch.epoch);
      const floor = this.#reading.floorOf(cluster, batch.epoch);
      const rejected: { sequence: bigint; code: AuditRejection }[] = [];
      const added = new AddedRun();
      for (const event of batch.events) {
        if (event.sequence < 1n || event.sequence > MAX_SEQUENCE) {
          rejected.push({ sequence: event.sequence, code: "AUDIT_INVALID" });
          continue;
        }
        if (event.sequence <= floor) continue; // stored once, and removed by retention since
        const { refused, ranged } = this.#appendOne(chain, event, nowMs);
        added.add(event.sequence, ranged);
        if (refused !== undefined) rejected.push({ sequence: event.sequence, code: refused });
      }
      const { contiguousThrough, highest } = this.#advance(chain, added.numbers);
      return { contiguousThrough, highest, rejected };
    });
  }

  /** Resume point; zeros when nothing is stored. */
  position(cluster: string, epoch: bigint): AuditResumePoint {
    if (epoch > MAX_SEQUENCE) return { ...NOWHERE, highestHash: undefined };
    return this.#guard(() => {
      const chain = this.#chain(cluster, epoch);
      if (chain === undefined) return { ...NOWHERE, highestHash: undefined };
      const row = this.#statements.hash.get(chain.number, chain.position.highest) as Row | undefined;
      return { ...chain.position, highestHash: row === undefined ? undefined : bytesOf(row, "hash") };
    });
  }

  /** Runs a read. */
  read<T>(look: (reading: AuditReading) => T): T {
    return this.#guard(() => look(this.#reading));
  }

  /** One slice of retention, in a transaction of its own. */
  retain(cluster: string, epoch: bigint, before: string, nowMs: number): RetainedSlice {
    return this.#alone(() => this.#reading.retain(cluster, epoch, before, nowMs));
  }

  /** What people ask of the quarantine, and the removal of one entry. */
  quarantine(ask: QuarantineAsk): unknown {
    switch (ask.op) {
      case "page":
        return this.#guard(() => this.#quarantine.page(ask.cluster, ask.after, ask.limit));
      case "totals":
        return this.#guard(() => this.#quarantine.totals(ask.cluster));
      case "event":
        return this.#guard(() =>
          this.#quarantine.event(ask.key, ({ cluster, epoch, sequence }) => this.#reading.at(cluster, epoch, sequence)),
        );
      case "release":
        return this.#alone(() => this.#quarantine.remove(ask.key));
    }
  }

  /** Writes the schema's version again: one page, one fsync. */
  probe(): void {
    this.#guard(() => this.#db.exec(`PRAGMA user_version = ${AUDIT_SCHEMA_VERSION}`));
  }

  close(): void {
    this.#db.close();
  }

  #chain(cluster: string, epoch: bigint): StoredChain | undefined {
    const key = `${cluster} ${epoch}`;
    const known = this.#chains.get(key);
    if (known !== undefined) return known;
    const row = this.#statements.chain.get(cluster, epoch) as Row | undefined;
    if (row === undefined) return undefined;
    const chain: StoredChain = {
      name: cluster,
      epoch,
      number: bigintOf(row, "chain"),
      cluster: bigintOf(row, "cluster"),
      position: { contiguousThrough: bigintOf(row, "contiguous"), highest: bigintOf(row, "highest") },
    };
    if (this.#chains.size >= MAX_KNOWN_CHAINS) this.#chains.clear();
    this.#chains.set(key, chain);
    return chain;
  }

  #newChain(cluster: string, epoch: bigint): StoredChain {
    this.#statements.addCluster.run(cluster);
    this.#statements.addChain.run(cluster, epoch);
    const chain = this.#chain(cluster, epoch);
    invariant(chain !== undefined, "a chain that was just added is there");
    return chain;
  }

  /** Stores one event; says whether it was refused, and whether it closed a range. */
  #appendOne(
    chain: StoredChain,
    event: SinkEvent,
    nowMs: number,
  ): { readonly refused: AuditRejection | undefined; readonly ranged: boolean } {
    const { sequence, hash, prevHash } = event;
    const judged = judgeEvent(chain.name, event);
    if (judged.fault !== undefined) {
      // Kept as it came, and its number is used up.
      this.#quarantine.put(chain.name, chain.epoch, event, judged.fault, nowMs);
      this.#statements.range.run(chain.name, chain.epoch, sequence, sequence);
      return { refused: judged.fault, ranged: true };
    }
    const { columns, range } = judged;
    // Even a conflicting loss record explains its numbers: the log must not wait for events that no longer exist.
    if (range !== undefined) this.#statements.range.run(chain.name, chain.epoch, range.from, range.to);
    const ranged = range !== undefined;
    const { changes } = this.#statements.insert.run(
      this.#arrivals + 1n,
      chain.cluster,
      chain.number,
      sequence,
      nowMs,
      columns.subject,
      columns.action,
      event.event,
      prevHash,
      hash,
    );
    if (changes !== 0) {
      this.#arrivals += 1n;
      return { refused: undefined, ranged };
    }
    const stored = this.#statements.hash.get(chain.number, sequence) as Row;
    if (Buffer.compare(bytesOf(stored, "hash"), hash) === 0) return { refused: undefined, ranged }; // a replay
    this.#quarantine.put(chain.name, chain.epoch, event, "AUDIT_CONFLICT", nowMs);
    return { refused: "AUDIT_CONFLICT", ranged };
  }

  /** Moves the contiguous position over stored events and closed ranges. */
  #advance(chain: StoredChain, added: AddedNumbers | undefined): AuditSinkPosition {
    const before = chain.position;
    if (added === undefined) return before;
    let position = followedBy(before, added);
    if (position === undefined) {
      const contiguous = answered(contiguousThrough(before.contiguousThrough), (question) =>
        this.#look(chain, question),
      );
      const highest = [before.highest, added.last, contiguous].reduce((a, b) => (a > b ? a : b));
      position = { contiguousThrough: contiguous, highest };
    }
    this.#statements.putPosition.run(position.contiguousThrough, position.highest, chain.number);
    chain.position = position;
    return position;
  }

  #look({ name, epoch, number }: StoredChain, question: ContiguityQuestion): ContiguityAnswer {
    if (question.ask === "present")
      return (this.#statements.present.all(number, question.after) as Row[]).map((row) => bigintOf(row, "sequence"));
    const { last } = this.#statements.coveredAt.get(name, epoch, question.number) as Row;
    return typeof last === "bigint" ? [last] : [];
  }

  /** Runs a change in a transaction of its own. */
  #alone<T>(change: () => T): T {
    return this.#guard(() => {
      this.begin();
      try {
        const result = change();
        this.commit();
        return result;
      } catch (error) {
        this.rollback();
        throw error;
      }
    });
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
