import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Compaction, Revision, StoreFailure } from "./revision.ts";

/** Layout version of the database. A reader refuses a higher one. */
export const LAYOUT_VERSION = 1;
/** Name of the database inside the cluster's directory. */
export const DATABASE_FILE = "cluster.sqlite";
/** Holds the pid of the process that has the database open; only for messages, the lock itself is SQLite's. */
export const OWNER_FILE = "owner.pid";

const BUSY_TIMEOUT_MS = 250;
/** Rows handed over at once when loading, so that neither thread holds the whole state twice. */
const LOAD_CHUNK_BYTES = 4 * 1024 * 1024;

/** Carries a {@link StoreFailure} through a throw. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly failure: StoreFailure;

  constructor(failure: StoreFailure, cause?: unknown) {
    super(failure.expected, { cause });
    this.failure = failure;
  }
}

/** SQLite result code of an error from `node:sqlite`, without the extended bits; 0 for other errors. */
function resultCode(error: unknown): number {
  if (typeof error === "object" && error !== null && "errcode" in error && typeof error.errcode === "number") {
    return error.errcode & 0xff;
  }
  return 0;
}

function systemCode(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

const DISK_FULL: StoreFailure = {
  reason: "DiskFull",
  expected: "needs space for the state, on the device and under the size limit",
  remedy: "free space and try again; nothing that was stored is lost",
};

function ownerPid(directory: string): string {
  try {
    return readFileSync(join(directory, OWNER_FILE), "utf8").trim();
  } catch {
    return "unknown"; // the owner is between taking the lock and writing the file
  }
}

/** Says what an error of SQLite or the file system means for the directory. */
export function explainFailure(error: unknown, directory: string): StoreFailure {
  if (error instanceof StoreError) return error.failure;
  const message = error instanceof Error ? error.message : String(error);
  switch (resultCode(error)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {
        reason: "AlreadyOpen",
        expected: `no other process has the cluster open, but process ${ownerPid(directory)} has`,
        remedy: "stop that process or use another directory",
      };
    case SQLITE_FULL:
      return DISK_FULL;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return {
        reason: "NotWritable",
        expected: `the directory can be written (${message})`,
        remedy: "fix its permissions or use another directory",
      };
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {
        reason: "Corrupt",
        expected: `${DATABASE_FILE} is a database of Seam (${message})`,
        remedy: "restore it from a backup or remove the directory to start anew",
      };
    case SQLITE_IOERR:
      return { reason: "Failed", expected: `the disk can be read and written (${message})`, remedy: "check the disk" };
    default:
      break;
  }
  switch (systemCode(error)) {
    case "EACCES":
    case "EROFS":
    case "EPERM":
    case "ENOTDIR":
    case "EEXIST":
      return {
        reason: "NotWritable",
        expected: `the directory can be written (${message})`,
        remedy: "fix its permissions or use another directory",
      };
    case "ENOSPC":
      return DISK_FULL;
    default:
      return { reason: "Failed", expected: `the database works (${message})`, remedy: "see the cause" };
  }
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function asNumber(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

/** The revision log in SQLite: WAL, full sync, exclusive to one process. Synchronous; lives in the store's worker. */
export class RevisionDatabase {
  readonly #db: DatabaseSync;
  readonly #ownerFile: string;
  readonly #insert: StatementSync;
  readonly #drop: StatementSync;
  readonly #setMeta: StatementSync;

  /** @throws StoreError or an error of SQLite or the file system; {@link explainFailure} reads both */
  constructor(directory: string, maxBytes: number) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK | constants.X_OK);
    this.#ownerFile = join(directory, OWNER_FILE);
    this.#db = new DatabaseSync(join(directory, DATABASE_FILE));
    try {
      this.#db.exec(`PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}; PRAGMA locking_mode=EXCLUSIVE`);
      // Taking a write lock before anything else makes "already open" the first answer, before WAL recovery touches a page.
      this.#db.exec("BEGIN EXCLUSIVE; COMMIT");
      const layout = asNumber(this.#db.prepare("PRAGMA user_version").get()?.["user_version"]);
      if (layout > LAYOUT_VERSION) {
        throw new StoreError({
          reason: "NewerVersion",
          expected: `the state has layout version ${LAYOUT_VERSION} or older, but it has ${layout}`,
          remedy: "use the newer Seam that wrote it, or another directory",
        });
      }
      this.#db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
      const pageBytes = asNumber(this.#db.prepare("PRAGMA page_size").get()?.["page_size"]);
      this.#db.exec(`PRAGMA max_page_count=${Math.ceil(maxBytes / Math.max(pageBytes, 512))}`);
      if (layout === 0) this.#createLayout();
      writeFileSync(this.#ownerFile, `${process.pid}\n`, { mode: 0o600 });
      this.#insert = this.#db.prepare(
        "INSERT INTO revisions (version, collection, namespace, name, deleted, body) VALUES (?, ?, ?, ?, ?, ?)",
      );
      this.#drop = this.#db.prepare("DELETE FROM revisions WHERE version = ?");
      this.#setMeta = this.#db.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)");
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  #createLayout(): void {
    this.#db.exec(`
      BEGIN;
      CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE revisions (
        version INTEGER PRIMARY KEY,
        collection TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        deleted INTEGER NOT NULL,
        body TEXT NOT NULL
      ) STRICT;
      PRAGMA user_version = ${LAYOUT_VERSION};
      COMMIT;
    `);
  }

  /** Highest version ever given out and the compacted one. */
  positions(): { readonly version: number; readonly compacted: number } {
    const top = asNumber(this.#db.prepare("SELECT max(version) AS version FROM revisions").get()?.["version"]);
    const meta = this.#db.prepare("SELECT value FROM meta WHERE key = ?");
    return {
      version: Math.max(top, asNumber(meta.get("version")?.["value"])),
      compacted: asNumber(meta.get("compacted")?.["value"]),
    };
  }

  /** All rows in order of version, in chunks of about 4 MiB. */
  *load(): Generator<readonly Revision[]> {
    let chunk: Revision[] = [];
    let bytes = 0;
    for (const row of this.#db.prepare("SELECT * FROM revisions ORDER BY version").iterate()) {
      const revision: Revision = {
        version: asNumber(row["version"]),
        collection: asText(row["collection"]),
        namespace: asText(row["namespace"]),
        name: asText(row["name"]),
        deleted: row["deleted"] === 1,
        body: asText(row["body"]),
      };
      chunk.push(revision);
      bytes += revision.body.length;
      if (bytes >= LOAD_CHUNK_BYTES) {
        yield chunk;
        chunk = [];
        bytes = 0;
      }
    }
    if (chunk.length > 0) yield chunk;
  }

  /** One durable transaction: all or nothing. */
  commit(revisions: readonly Revision[], compaction: Compaction | undefined): void {
    this.#db.exec("BEGIN");
    try {
      for (const r of revisions) {
        this.#insert.run(r.version, r.collection, r.namespace, r.name, r.deleted ? 1 : 0, r.body);
      }
      if (compaction) {
        for (const version of compaction.drop) this.#drop.run(version);
        this.#setMeta.run("compacted", compaction.through);
        // A dropped row may have been the highest one (a deletion): the counter must never go back.
        const last = revisions.at(-1);
        this.#setMeta.run("version", Math.max(compaction.through, last?.version ?? 0));
      }
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    // While the lock is still held: afterwards the file is another process's.
    rmSync(this.#ownerFile, { force: true });
    this.#db.close();
  }
}
