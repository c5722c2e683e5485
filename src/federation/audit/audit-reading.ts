import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { rfc3339 } from "../../base/clock.ts";
import { type Row, bigintOf, bytesOf, prepareBigint, textOf } from "../outbox/row.ts";
import {
  type AuditChain,
  type AuditFilter,
  type AuditScan,
  type AuditScanResult,
  MAX_SCANNED,
  type StoredAuditEvent,
} from "./audit-log-reader.ts";
import { CHAIN_START } from "./audit-chain.ts";
import { type ChainState, chainStart, verifyEnd, verifyNext } from "./audit-verification.ts";

/** Longest tolerance for a clock that was set back: a search by time goes on so far beyond its bound, milliseconds. */
const CLOCK_TOLERANCE_MS = 24 * 3_600_000;

const COLUMNS =
  "arrival, cluster, epoch, sequence, event_time, received_at, subject, action, resource, decision, event, hash";

/** A slice of a verification. */
export interface VerifiedSlice {
  readonly state: ChainState;
  /** True at the end of the chain. */
  readonly done: boolean;
}

/** A slice of retention. */
export interface RetainedSlice {
  readonly removed: number;
  /** True when nothing older is left. */
  readonly done: boolean;
}

/** Reads of the sink's tables, each bounded by {@link MAX_SCANNED} rows; and removal of what is too old. */
export class AuditReading {
  readonly #db: DatabaseSync;
  readonly #statements;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = {
      newest: prepareBigint(db, "SELECT coalesce(max(arrival), 0) AS newest FROM audit_events"),
      chains: prepareBigint(
        db,
        `SELECT p.cluster, p.epoch, p.highest, f.through, f.removed, f.breaks, f.removed_at,
           (SELECT count(*) FROM audit_conflicts c WHERE c.cluster = p.cluster AND c.epoch = p.epoch) AS quarantined
         FROM audit_positions p LEFT JOIN audit_floors f ON f.cluster = p.cluster AND f.epoch = p.epoch
         WHERE ?1 = '' OR p.cluster = ?1 ORDER BY p.cluster, p.epoch`,
      ),
      floor: prepareBigint(db, "SELECT through, hash FROM audit_floors WHERE cluster = ? AND epoch = ?"),
      links: prepareBigint(
        db,
        `SELECT sequence, event, prev_hash, hash, received_at FROM audit_events
         WHERE cluster = ? AND epoch = ? AND sequence >= ? ORDER BY sequence LIMIT ?`,
      ),
      explained: prepareBigint(
        db,
        "SELECT max(last) AS last FROM audit_ranges WHERE cluster = ?1 AND epoch = ?2 AND first <= ?3 AND last >= ?3",
      ),
      remove: db.prepare("DELETE FROM audit_events WHERE cluster = ? AND epoch = ? AND sequence <= ?"),
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

