import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StoreFailure } from "./revision.ts";

/** Name of the database inside the cluster's directory. */
export const DATABASE_FILE = "cluster.sqlite";
/** Holds the pid of the process that has the database open; only for messages, the lock itself is SQLite's. */
export const OWNER_FILE = "owner.pid";

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

/** Code of an error of the operating system, such as ENOSPC; empty for other errors. */
export function systemCode(error: unknown): string {
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
