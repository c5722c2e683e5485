import { SeamError, errorMessage } from "../../base/errors.ts";

/** SQLite primary result codes (https://www.sqlite.org/rescode.html). */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

/** What a system call says of a disk without room. */
const NO_ROOM: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT"]);

/** Turns a failure of a local SQLite store, or of syncing its files, into an error a person can act on; anything else passes through. */
export function storeError(error: unknown, path: string): Error {
  if (!(error instanceof Error)) return new Error(errorMessage(error));
  const code = resultCode(error);
  if (code === undefined) return error;
  const parts = describe(code);
  return parts === undefined ? error : new SeamError({ object: path, ...parts }, { cause: error });
}

function resultCode(error: Error): number | undefined {
  if ("errcode" in error && typeof error.errcode === "number") return error.errcode & 0xff;
  if ("syscall" in error && "code" in error) return NO_ROOM.has(error.code) ? FULL : IOERR;
  return undefined;
}

function describe(code: number): { reason: string; expected: string; remedy: string } | undefined {
  switch (code) {
    case BUSY:
    case LOCKED:
      return {
        reason: "StoreLocked",
        expected: "a store that no other process uses",
        remedy: "stop the other process that uses this directory",
      };
    case READONLY:
    case CANTOPEN:
      return {
        reason: "StoreUnwritable",
        expected: "a directory and files this process may write",
        remedy: "check owner and mode of the directory",
      };
    case IOERR:
      return {
        reason: "StoreIoError",
        expected: "a disk that reads and writes",
        remedy: "check the disk; nothing half-written is kept",
      };
    case FULL:
      return {
        reason: "StoreFull",
        expected: "free space on the disk and below the configured cap",
        remedy: "free space; nothing half-written is kept",
      };
    case CORRUPT:
    case NOTADB:
      return {
        reason: "StoreCorrupt",
        expected: "an intact SQLite database",
        remedy: "none is needed: it is put aside, and what can be read of its audit log goes on in another",
      };
    default:
      return undefined;
  }
}

/** A schema written by a newer build (never opened, never changed). */
export function newerSchema(path: string, found: number, known: number): SeamError {
  return new SeamError({
    reason: "StoreNewer",
    object: path,
    field: "schema version",
    expected: `at most ${known}, found ${found}: a newer version of this program wrote it`,
    remedy: "run that version, or use another directory",
  });
}

/** True when something that was stored cannot be read any more. */
export function isCorrupt(error: unknown): boolean {
  return error instanceof SeamError && error.reason === "StoreCorrupt";
}
