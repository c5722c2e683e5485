import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { rfc3339 } from "../../base/clock.ts";
import { openDatabase } from "./open-database.ts";
import type { OutboxStoreOptions } from "./outbox-store-options.ts";
import { type SalvagedLog, salvageAudit } from "./salvage-audit.ts";

/** Damaged stores that are kept for people; older ones go. */
export const MAX_QUARANTINED = 3;
const QUARANTINED = ".bad-";
const SALVAGED = ".salvaged";
/** SQLite's own files beside a database. */
const BESIDE = ["", "-wal", "-shm", "-journal"] as const;

/** What came of a damaged store. */
export interface StoreRecovery {
  /** Where it was put. */
  readonly quarantined: string;
  /** Whether numbering goes on, or had to begin anew in another epoch. */
  readonly numbering: "continued" | "restarted";
  /** Audit events that were read out of it. */
  readonly salvagedEvents: number;
  /** Numbers that are lost; an `audit.gap` record stands in their place. */
  readonly lostEvents: number;
}

/**
 * Puts a damaged store aside and makes one in its place that goes on with the numbers of its audit log, with what could be read of it
 * . Everything else the store held comes again from the hub and from the cluster. Nothing is removed before its successor is
 * durable: a crash in between leaves one or the other, see {@link finishRecovery}.
 */
export function recoverStore(options: OutboxStoreOptions, nowMs: number): StoreRecovery {
  const { path } = options;
  const salvaged = salvageAudit(path, rfc3339(nowMs));
  removeStore(path + SALVAGED);
  if (salvaged !== undefined) writeLog({ ...options, path: path + SALVAGED }, salvaged);
  const quarantined = `${path}${QUARANTINED}${rfc3339(nowMs).replaceAll(":", "")}`;
  // The database first: from here on the successor is the store.
  for (const end of BESIDE) if (existsSync(path + end)) renameSync(path + end, quarantined + end);
  finishRecovery(path);
  syncDirectory(dirname(path));
  for (const old of quarantinedStores(path).slice(0, -MAX_QUARANTINED)) removeStore(old);
  return {
    quarantined,
    numbering: salvaged === undefined ? "restarted" : "continued",
    salvagedEvents: salvaged?.rows.filter(({ through, sequence }) => through === sequence).length ?? 0,
    lostEvents: Number(salvaged?.lost ?? 0n),
  };
}

/** What a crash in the middle of a recovery left: the successor is whole once the damaged one is gone. Call before a store is opened. */
export function finishRecovery(path: string): void {
  if (path === ":memory:" || existsSync(path) || !existsSync(path + SALVAGED)) return;
  // Of the damaged store: beside another database its log would be taken for that one's.
  removeStore(path);
  renameSync(path + SALVAGED, path);
}

/** Damaged stores that were put aside and that nobody removed, oldest first. */
export function quarantinedStores(path: string): readonly string[] {
  const directory = dirname(path);
  if (path === ":memory:" || !existsSync(directory)) return [];
  const prefix = basename(path) + QUARANTINED;
  return readdirSync(directory)
    .filter((name) => name.startsWith(prefix) && !BESIDE.some((end) => end !== "" && name.endsWith(end)))
    .sort()
    .map((name) => join(directory, name));
}

function writeLog(options: OutboxStoreOptions, { head, rows }: SalvagedLog): void {
  const db = openDatabase({ ...options, auditEpoch: head.epoch });
  try {
    db.exec("BEGIN IMMEDIATE");
    db.prepare("UPDATE meta SET audit_acked = ?, audit_last = ?, audit_last_hash = ?, audit_dropped = ?").run(
      head.acked,
      head.last,
      head.lastHash,
      head.dropped,
    );
    const insert = db.prepare(
      "INSERT INTO audit (sequence, through, event, hash, prev_hash, class) VALUES (?, ?, ?, ?, ?, ?)",
    );
    for (const { sequence, through, event, hash, prevHash, kind } of rows)
      insert.run(sequence, through, event, hash, prevHash, kind);
    db.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);");
  } finally {
    db.close();
  }
}

function removeStore(path: string): void {
  for (const end of BESIDE) rmSync(path + end, { force: true });
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
