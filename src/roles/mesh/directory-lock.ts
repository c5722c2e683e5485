import { readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SeamError } from "../../base/errors.ts";

/** A lock on a state directory that the kernel releases with the process, however it dies. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Takes the lock of a state directory. SQLite's exclusive lock is an advisory file lock, so a killed holder leaves nothing to clean
 * up and a recycled pid fools nobody.
 *
 * @throws SeamError `StateDirectoryBusy` naming the holder's pid
 */
export function lockDirectory(lockFile: string, pid: number): DirectoryLock {
  const pidFile = `${lockFile}.pid`;
  const database = new DatabaseSync(lockFile);
  try {
    database.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
  } catch (cause) {
    database.close();
    throw new SeamError(
      {
        reason: "StateDirectoryBusy",
        object: `state directory ${dirname(lockFile)}`,
        expected: `is used by one "seamctl up" at a time, and pid ${readPid(pidFile)} uses it now`,
        remedy: "stop that one (Ctrl-C in its terminal), or start a second mesh with --dir and --port-offset",
      },
      { cause },
    );
  }
  writeFileSync(pidFile, `${pid}\n`);
  return { release: () => database.close() };
}

function readPid(pidFile: string): string {
  try {
    return readFileSync(pidFile, "utf8").trim();
  } catch {
    return "(unknown)"; // the holder has locked but not yet written its pid
  }
}
