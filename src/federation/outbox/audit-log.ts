import type { DatabaseSync } from "node:sqlite";
import { rfc3339 } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import { auditHash, closedRange, corruptEvent, droppedEvent, gapEvent, parseAuditEvent } from "../audit/audit-chain.ts";
import type { AuditPressure } from "./audit-pressure.ts";
import type { AuditCursor } from "../session/spoke/record.ts";
import { type Row, bigintOf, bytesOf, prepareBigint } from "./row.ts";

/** Byte cap of the audit log. */
export interface AuditCap {
  /** At this many bytes the oldest `allow` events are dropped first. */
  readonly capBytes: number;
  /** How far other events may go beyond the cap before they are refused. */
  readonly reserveBytes: number;
}

/** 100 MiB, and one segment of 8 MiB beyond. */
export const DEFAULT_AUDIT_CAP: AuditCap = { capBytes: 100 * 1024 * 1024, reserveBytes: 8 * 1024 * 1024 };
/** Share of the cap at which producers sample down `allow` decisions. */
export const NEAR_FULL = 0.9;
/** Share of the cap below which the log counts as normal again. */
export const NORMAL_AGAIN = 0.8;
/** Share of the cap that one round of dropping frees, so that dropping is rare; and a few milliseconds. */
const DROP_ROUND = 0.0025;
/** Cost of a row beside its event, bytes. */
const ROW_OVERHEAD_BYTES = 96;

/** What a row holds. */
const KEEP = 0;
const DROPPABLE = 1;
/** A record in the place of numbers that are gone: dropped at the cap, or lost with a damaged store. */
export const DROPPED = 2;

/** Where the log stands. */
interface Head {
  readonly epoch: bigint;
  acked: bigint;
  last: bigint;
  lastHash: Uint8Array;
  dropped: bigint;
}

/** One held event. */
export interface HeldAuditEvent {
  readonly sequence: bigint;
  readonly event: Uint8Array;
  readonly hash: Uint8Array;
  readonly prevHash: Uint8Array;
}

/** The append-only audit log inside the agent's store: gapless numbers, a hash chain, a byte cap. All calls run in a transaction. */
export class AuditLog {
  readonly #db: DatabaseSync;
  readonly #cap: AuditCap;
  readonly #statements;
  #bytes = 0;
  #pressure: AuditPressure = "normal";
  /** What `meta` says, kept in step with it; {@link flush} writes what appends have moved. */
  #head: Head;
  #moved = false;

