import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { rfc3339 } from "../../base/clock.ts";
import { type Row, bigintOf, bytesOf, prepareBigint, textOf } from "../outbox/row.ts";
import {
  type AuditChain,
  type AuditScan,
  type AuditScanResult,
  MAX_SCANNED,
  type StoredAuditEvent,
} from "./audit-log-reader.ts";
import { CHAIN_START } from "./audit-chain.ts";
import { answered } from "./asking.ts";
import { storedColumns } from "./judge-event.ts";
import {
  type ChainState,
  type ChainedEvent,
  type RetainedSlice,
  type VerifiedSlice,
  type Verifying,
  chainStart,
  retainSlice,
  sliceStart,
  verifySlice,
} from "./audit-verification.ts";
import { collectScan, scanKey } from "./scan-rule.ts";

const COLUMNS =
  "e.arrival, c.name AS cluster, h.epoch, e.sequence, e.received_ms, e.subject, e.action, e.event, e.hash";
/** The chain of an event's row, and its cluster. */
const CHAIN_OF = "audit_chains h JOIN audit_clusters c ON c.number = h.cluster";

/** Reads of the sink's tables, each bounded by {@link MAX_SCANNED} rows; and removal of what is too old. */
export class AuditReading {
  readonly #db: DatabaseSync;
  readonly #statements;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = {
      newest: prepareBigint(db, "SELECT newest FROM audit_arrivals"),
      chains: prepareBigint(
        db,
        `SELECT c.name AS cluster, h.epoch, h.highest, f.through, f.removed, f.breaks, f.removed_at,
           (SELECT count(*) FROM audit_quarantine q WHERE q.cluster = c.name AND q.epoch = h.epoch) AS quarantined
         FROM ${CHAIN_OF} LEFT JOIN audit_floors f ON f.cluster = c.name AND f.epoch = h.epoch
         WHERE ?1 = '' OR c.name = ?1 ORDER BY c.name, h.epoch`,
      ),
      at: prepareBigint(
        db,
        `SELECT ${COLUMNS} FROM ${CHAIN_OF} JOIN audit_events e ON e.chain = h.chain WHERE c.name = ? AND h.epoch = ? AND e.sequence = ?`,
      ),
      floor: prepareBigint(db, "SELECT through, hash FROM audit_floors WHERE cluster = ? AND epoch = ?"),
      links: prepareBigint(
        db,
        `SELECT e.sequence, e.event, e.prev_hash, e.hash, e.received_ms FROM ${CHAIN_OF} JOIN audit_events e ON e.chain = h.chain
         WHERE c.name = ? AND h.epoch = ? AND e.sequence >= ? ORDER BY e.sequence LIMIT ?`,
      ),
      explained: prepareBigint(
        db,
        "SELECT max(last) AS last FROM audit_ranges WHERE cluster = ?1 AND epoch = ?2 AND first <= ?3 AND last >= ?3",
      ),
      remove: db.prepare(
        `DELETE FROM audit_events WHERE chain = (SELECT h.chain FROM ${CHAIN_OF} WHERE c.name = ? AND h.epoch = ?) AND sequence <= ?`,
      ),
      removeRanges: db.prepare("DELETE FROM audit_ranges WHERE cluster = ? AND epoch = ? AND last <= ?"),
      putFloor: db.prepare(
        `INSERT INTO audit_floors (cluster, epoch, through, hash, removed, breaks, removed_at) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (cluster, epoch) DO UPDATE SET through = excluded.through, hash = excluded.hash,
           removed = removed + excluded.removed, breaks = breaks + excluded.breaks, removed_at = excluded.removed_at`,
      ),
    };
  }

  newest(): bigint {
    return bigintOf(this.#statements.newest.get() as Row, "newest");
  }

  scan(scan: AuditScan): AuditScanResult {
    const { filter, order, position } = scan;
    const back = order === "newest";
    const [key, value] = scanKey(filter);
    const bounds: SQLInputValue[] = [];
    const where = [];
    if (key !== undefined) {
      where.push(key === "cluster" ? "cluster = (SELECT number FROM audit_clusters WHERE name = ?)" : `${key} = ?`);
      bounds.push(value);
    }
    if (position !== undefined) {
      where.push(`arrival ${back ? "<" : ">"} ?`);
      bounds.push(position);
    }
    const direction = back ? "DESC" : "ASC";
    const sql = `SELECT ${COLUMNS} FROM (
        SELECT * FROM audit_events ${where.length > 0 ? `WHERE ${where.join(" AND ")}` : ""} ORDER BY arrival ${direction} LIMIT ${MAX_SCANNED}
      ) e CROSS JOIN audit_chains h ON h.chain = e.chain CROSS JOIN audit_clusters c ON c.number = e.cluster ORDER BY e.arrival ${direction}`;
    return collectScan(eventsOf(prepareBigint(this.#db, sql).iterate(...bounds) as Iterable<Row>), scan);
  }

  /** The event that has a number. */
  at(cluster: string, epoch: bigint, sequence: bigint): StoredAuditEvent | undefined {
    const row = this.#statements.at.get(cluster, epoch, sequence) as Row | undefined;
    return row === undefined ? undefined : eventOf(row);
  }

  chains(cluster: string | undefined): readonly AuditChain[] {
    return (this.#statements.chains.all(cluster ?? "") as Row[]).map((row) => ({
      cluster: textOf(row, "cluster"),
      epoch: bigintOf(row, "epoch"),
      highest: bigintOf(row, "highest"),
      quarantined: bigintOf(row, "quarantined"),
      floor:
        row["through"] === null
          ? undefined
          : {
              through: bigintOf(row, "through"),
              removed: bigintOf(row, "removed"),
              breaks: bigintOf(row, "breaks"),
              removedAt: textOf(row, "removed_at"),
            },
    }));
  }

  /** Verifies on from a state, or from the floor. A state that retention has overtaken goes on at the floor. */
  verify(
    { cluster, epoch, highest }: Pick<AuditChain, "cluster" | "epoch" | "highest">,
    from?: ChainState,
  ): VerifiedSlice {
    const start = sliceStart(this.#start(cluster, epoch), from);
    const rows = this.#links(cluster, epoch, start.next);
    return this.#answer(cluster, epoch, verifySlice(start, rows, MAX_SCANNED, highest));
  }

  /**
   * Removes the oldest events of a chain that were received before `before`: always its beginning, so that what is left is one chain
   * above one floor, which counts what is gone and keeps the hash where it goes on. Runs in a transaction.
   */
  retain(cluster: string, epoch: bigint, before: string, nowMs: number): RetainedSlice {
    const start = this.#start(cluster, epoch);
    const rows = this.#links(cluster, epoch, start.next);
    const { state, removed, done } = this.#answer(cluster, epoch, retainSlice(start, rows, MAX_SCANNED, before));
    if (removed === 0) return { removed, done: true };
    const through = state.next - 1n;
    this.#statements.remove.run(cluster, epoch, through);
    this.#statements.removeRanges.run(cluster, epoch, through);
    const { previous, breaks } = state;
    this.#statements.putFloor.run(cluster, epoch, through, previous ?? null, removed, breaks, rfc3339(nowMs));
    return { removed, done };
  }

  /** Highest number that retention removed; zero when it removed none. */
  floorOf(cluster: string, epoch: bigint): bigint {
    return this.#start(cluster, epoch).next - 1n;
  }

  #start(cluster: string, epoch: bigint): ChainState {
    const row = this.#statements.floor.get(cluster, epoch) as Row | undefined;
    if (row === undefined) return chainStart(1n, CHAIN_START);
    return chainStart(bigintOf(row, "through") + 1n, row["hash"] === null ? undefined : bytesOf(row, "hash"));
  }

  #links(cluster: string, epoch: bigint, from: bigint): readonly LinkRow[] {
    return (this.#statements.links.all(cluster, epoch, from, MAX_SCANNED) as Row[]).map(linkOf);
  }

  #answer<Result>(cluster: string, epoch: bigint, verifying: Verifying<Result>): Result {
    return answered(verifying, (from) => {
      const { last } = this.#statements.explained.get(cluster, epoch, from) as Row;
      return typeof last === "bigint" ? last : undefined;
    });
  }
}

interface LinkRow extends ChainedEvent {
  readonly receivedAt: string;
}

function linkOf(row: Row): LinkRow {
  return {
    sequence: bigintOf(row, "sequence"),
    event: bytesOf(row, "event"),
    prevHash: bytesOf(row, "prev_hash"),
    hash: bytesOf(row, "hash"),
    receivedAt: receivedAt(row),
  };
}

function* eventsOf(rows: Iterable<Row>): Iterable<StoredAuditEvent> {
  for (const row of rows) yield eventOf(row);
}

function eventOf(row: Row): StoredAuditEvent {
  const event = bytesOf(row, "event");
  const { time, resource, decision } = storedColumns(event);
  return {
    arrival: bigintOf(row, "arrival"),
    cluster: textOf(row, "cluster"),
    epoch: bigintOf(row, "epoch"),
    sequence: bigintOf(row, "sequence"),
    time,
    receivedAt: receivedAt(row),
    subject: textOf(row, "subject"),
    action: textOf(row, "action"),
    resource,
    decision,
    event,
    hash: bytesOf(row, "hash"),
  };
}

function receivedAt(row: Row): string {
  return rfc3339(Number(bigintOf(row, "received_ms")));
}
