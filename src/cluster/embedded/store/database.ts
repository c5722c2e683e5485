import { accessSync, chmodSync, constants, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { backup, DatabaseSync, type StatementSync } from "node:sqlite";
import type { Compaction, Revision } from "./revision.ts";
import { DATABASE_FILE, OWNER_FILE, StoreError, systemCode } from "./store-failure.ts";

/** Layout version of the database. A reader refuses a higher one. */
export const LAYOUT_VERSION = 1;

const BUSY_TIMEOUT_MS = 250;
/** Rows handed over at once when loading, so that neither thread holds the whole state twice. */
const LOAD_CHUNK_BYTES = 4 * 1024 * 1024;
/** The write-ahead log is cut back to this when a checkpoint has emptied it; between checkpoints one large transaction may exceed it. */
const WAL_LIMIT_BYTES = 16 * 1024 * 1024;
/** Free pages given back to the file system with each compaction, so that a large one does not hold up writers. */
const VACUUM_PAGES = 1_000;
/** Pages per step of a backup; commits come in between. */
const BACKUP_PAGES = 512;

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
      if (layout === 0) this.#db.exec("PRAGMA auto_vacuum=INCREMENTAL"); // only an empty file takes it
      this.#db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=${WAL_LIMIT_BYTES}`);
      const pageBytes = asNumber(this.#db.prepare("PRAGMA page_size").get()?.["page_size"]);
      this.#db.exec(`PRAGMA max_page_count=${Math.ceil(maxBytes / Math.max(pageBytes, 512))}`);
      if (layout === 0) this.#createLayout();
      this.#sayOwner();
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

  /** A disk so full that not even this fits must not keep a cluster from being read. */
  #sayOwner(): void {
    try {
      writeFileSync(this.#ownerFile, `${process.pid}\n`, { mode: 0o600 });
    } catch (error) {
      if (systemCode(error) !== "ENOSPC") throw error;
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
  positions(): StorePositions {
    return readPositions(this.#db);
  }

  /** All rows in order of version, in chunks of about 4 MiB. */
  load(): Generator<readonly Revision[]> {
    return readRevisions(this.#db);
  }

  /** Findings of SQLite's own check, at most `maxLines`. */
  integrity(maxLines: number): readonly string[] {
    return integrityOf(this.#db, maxLines);
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
    if (compaction) this.#db.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
  }

  /** Copies the database into `file` page by page; what is committed meanwhile is in the copy too. The copy is one file, mode 0600. */
  async backup(file: string): Promise<void> {
    writeFileSync(file, "", { mode: 0o600, flag: "wx" });
    try {
      await backup(this.#db, file, { rate: BACKUP_PAGES });
      const copy = new DatabaseSync(file);
      try {
        // Of the original the copy has the write-ahead mode, which takes more than one file.
        copy.exec("PRAGMA journal_mode=DELETE");
      } finally {
        copy.close();
      }
      chmodSync(file, 0o400);
    } catch (error) {
      rmSync(file, { force: true });
      throw error;
    }
  }

  /** Moves what is in the write-ahead log into the database file, and does without the log from now on. */
  intoOneFile(): void {
    this.#db.exec("PRAGMA journal_mode=DELETE");
  }

  close(): void {
    // While the lock is still held: afterwards the file is another process's.
    rmSync(this.#ownerFile, { force: true });
    this.#db.close();
  }
}

/** Where a revision log stands. */
export interface StorePositions {
  /** Highest version ever given out. */
  readonly version: number;
  /** Watches and lists from before it answer 410. */
  readonly compacted: number;
}

/** Where the log of a database stands. */
export function readPositions(db: DatabaseSync): StorePositions {
  const top = asNumber(db.prepare("SELECT max(version) AS version FROM revisions").get()?.["version"]);
  const meta = db.prepare("SELECT value FROM meta WHERE key = ?");
  return {
    version: Math.max(top, asNumber(meta.get("version")?.["value"])),
    compacted: asNumber(meta.get("compacted")?.["value"]),
  };
}

/** All rows of a database in order of version, in chunks of about 4 MiB. */
export function* readRevisions(db: DatabaseSync): Generator<readonly Revision[]> {
  let chunk: Revision[] = [];
  let bytes = 0;
  for (const row of db.prepare("SELECT * FROM revisions ORDER BY version").iterate()) {
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

/** Findings of SQLite's own check, at most `maxLines`; empty when there are none. */
export function integrityOf(db: DatabaseSync, maxLines: number): readonly string[] {
  const rows = db.prepare(`PRAGMA integrity_check(${maxLines})`).all();
  return rows.map((row) => asText(row["integrity_check"])).filter((line) => line !== "ok");
}