  constructor(db: DatabaseSync, cap: AuditCap) {
    this.#db = db;
    this.#cap = cap;
    this.#statements = {
      meta: prepareBigint(db, "SELECT audit_epoch, audit_acked, audit_last, audit_last_hash, audit_dropped FROM meta"),
      first: prepareBigint(db, "SELECT min(sequence) AS first FROM audit"),
      insert: db.prepare(
        "INSERT INTO audit (sequence, through, event, hash, prev_hash, class) VALUES (?, ?, ?, ?, ?, ?)",
      ),
      advance: db.prepare("UPDATE meta SET audit_last = ?, audit_last_hash = ?, audit_dropped = ?"),
      held: prepareBigint(db, "SELECT sequence, through, event, prev_hash, class FROM audit ORDER BY sequence"),
      clear: db.prepare("DELETE FROM audit"),
      acknowledge: db.prepare("UPDATE meta SET audit_acked = max(audit_acked, ?)"),
      sizeThrough: prepareBigint(
        db,
        `SELECT coalesce(sum(length(event) + ${ROW_OVERHEAD_BYTES}), 0) AS bytes FROM audit WHERE sequence <= ?1 AND through <= ?1`,
      ),
      removeThrough: db.prepare("DELETE FROM audit WHERE sequence <= ?1 AND through <= ?1"),
      read: prepareBigint(
        db,
        "SELECT sequence, through, event, hash, prev_hash FROM audit WHERE sequence >= ? ORDER BY sequence LIMIT ?",
      ),
      droppable: prepareBigint(
        db,
        "SELECT sequence, event, hash, prev_hash FROM audit WHERE class = 1 ORDER BY sequence LIMIT 1000",
      ),
      before: prepareBigint(
        db,
        "SELECT sequence, through, event, prev_hash, class FROM audit WHERE sequence < ? ORDER BY sequence DESC LIMIT 1",
      ),
      removeRange: db.prepare("DELETE FROM audit WHERE sequence BETWEEN ? AND ?"),
    };
    this.#head = this.#readHead();
    this.#bytes = this.#measure();
    this.#judge();
  }

  /** Where the log stands. */
  cursor(): AuditCursor {
    const head = this.#head;
    const { first } = this.#statements.first.get() as Row;
    return {
      epoch: head.epoch,
      ackedThrough: head.acked,
      firstHeld: typeof first === "bigint" ? first : head.last + 1n,
      last: head.last,
      backlogBytes: BigInt(this.#bytes),
    };
  }

  /** Of all held events. */
  get bytes(): number {
    return this.#bytes;
  }

  get pressure(): AuditPressure {
    return this.#pressure;
  }

  /** Events dropped since the store was created. */
  get dropped(): bigint {
    return this.#head.dropped;
  }

  /**
   * Numbers, chains and stores one event. The position is durable only after {@link flush}, which the same transaction must hold.
   *
   * @throws SeamError `AuditLogFull` when only events that may not be dropped are left at the hard limit
   */
  append(event: Uint8Array, droppable: boolean, nowMs: number): bigint {
    const cost = event.length + ROW_OVERHEAD_BYTES;
    if (this.#bytes + cost > this.#cap.capBytes) {
      this.#pressure = "full";
      this.#dropOldest(cost, nowMs);
      const limit = this.#cap.capBytes + (droppable ? 0 : this.#cap.reserveBytes);
      if (this.#bytes + cost > limit)
        throw new SeamError({
          reason: "AuditLogFull",
          object: "audit log",
          expected: `at most ${limit} bytes that no hub has acknowledged`,
          remedy: "restore the connection to the hub, or raise WAL_MAX_BYTES",
        });
    }
    return this.#insert(event, droppable ? DROPPABLE : KEEP);
  }

  /** Appends an `audit.gap` record for numbers that are gone for good. Never refused: it is what explains a loss. */
  appendGap(epoch: bigint, from: bigint, to: bigint, nowMs: number): void {
    if (epoch !== this.#head.epoch) return;
    this.#insert(gapEvent({ from, to }, "lost", rfc3339(nowMs)), KEEP);
    this.flush();
  }

  /** Writes where appends have moved the log to. */
  flush(): void {
    if (!this.#moved) return;
    const { last, lastHash, dropped } = this.#head;
    this.#statements.advance.run(last, lastHash, dropped);
    this.#moved = false;
  }

  /**
   * The hub has stored numbers this log never assigned: everything held gets numbers higher by `by`, and the chain is made anew from where
   * it stood. The chain then breaks where the restored log begins, as it should.
   */
  move(epoch: bigint, by: bigint): void {
    const head = this.#head;
    if (epoch !== head.epoch || by <= 0n) return;
    const rows = this.#statements.held.all() as Row[];
    this.#statements.clear.run();
    let { lastHash } = head;
    let previous: Uint8Array | undefined;
    for (const row of rows) {
      const sequence = bigintOf(row, "sequence") + by;
      const through = bigintOf(row, "through") + by;
      const kind = Number(bigintOf(row, "class"));
      const prevHash = previous ?? bytesOf(row, "prev_hash");
      const event = kind === DROPPED ? movedRange(bytesOf(row, "event"), by) : bytesOf(row, "event");
      const hash = auditHash(prevHash, sequence, event);
      this.#statements.insert.run(sequence, through, event, hash, prevHash, kind);
      previous = kind === DROPPED ? chainedHash(event) : hash;
      lastHash = previous;
    }
    head.last += by;
    head.lastHash = lastHash;
    this.#moved = true;
    this.flush();
    this.#bytes = this.#measure();
    this.#judge();
  }

  /** Every number up to `through` is stored by a hub. */
  acknowledge(epoch: bigint, through: bigint): void {
    if (epoch !== this.#head.epoch) return;
    if (through > this.#head.acked) this.#head.acked = through;
    this.#statements.acknowledge.run(through);
    this.#bytes -= Number(bigintOf(this.#statements.sizeThrough.get(through) as Row, "bytes"));
    this.#statements.removeThrough.run(through);
    this.#judge();
  }

  /**
   * Consecutive events from number `from` on; starts later when `from` is not held. A run ends at a hole and after a record that
   * stands for dropped numbers.
   *
   * @throws SeamError `StoreCorrupt` for an event that has not its hash: the disk altered what SQLite cannot tell
   */
  read(epoch: bigint, from: bigint, maxEvents: number, maxBytes: number): readonly HeldAuditEvent[] {
    if (epoch !== this.#head.epoch) return [];
    const events: HeldAuditEvent[] = [];
    let bytes = 0;
    let next: bigint | undefined;
    for (const row of this.#statements.read.all(from, maxEvents) as Row[]) {
      const sequence = bigintOf(row, "sequence");
      const event = bytesOf(row, "event");
      bytes += event.length + ROW_OVERHEAD_BYTES;
      if ((next !== undefined && sequence !== next) || (events.length > 0 && bytes > maxBytes)) break;
      const held = { sequence, event, hash: bytesOf(row, "hash"), prevHash: bytesOf(row, "prev_hash") };
      if (!Buffer.from(auditHash(held.prevHash, sequence, event)).equals(held.hash)) throw altered(sequence);
      events.push(held);
      if (bigintOf(row, "through") !== sequence) break;
      next = sequence + 1n;
    }
    return events;
  }

  /**
   * Reads the position again after a rollback.
   *
   * @param bytes what {@link bytes} was before: measuring a full log takes a tenth of a second
   */
  reload(bytes: number): void {
    this.#head = this.#readHead();
    this.#moved = false;
    this.#bytes = bytes;
  }

  #insert(event: Uint8Array, kind: number): bigint {
    const { last, lastHash } = this.#head;
    const sequence = last + 1n;
    const hash = auditHash(lastHash, sequence, event);
    this.#statements.insert.run(sequence, sequence, event, hash, lastHash, kind);
    this.#head.last = sequence;
    this.#head.lastHash = hash;
    this.#moved = true;
    this.#bytes += event.length + ROW_OVERHEAD_BYTES;
    this.#judge();
    return sequence;
  }

  /** Drops the oldest `allow` events until `cost` more bytes and a round of slack fit. */
  #dropOldest(cost: number, nowMs: number): void {
    const target = this.#cap.capBytes * (1 - DROP_ROUND) - cost;
    while (this.#bytes > target) {
      const rows = this.#statements.droppable.all() as Row[];
      if (rows.length === 0) return;
      let run: Row[] = [];
      let candidates = 0;
      for (const row of rows) {
        const previous = run.at(-1);
        if (previous !== undefined && bigintOf(row, "sequence") !== bigintOf(previous, "sequence") + 1n) {
          this.#replaceRun(run, nowMs);
          run = [];
          candidates = 0;
        }
        run.push(row);
        candidates += bytesOf(row, "event").length + ROW_OVERHEAD_BYTES;
        if (this.#bytes - candidates <= target) break;
      }
      this.#replaceRun(run, nowMs);
    }
  }

  #replaceRun(run: readonly Row[], nowMs: number): void {
    const first = run[0];
    const last = run.at(-1);
    if (first === undefined || last === undefined) return;
    let from = bigintOf(first, "sequence");
    let prevHash = bytesOf(first, "prev_hash");
    const to = bigintOf(last, "sequence");
    // A record that already speaks for the numbers just before grows instead of getting a neighbour.
    const before = this.#statements.before.get(from) as Row | undefined;
    let freed = 0;
    if (before !== undefined && before["class"] === BigInt(DROPPED) && before["through"] === from - 1n) {
      from = bigintOf(before, "sequence");
      prevHash = bytesOf(before, "prev_hash");
      freed += bytesOf(before, "event").length + ROW_OVERHEAD_BYTES;
    }
    for (const row of run) freed += bytesOf(row, "event").length + ROW_OVERHEAD_BYTES;
    const event = droppedEvent({ from, to }, bytesOf(last, "hash"), rfc3339(nowMs));
    this.#statements.removeRange.run(from, to);
    this.#statements.insert.run(from, to, event, auditHash(prevHash, from, event), prevHash, DROPPED);
    this.#head.dropped += BigInt(run.length);
    this.#moved = true;
    this.#bytes += event.length + ROW_OVERHEAD_BYTES - freed;
  }

  #judge(): void {
    const share = this.#bytes / this.#cap.capBytes;
    if (share < NORMAL_AGAIN) this.#pressure = "normal";
    else if (this.#pressure !== "full" && share >= NEAR_FULL) this.#pressure = "nearFull";
  }

  #measure(): number {
    const row = prepareBigint(
      this.#db,
      `SELECT coalesce(sum(length(event) + ${ROW_OVERHEAD_BYTES}), 0) AS bytes FROM audit`,
    ).get() as Row;
    return Number(bigintOf(row, "bytes"));
  }

  #readHead(): Head {
    const row = this.#statements.meta.get() as Row;
    return {
      epoch: bigintOf(row, "audit_epoch"),
      acked: bigintOf(row, "audit_acked"),
      last: bigintOf(row, "audit_last"),
      lastHash: bytesOf(row, "audit_last_hash"),
      dropped: bigintOf(row, "audit_dropped"),
    };
  }
}

function altered(sequence: bigint): SeamError {
  return new SeamError({
    reason: "StoreCorrupt",
    object: `audit event ${sequence}`,
    expected: "the hash it was stored with",
    remedy: "none is needed: it is put aside, and a record says so in its place",
  });
}

/** A record of dropped events that speaks for numbers higher by `by`. */
function movedRange(event: Uint8Array, by: bigint): Uint8Array {
  const record = parseAuditEvent(event);
  const range = closedRange(record);
  const { time, action } = record;
  if (range === undefined || typeof time !== "string") return event;
  const moved = { from: range.from + by, to: range.to + by };
  return (action === "audit.gap" ? corruptEvent : droppedEvent)(moved, chainedHash(event), time);
}

/** The hash at which the chain goes on after a record of dropped events. */
function chainedHash(event: Uint8Array): Uint8Array {
  const { lastHash } = parseAuditEvent(event);
  return Buffer.from(typeof lastHash === "string" ? lastHash : "", "hex");
}
