import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SeamError } from "../../base/errors.ts";
import { CHAIN_START } from "../audit/audit-chain.ts";
import type { OutboxStoreOptions } from "./outbox-store-options.ts";
import { OUTBOX_MIGRATION_2, OUTBOX_SCHEMA, OUTBOX_SCHEMA_VERSION } from "./outbox-schema.ts";
import { newerSchema, storeError } from "./store-error.ts";

const PAGE_BYTES = 4096;

/**
 * Opens or creates the database of an agent's store, locked and in today's schema.
 *
 * @throws SeamError `StoreNewer`, `StoreLocked`, `StoreUnwritable`, `StoreFull` or `StoreCorrupt`; the file is left as it was
 */
export function openDatabase(options: OutboxStoreOptions): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    if (options.path !== ":memory:") makeDirectory(dirname(options.path));
    db = new DatabaseSync(options.path);
    prepare(db, options);
    return db;
  } catch (error) {
    db?.close();
    throw storeError(error, options.path);
  }
}

function prepare(db: DatabaseSync, options: OutboxStoreOptions): void {
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