  scan({ filter, order, position, limit }: AuditScan): AuditScanResult {
    const back = order === "newest";
    const [key, value] = keyOf(filter);
    const bounds: SQLInputValue[] = [];
    const where = [];
    if (key !== undefined) {
      where.push(`${key} = ?`);
      bounds.push(value);
    }
    if (position !== undefined) {
      where.push(`arrival ${back ? "<" : ">"} ?`);
      bounds.push(position);
    }
    const sql = `SELECT ${COLUMNS} FROM audit_events ${where.length > 0 ? `WHERE ${where.join(" AND ")}` : ""}
      ORDER BY arrival ${back ? "DESC" : "ASC"} LIMIT ${MAX_SCANNED}`;
    const events: StoredAuditEvent[] = [];
    let last: StoredAuditEvent | undefined;
    let examined = 0;
    for (const row of prepareBigint(this.#db, sql).iterate(...bounds) as Iterable<Row>) {
      last = eventOf(row);
      examined += 1;
      if (matches(last, filter)) events.push(last);
      if (events.length === limit) break;
    }
    const ended = (examined < MAX_SCANNED && events.length < limit) || isBeyond(last, filter, back);
    return { events, next: ended || last === undefined ? undefined : last.arrival };
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
    const floor = this.#start(cluster, epoch);
    let state = from ?? floor;
    if (state.next < floor.next) state = { ...state, next: floor.next, previous: floor.previous };
    const explained = this.#explained(cluster, epoch);
    const rows = this.#statements.links.all(cluster, epoch, state.next, MAX_SCANNED) as Row[];
    for (const row of rows) {
      const sequence = bigintOf(row, "sequence");
      // What came after the look at the chain is not asked about: its predecessors may still be under way.
      if (sequence > highest) break;
      state = verifyNext(state, linkOf(row), explained);
    }
    if (rows.length === MAX_SCANNED && state.next <= highest) return { state, done: false };
    return { state: verifyEnd(state, highest, explained), done: true };
  }

  /**
   * Removes the oldest events of a chain that were received before `before`: always its beginning, so that what is left is one chain
   * above one floor, which counts what is gone and keeps the hash where it goes on. Runs in a transaction.
   */
  retain(cluster: string, epoch: bigint, before: string, nowMs: number): RetainedSlice {
    const start = this.#start(cluster, epoch);
    const explained = this.#explained(cluster, epoch);
    let state = start;
    let removed = 0;
    const rows = this.#statements.links.all(cluster, epoch, start.next, MAX_SCANNED) as Row[];
    for (const row of rows) {
      if (textOf(row, "received_at") >= before) break;
      state = verifyNext(state, linkOf(row), explained);
      removed += 1;
    }
    if (removed === 0) return { removed, done: true };
    const through = state.next - 1n;
    this.#statements.remove.run(cluster, epoch, through);
    this.#statements.removeRanges.run(cluster, epoch, through);
    const { previous, breaks } = state;
    this.#statements.putFloor.run(cluster, epoch, through, previous ?? null, removed, breaks, rfc3339(nowMs));
    return { removed, done: removed < rows.length || rows.length < MAX_SCANNED };
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

  #explained(cluster: string, epoch: bigint): (from: bigint) => bigint | undefined {
    return (from) => {
      const { last } = this.#statements.explained.get(cluster, epoch, from) as Row;
      return typeof last === "bigint" ? last : undefined;
    };
  }
}

/** The most selective member that has an index of its own. */
function keyOf(filter: AuditFilter): readonly ["subject" | "action" | "cluster" | undefined, string] {
  for (const key of ["subject", "action", "cluster"] as const) {
    const value = filter[key];
    if (value !== undefined) return [key, value];
  }
  return [undefined, ""];
}

function matches(event: StoredAuditEvent, filter: AuditFilter): boolean {
  const { since, until } = filter;
  return (
    (["cluster", "subject", "action", "decision"] as const).every(
      (name) => filter[name] === undefined || event[name] === filter[name],
    ) &&
    (since === undefined || event.receivedAt >= since) &&
    (until === undefined || event.receivedAt < until)
  );
}

/** Arrivals follow the hub's clock but for its jumps: far beyond the bound nothing is to be found. */
function isBeyond(last: StoredAuditEvent | undefined, { since, until }: AuditFilter, back: boolean): boolean {
  if (last === undefined) return true;
  const at = Date.parse(last.receivedAt);
  if (back) return since !== undefined && at < Date.parse(since) - CLOCK_TOLERANCE_MS;
  return until !== undefined && at > Date.parse(until) + CLOCK_TOLERANCE_MS;
}

function linkOf(row: Row) {
  return {
    sequence: bigintOf(row, "sequence"),
    event: bytesOf(row, "event"),
    prevHash: bytesOf(row, "prev_hash"),
    hash: bytesOf(row, "hash"),
  };
}

function eventOf(row: Row): StoredAuditEvent {
  return {
    arrival: bigintOf(row, "arrival"),
    cluster: textOf(row, "cluster"),
    epoch: bigintOf(row, "epoch"),
    sequence: bigintOf(row, "sequence"),
    time: textOf(row, "event_time"),
    receivedAt: textOf(row, "received_at"),
    subject: textOf(row, "subject"),
    action: textOf(row, "action"),
    resource: textOf(row, "resource"),
    decision: textOf(row, "decision"),
    event: bytesOf(row, "event"),
    hash: bytesOf(row, "hash"),
  };
}
