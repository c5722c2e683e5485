import { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";

/** How long a writer waits for another one. */
const WAIT_MS = 10_000;
/** Pause between tries. */
const PAUSE_MS = 10;

/**
 * Runs `body` while no other process (nor another call in this one) holds the same lock. The lock is a transaction on a small SQLite
 * file: the kernel drops it with the process that held it, so a kill -9 leaves nothing stale behind.
 *
 * @throws SeamError `StoreBusy`
 */
export async function withIndexLock<T>(path: string, clock: Clock, body: () => Promise<T>): Promise<T> {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    await acquire(database, path, clock);
    try {
      return await body();
    } finally {
      database.exec("ROLLBACK");
    }
  } finally {
    database.close();
  }
}

async function acquire(database: DatabaseSync, path: string, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + WAIT_MS;
  for (;;) {
    try {
      database.exec("BEGIN EXCLUSIVE");
      return;
    } catch (cause) {
      if (!(cause instanceof Error) || !/locked|busy/i.test(cause.message)) throw cause;
      if (clock.monotonic() >= deadline)
        throw new SeamError(
          {
            reason: "StoreBusy",
            object: path,
            expected: `becomes free within ${WAIT_MS} ms`,
            remedy: "another process is writing to this pack store; try again when it has finished",
          },
          { cause },
        );
    }
    await clock.sleep(PAUSE_MS);
  }
}
