import type { DatabaseSync } from "node:sqlite";
import { rfc3339 } from "../../base/clock.ts";
import { type Row, bigintOf, bytesOf, prepareBigint, textOf } from "../outbox/row.ts";
import type { StoredAuditEvent } from "./audit-log-reader.ts";
import type { AuditRejection } from "./judge-event.ts";
import {
  MAX_QUARANTINE_PAGE,
  type QuarantineEntry,
  type QuarantineKey,
  QuarantineRoom,
  type QuarantineTotal,
  type QuarantinedEvent,
  quarantineDigest,
} from "./quarantine.ts";
import type { SinkEvent } from "./sink-batch.ts";

const ENTRY = "cluster, epoch, sequence, digest, code, received_at, length(event) AS bytes";

/** Clusters whose room is kept in memory. */
const MAX_KNOWN_ROOMS = 10_000;

/** The quarantine in the tables of the SQLite sink; every call runs in a transaction of its caller. */
export class SqliteQuarantine {
  readonly #statements;
  /** Room of the clusters that were refused something: nobody else writes here. */
  readonly #rooms = new Map<string, QuarantineRoom>();

  constructor(db: DatabaseSync) {
    this.#statements = {
      has: db.prepare("SELECT 1 FROM audit_quarantine WHERE cluster = ? AND epoch = ? AND sequence = ? AND digest = ?"),
      room: prepareBigint(
        db,
        "SELECT count(*) AS entries, coalesce(sum(length(event)), 0) AS bytes FROM audit_quarantine WHERE cluster = ?",
      ),
      insert: db.prepare(
        `INSERT INTO audit_quarantine (cluster, epoch, sequence, digest, code, received_at, event, prev_hash, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ),
      overflow: db.prepare(
        `INSERT INTO audit_quarantine_overflows (cluster, overflowed) VALUES (?, 1)
         ON CONFLICT (cluster) DO UPDATE SET overflowed = overflowed + 1`,
      ),
      page: prepareBigint(
        db,
        `SELECT ${ENTRY} FROM audit_quarantine WHERE (?1 = '' OR cluster = ?1)
           AND (cluster, epoch, sequence, digest) > (?2, ?3, ?4, ?5) ORDER BY cluster, epoch, sequence, digest LIMIT ?6`,
      ),
      totals: prepareBigint(
        db,
        `SELECT c.cluster, coalesce(q.entries, 0) AS entries, coalesce(q.bytes, 0) AS bytes, coalesce(o.overflowed, 0) AS overflowed
         FROM (SELECT cluster FROM audit_quarantine UNION SELECT cluster FROM audit_quarantine_overflows) c
           LEFT JOIN (SELECT cluster, count(*) AS entries, sum(length(event)) AS bytes FROM audit_quarantine GROUP BY cluster) q
             ON q.cluster = c.cluster
           LEFT JOIN audit_quarantine_overflows o ON o.cluster = c.cluster
         WHERE ?1 = '' OR c.cluster = ?1 ORDER BY c.cluster`,
      ),
      one: prepareBigint(
        db,
        `SELECT ${ENTRY}, event, prev_hash, hash FROM audit_quarantine WHERE cluster = ? AND epoch = ? AND sequence = ? AND digest = ?`,
      ),
      remove: db.prepare(
        "DELETE FROM audit_quarantine WHERE cluster = ? AND epoch = ? AND sequence = ? AND digest = ?",
      ),
    };
  }

  /** Keeps a refused event, or counts it when its cluster has no room left. */
  put(cluster: string, epoch: bigint, event: SinkEvent, code: AuditRejection, nowMs: number): void {
    const digest = quarantineDigest(event);
    const key = keyColumns({ cluster, epoch, sequence: event.sequence, digest });
    if (this.#statements.has.get(...key) !== undefined) return; // it was sent before
    if (this.#roomOf(cluster).take(event.event.length))
      this.#statements.insert.run(...key, code, rfc3339(nowMs), event.event, event.prevHash, event.hash);
    else this.#statements.overflow.run(cluster);
  }

  /** What was counted is counted anew: a transaction was undone. */
  forget(): void {
    this.#rooms.clear();
  }

  page(cluster: string | undefined, after: QuarantineKey | undefined, limit: number): readonly QuarantineEntry[] {
    const from = after ?? { cluster: "", epoch: 0n, sequence: 0n, digest: new Uint8Array() };
    const rows = this.#statements.page.all(cluster ?? "", ...keyColumns(from), Math.min(limit, MAX_QUARANTINE_PAGE));
    return (rows as Row[]).map(entryOf);
  }

  totals(cluster: string | undefined): readonly QuarantineTotal[] {
    return (this.#statements.totals.all(cluster ?? "") as Row[]).map((row) => ({
      cluster: textOf(row, "cluster"),
      entries: bigintOf(row, "entries"),
      bytes: bigintOf(row, "bytes"),
      overflowed: bigintOf(row, "overflowed"),
    }));
  }

  /** @param stored finds the event that has a number in the log */
  event(
    key: QuarantineKey,
    stored: (key: QuarantineKey) => StoredAuditEvent | undefined,
  ): QuarantinedEvent | undefined {
    const row = this.#statements.one.get(...keyColumns(key)) as Row | undefined;
    if (row === undefined) return undefined;
    const bytes = { event: bytesOf(row, "event"), hash: bytesOf(row, "hash"), prevHash: bytesOf(row, "prev_hash") };
    return { ...entryOf(row), ...bytes, stored: stored(key) };
  }

  remove(key: QuarantineKey): boolean {
    this.#rooms.delete(key.cluster);
    return this.#statements.remove.run(...keyColumns(key)).changes !== 0;
  }

  #roomOf(cluster: string): QuarantineRoom {
    const known = this.#rooms.get(cluster);
    if (known !== undefined) return known;
    const held = this.#statements.room.get(cluster) as Row;
    const room = new QuarantineRoom(Number(bigintOf(held, "entries")), Number(bigintOf(held, "bytes")));
    if (this.#rooms.size >= MAX_KNOWN_ROOMS) this.#rooms.clear();
    this.#rooms.set(cluster, room);
    return room;
  }
}

function keyColumns({ cluster, epoch, sequence, digest }: QuarantineKey): [string, bigint, bigint, Uint8Array] {
  return [cluster, epoch, sequence, digest];
}

function entryOf(row: Row): QuarantineEntry {
  return {
    cluster: textOf(row, "cluster"),
    epoch: bigintOf(row, "epoch"),
    sequence: bigintOf(row, "sequence"),
    digest: bytesOf(row, "digest"),
    code: textOf(row, "code"),
    receivedAt: textOf(row, "received_at"),
    bytes: Number(bigintOf(row, "bytes")),
  };
}
