import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { rfc3339Seconds, type Clock } from "../../../base/clock.ts";
import { SeamError } from "../../../base/errors.ts";
import { RevisionDatabase } from "../store/database.ts";
import { MAX_STATE_BYTES } from "../store/object-store.ts";
import { DATABASE_FILE, explainFailure } from "../store/store-failure.ts";
import { type StateReport, verifyState } from "./verify-state.ts";

/**
 * How far the version counter jumps over what the lost state may have given out (`etcdutl snapshot restore --bump-revision`): a watch that
 * resumes from a version of the lost state is told to list again instead of being shown another history.
 */
export const VERSION_BUMP = 1_000_000_000;

const RESTORING_FILE = `${DATABASE_FILE}.restoring`;

/** What a restore did. */
export interface RestoreReport {
  /** Of the backup. */
  readonly state: StateReport;
  /** Version the cluster goes on from. */
  readonly version: number;
  /** Where the former state was put; undefined when there was none. */
  readonly previous: string | undefined;
}

/**
 * Puts a backup in the place of a cluster's state. The cluster must not run; its former state stays beside it. All or nothing: until the last
 * step, a rename, the former state is in force.
 *
 * @throws SeamError `NotAState`, `NewerVersion`, `BackupDamaged` for the file; `AlreadyOpen`, `NotWritable`, `DiskFull` for the directory
 */
export function restoreState(backup: string, directory: string, clock: Clock): RestoreReport {
  const state = verifyState(backup);
  if (state.problems.length > 0) {
    throw new SeamError({
      reason: "BackupDamaged",
      object: backup,
      expected: `must be sound, but ${state.problems.length === 1 ? "has a problem" : `has ${state.problems.length} problems`}: ${state.problems[0] ?? ""}`,
      remedy: "see all of them with `seamctl cluster verify`, and restore another backup",
    });
  }
  try {
    return replaceState(state, directory, clock);
  } catch (error) {
    const { reason, expected, remedy } = explainFailure(error, directory);
    throw new SeamError({ reason, object: `cluster directory ${directory}`, expected, remedy }, { cause: error });
  }
}

function replaceState(state: StateReport, directory: string, clock: Clock): RestoreReport {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, DATABASE_FILE);
  const restoring = join(directory, RESTORING_FILE);
  // Holding the former state's lock keeps the cluster from starting meanwhile.
  const former = existsSync(file) ? lockFormer(directory) : undefined;
  try {
    rmSync(restoring, { force: true });
    copyFileSync(state.file, restoring);
    chmodSync(restoring, 0o600);
    const version = state.version + VERSION_BUMP;
    startAt(restoring, version);
    let previous: string | undefined;
    if (existsSync(file)) {
      former?.intoOneFile();
      previous = `${file}.before-restore-${rfc3339Seconds(clock.now()).replaceAll(":", "")}`;
      linkSync(file, previous);
      // Of a damaged state a write-ahead log may be left: it must not be taken for the new one's.
      if (existsSync(`${file}-wal`)) renameSync(`${file}-wal`, `${previous}-wal`);
    }
    renameSync(restoring, file);
    syncDirectory(directory);
    return { state, version, previous };
  } finally {
    rmSync(restoring, { force: true });
    former?.close();
  }
}

/** The lock of the former state; a damaged one has none to hold, and is what restoring is for. */
function lockFormer(directory: string): RevisionDatabase | undefined {
  try {
    return new RevisionDatabase(directory, MAX_STATE_BYTES);
  } catch (error) {
    if (explainFailure(error, directory).reason === "Corrupt") return undefined;
    throw error;
  }
}

/** Drops history: its versions were another cluster's. What is left begins at `version`. */
function startAt(file: string, version: number): void {
  const database = new DatabaseSync(file);
  try {
    database.exec(`
      PRAGMA synchronous=FULL;
      BEGIN;
      CREATE TEMP TABLE newest AS SELECT max(version) AS version FROM revisions GROUP BY collection, namespace, name;
      DELETE FROM revisions WHERE deleted = 1 OR version NOT IN (SELECT version FROM newest);
      INSERT OR REPLACE INTO meta (key, value) VALUES ('version', ${version}), ('compacted', ${version});
      COMMIT;
    `);
  } finally {
    database.close();
  }
  const descriptor = openSync(file, "r+");
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}
