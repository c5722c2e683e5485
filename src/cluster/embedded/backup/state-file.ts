import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SeamError } from "../../../base/errors.ts";
import {
  integrityOf,
  LAYOUT_VERSION,
  readPositions,
  readRevisions,
  RevisionDatabase,
  type StorePositions,
} from "../store/database.ts";
import { MAX_STATE_BYTES } from "../store/object-store.ts";
import type { Revision } from "../store/revision.ts";
import { DATABASE_FILE, explainFailure } from "../store/store-failure.ts";

/** The stored state of a cluster that does not run, open for reading. */
export interface StateFile {
  /** The database file. */
  readonly file: string;
  readonly bytes: number;
  /** Lines of SQLite's own check; empty when it finds nothing. */
  integrity(): readonly string[];
  /** Highest version ever given out and the compacted one. */
  positions(): StorePositions;
  /** All rows in order of version, in chunks. */
  revisions(): Generator<readonly Revision[]>;
  close(): void;
}

const MAX_INTEGRITY_LINES = 20;

/**
 * Opens a backup, or the directory of an embedded cluster, which stays locked until it is closed again.
 *
 * @throws SeamError `NotFound`, `NotAState`, `NewerVersion`, and for a directory `AlreadyOpen`, `NotWritable`, `Corrupt`
 */
export function openState(path: string): StateFile {
  if (!existsSync(path)) {
    throw new SeamError({
      reason: "NotFound",
      object: path,
      expected: "must be a backup, or the directory of an embedded cluster, but there is nothing",
    });
  }
  return statSync(path).isDirectory() ? openDirectory(path) : openFile(path);
}

function openDirectory(directory: string): StateFile {
  const file = join(directory, DATABASE_FILE);
  if (!existsSync(file)) throw notAState(directory, `there is no ${DATABASE_FILE} in it`);
  try {
    const database = new RevisionDatabase(directory, MAX_STATE_BYTES);
    return {
      file,
      bytes: statSync(file).size,
      integrity: () => database.integrity(MAX_INTEGRITY_LINES),
      positions: () => database.positions(),
      revisions: () => database.load(),
      close: () => database.close(),
    };
  } catch (error) {
    const { reason, expected, remedy } = explainFailure(error, directory);
    throw new SeamError({ reason, object: `cluster directory ${directory}`, expected, remedy }, { cause: error });
  }
}

function openFile(file: string): StateFile {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    const tables = database
      .prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('meta', 'revisions')")
      .get();
    if (tables?.["n"] !== 2) throw notAState(file, "it is a database of something else");
    const layout = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (layout !== LAYOUT_VERSION) {
      throw new SeamError({
        reason: "NewerVersion",
        object: file,
        expected: `must have layout version ${LAYOUT_VERSION}, but it has ${layout}`,
        remedy: "use the Seam that wrote it",
      });
    }
  } catch (error) {
    database?.close();
    if (error instanceof SeamError) throw error;
    throw notAState(file, error instanceof Error ? error.message : String(error), error);
  }
  const open = database;
  return {
    file,
    bytes: statSync(file).size,
    integrity: () => integrityOf(open, MAX_INTEGRITY_LINES),
    positions: () => readPositions(open),
    revisions: () => readRevisions(open),
    close: () => open.close(),
  };
}

function notAState(object: string, why: string, cause?: unknown): SeamError {
  return new SeamError(
    {
      reason: "NotAState",
      object,
      expected: `must be a backup, or the directory of an embedded cluster, but ${why}`,
      remedy: "name a file that `seamctl cluster backup` wrote",
    },
    { cause },
  );
}
