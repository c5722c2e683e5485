import { DatabaseSync } from "node:sqlite";
import { auditHash, closedRange, corruptEvent, parseAuditEvent } from "../audit/audit-chain.ts";
import { SeamError } from "../../base/errors.ts";
import { DROPPED } from "./audit-log.ts";
import { type Row, bigintOf, bytesOf, prepareBigint } from "./row.ts";

/** Position of a log, as its store keeps it. */
export interface SalvagedHead {
  readonly epoch: bigint;
  readonly acked: bigint;
  readonly last: bigint;
  readonly lastHash: Uint8Array;
  readonly dropped: bigint;
}

/** One row of the log. */
export interface SalvagedRow {
  readonly sequence: bigint;
  readonly through: bigint;
  readonly event: Uint8Array;
  readonly hash: Uint8Array;
  readonly prevHash: Uint8Array;
  readonly kind: number;
}

/** What could be read of a log in a damaged store. */
export interface SalvagedLog {
  readonly head: SalvagedHead;
  /** In order, without a hole: what is lost is said by an `audit.gap` record in its place. */
  readonly rows: readonly SalvagedRow[];
  /** Numbers that are lost. */
  readonly lost: bigint;
}

/** Rows read in one query while nothing is amiss. */
const PAGE = 256;

/**
 * Reads the audit log out of a damaged database, row by row, going round what cannot be read. A row counts when it has its own
 * hash. Undefined when not even the position can be read: then numbering has to begin anew.
 */
export function salvageAudit(path: string, time: string): SalvagedLog | undefined {
  let db: DatabaseSync | undefined;
  try {
    // Evidence is read, never written.
    db = new DatabaseSync(path, { readOnly: true });
    const head = readHead(db);
    return head === undefined ? undefined : complete(head, readRows(db, head), time);
  } catch {
    // Not even opened, or no table of ours in it.
    return undefined;
  } finally {
    db?.close();
  }
}

function readHead(db: DatabaseSync): SalvagedHead | undefined {
  const row = prepareBigint(
    db,
    "SELECT audit_epoch, audit_acked, audit_last, audit_last_hash, audit_dropped FROM meta WHERE id = 1",
  ).get() as Row | undefined;
  if (row === undefined) return undefined;
  const head = {
    epoch: bigintOf(row, "audit_epoch"),
    acked: bigintOf(row, "audit_acked"),
    last: bigintOf(row, "audit_last"),
    lastHash: bytesOf(row, "audit_last_hash"),
    dropped: bigintOf(row, "audit_dropped"),
  };
  const sane = head.epoch > 0n && head.acked >= 0n && head.last >= head.acked && head.lastHash.length === 32;
  return sane ? head : undefined;
}

/** Every row beyond what was acknowledged that can be read and has its own hash, in order. */
function readRows(db: DatabaseSync, { acked, last }: SalvagedHead): readonly SalvagedRow[] {
  const columns = "sequence, through, event, hash, prev_hash, class";
  const up = prepareBigint(db, `SELECT ${columns} FROM audit WHERE sequence >= ? ORDER BY sequence LIMIT ?`);
  const down = prepareBigint(
    db,
    `SELECT ${columns} FROM audit WHERE sequence < ? AND sequence >= ? ORDER BY sequence DESC LIMIT 1`,
  );
  const found = new Map<bigint, SalvagedRow>();
  const take = (rows: readonly Row[]): bigint | undefined => {
    let reached: bigint | undefined;
    for (const row of rows) {
      const read = rowOf(row);
      reached = bigintOf(row, "sequence") + 1n;
      if (read !== undefined) found.set(read.sequence, read);
    }
    return reached;
  };
  // A record of dropped numbers stands at the first of them, which may lie before what was acknowledged.
  let next = 0n;
  let limit = PAGE;
  let step = 1n;
  while (next <= last) {
    try {
      const reached = take(up.all(next, limit) as Row[]);
      if (reached === undefined) break;
      if (step > 1n) readBack(down, next, acked, take);
      [next, limit, step] = [reached, PAGE, 1n];
    } catch {
      // One at a time, then ever further beyond what cannot be read.
      if (limit > 1) limit = 1;
      else {
        next += step;
        step *= 2n;
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.sequence < b.sequence ? -1 : 1));
}

/** From the first row that was readable again back to what is not: the steps over it may have been too long. */
function readBack(
  down: ReturnType<typeof prepareBigint>,
  from: bigint,
  to: bigint,
  take: (rows: readonly Row[]) => bigint | undefined,
): void {
  let before = from;
  for (;;) {
    try {
      const reached = take(down.all(before, to) as Row[]);
      if (reached === undefined) return;
      before = reached - 1n;
    } catch {
      return;
    }
  }
}

/** A row, unless it was altered: its hash is over the hash before, its number and its event. */
function rowOf(row: Row): SalvagedRow | undefined {
  const { sequence, through, event, hash, prev_hash: prevHash, class: kind } = row;
  if (typeof sequence !== "bigint" || typeof through !== "bigint" || typeof kind !== "bigint") return undefined;
  if (!(event instanceof Uint8Array) || !(hash instanceof Uint8Array) || !(prevHash instanceof Uint8Array))
    return undefined;
  if (!Buffer.from(auditHash(prevHash, sequence, event)).equals(hash)) return undefined;
  const closes = through !== sequence || Number(kind) === DROPPED;
  if (closes && rangeEnd(event) !== through) return undefined;
  return { sequence, through, event, hash, prevHash, kind: Number(kind) };
}

function rangeEnd(event: Uint8Array): bigint | undefined {
  try {
    return closedRange(parseAuditEvent(event))?.to;
  } catch (error) {
    if (error instanceof SeamError) return undefined;
    throw error;
  }
}

/** Puts a record in the place of every number that is missing. */
function complete(head: SalvagedHead, found: readonly SalvagedRow[], time: string): SalvagedLog {
  const rows: SalvagedRow[] = [];
  let lost = 0n;
  let next = head.acked + 1n;
  let reachedHash: Uint8Array | undefined;
  const close = (to: bigint, lastHash: Uint8Array, prevHash: Uint8Array): void => {
    const event = corruptEvent({ from: next, to }, lastHash, time);
    lost += to - next + 1n;
    rows.push({ sequence: next, through: to, event, hash: auditHash(prevHash, next, event), prevHash, kind: DROPPED });
  };
  for (const row of found) {
    if (row.through <= head.acked || row.through > head.last) continue;
    if (row.sequence > next) close(row.sequence - 1n, row.prevHash, reachedHash ?? row.prevHash);
    if (row.sequence < next && row.through < next) continue;
    rows.push(row);
    next = row.through + 1n;
    reachedHash = row.hash;
  }
  if (next <= head.last) close(head.last, head.lastHash, reachedHash ?? head.lastHash);
  return { head, rows, lost };
}
