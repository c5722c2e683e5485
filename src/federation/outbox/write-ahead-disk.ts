import { close, closeSync, fdatasync, fstatSync, fsync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { SeamError } from "../../base/errors.ts";

/** The log is written back into the database at this size, bytes: some milliseconds of copying within the page cache. */
const WRITE_BACK_BYTES = 4 * 1024 * 1024;

/** The two files of a database in WAL mode. */
export type WrittenFile = "database" | "log";

/** Makes what was written to a file durable. */
export interface DiskSync {
  /** Its bytes, and what is needed to read them. */
  bytes(fd: number, file: WrittenFile): Promise<void>;
  /** Its size as well, where it became shorter. */
  whole(fd: number, file: WrittenFile): Promise<void>;
}

/** How {@link WriteAheadDisk.take} waits, and what for. */
export interface WriteAheadOptions {
  /** Default: {@link systemDisk}. */
  readonly sync?: DiskSync;
  /** Default: 4 MiB. */
  readonly writeBackBytes?: number;
}

const closeOf = promisify(close);
const fdatasyncOf = promisify(fdatasync);
const fsyncOf = promisify(fsync);

/** The operating system's, off the event loop. */
export const systemDisk: DiskSync = { bytes: (fd) => fdatasyncOf(fd), whole: (fd) => fsyncOf(fd) };

/**
 * When the writes of a database in WAL mode reach the disk, decided here instead of in SQLite, which would hold the event loop for each
 * fsync. SQLite commits without one (`synchronous = OFF`); {@link durable} then waits for the log off the event loop, and nobody is told of a
 * commit before. What SQLite orders by its own fsyncs is ordered here, so that a power cut at any moment leaves every commit that was told:
 *
 * - Frames after the last that is on the disk may be there in part. Their checksums tell, and the log ends before them.
 * - Pages go from the log to the database when every frame is on the disk, and frames leave the log when every page is: a database
 *   half written is mended from the log.
 * - A log is used from its start again only once its new size, nothing, is on the disk: old frames never follow new ones.
 *
 * Nothing may be written between two steps of {@link writeBack}, and the descriptors live as long as the database: closing one would
 * give up the lock on its file (POSIX).
 */
export class WriteAheadDisk {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #disk: DiskSync;
  readonly #writeBackBytes: number;
  readonly #log: number;
  readonly #database: number;

  private constructor(db: DatabaseSync, path: string, options: WriteAheadOptions) {
    this.#db = db;
    this.#path = path;
    this.#disk = options.sync ?? systemDisk;
    this.#writeBackBytes = options.writeBackBytes ?? WRITE_BACK_BYTES;
    this.#log = openSync(`${path}-wal`, "r");
    this.#database = openSync(path, "r");
  }

  /**
   * Takes over from SQLite, which has opened the database with `synchronous = FULL` and committed once: what a killed process left in the
   * log is on the disk with it.
   */
  static take(db: DatabaseSync, path: string, options: WriteAheadOptions = {}): WriteAheadDisk {
    const folder = openSync(dirname(path), "r");
    fsyncSync(folder);
    closeSync(folder);
    const taken = new WriteAheadDisk(db, path, options);
    db.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF");
    return taken;
  }

  /** Resolves when every commit so far is on the disk. */
  durable(): Promise<void> {
    return this.#disk.bytes(this.#log, "log");
  }

  /** Whether the log is long enough to be written back. */
  get writeBackDue(): boolean {
    return fstatSync(this.#log).size >= this.#writeBackBytes;
  }

  /** Moves everything from the log into the database. Nothing may be written until it resolves. */
  async writeBack(): Promise<void> {
    await this.durable();
    this.#checkpoint("PASSIVE");
    await this.#disk.whole(this.#database, "database");
    this.#checkpoint("TRUNCATE");
    await this.#disk.whole(this.#log, "log");
  }

  /** Gives the waiting back to SQLite, closes the database, which writes its log back, and then the files. */
  async close(): Promise<void> {
    try {
      this.#db.exec("PRAGMA synchronous = FULL");
    } finally {
      this.#db.close();
      await Promise.all([closeOf(this.#log), closeOf(this.#database)]);
    }
  }

  #checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
    const row = this.#db.prepare(`PRAGMA wal_checkpoint(${mode})`).get();
    // A log that is only partly written back would be used again from its start without anybody waiting for the disk.
    if (row?.["busy"] === 0 && row["log"] === row["checkpointed"]) return;
    throw new SeamError({
      reason: "StoreLocked",
      object: this.#path,
      expected: `a write-ahead log that can be written back whole, found ${JSON.stringify(row)}`,
      remedy: "stop the other process that uses this directory",
    });
  }
}
