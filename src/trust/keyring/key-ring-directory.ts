import { type FSWatcher, watch } from "node:fs";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { KeyObject } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type Random, jittered } from "../../base/random.ts";
import { parseVerificationKey } from "./ed25519-keys.ts";
import { KeyRing, MAX_RING_KEYS } from "./key-ring.ts";

/** Largest key file, bytes. */
const MAX_KEY_FILE_BYTES = 8 * 1024;
/** Files are read again this often even without a file event: projected volumes change by symbolic links that not every file system reports. */
const POLL_MS = 10_000;
/** Quiet time after a file event before reading, milliseconds: a rename is several events. */
const SETTLE_MS = 50;

/** Where the public keys of a ring lie, and how its reload is driven. */
export interface KeyRingDirectoryOptions {
  /** Files or folders; of a folder every regular file that does not begin with a dot. A path that does not exist holds no keys. */
  readonly paths: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called after the set of keys changed. */
  readonly onChange?: (keyIds: readonly string[]) => void;
}

/** A ring that follows its files. */
export interface KeyRingDirectory {
  readonly ring: KeyRing;
  /** Reads the files now. @throws SeamError when a file is not an Ed25519 public key; the ring then stays as it was */
  reload(): Promise<void>;
  /** Resolves when the signal has aborted and nothing runs any more. */
  readonly closed: Promise<void>;
}

/**
 * Loads public keys and keeps following their files. The first load must succeed; later, a bad file leaves the last good
 * ring in force and is logged, because a half-written mount must not take trust away. An empty ring is allowed and accepts nothing
 * (R-5.9).
 *
 * @throws SeamError `SigningKeyInvalid` for a bad file at start, also for a private key
 */
export async function startKeyRingDirectory(options: KeyRingDirectoryOptions): Promise<KeyRingDirectory> {
  const ring = new KeyRing();
  const reload = async (): Promise<void> => {
    const before = ring.keyIds.join();
    ring.replace(await readKeys(options.paths));
    if (ring.keyIds.join() !== before) options.onChange?.(ring.keyIds);
  };
  await reload();
  return { ring, reload, closed: follow(options, reload) };
}

async function follow(options: KeyRingDirectoryOptions, reload: () => Promise<void>): Promise<void> {
  const { clock, random, log, signal } = options;
  let wake = new AbortController();
  const watchers = options.paths.flatMap((path) => watchPath(path, () => wake.abort(), log));
  let lastError = "";
  try {
    while (!signal.aborted) {
      await pause(clock, jittered(random, POLL_MS), AbortSignal.any([signal, wake.signal]));
      if (signal.aborted) return;
      if (wake.signal.aborted) {
        wake = new AbortController();
        await pause(clock, SETTLE_MS, signal);
      }
      try {
        await reload();
        lastError = "";
      } catch (error) {
        const message = errorMessage(error);
        if (message !== lastError)
          log.error(
            { paths: options.paths, error: message },
            "key ring not reloaded; the last good one stays in force",
          );
        lastError = message;
      }
    }
  } finally {
    for (const watcher of watchers) watcher.close();
  }
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch {
    // woken early, which is what the signal is for
  }
}

function watchPath(path: string, onEvent: () => void, log: Log): FSWatcher[] {
  try {
    const watcher = watch(path, { persistent: false }, onEvent);
    watcher.on("error", (error) => log.debug({ path, error: error.message }, "file events lost; polling goes on"));
    return [watcher];
  } catch (error) {
    log.debug({ path, error: errorMessage(error) }, "no file events for this path; polling only");
    return [];
  }
}

async function readKeys(paths: readonly string[]): Promise<readonly KeyObject[]> {
  const files = (await Promise.all(paths.map(filesOf))).flat().sort();
  const keys = await Promise.all(files.slice(0, MAX_RING_KEYS + 1).map(readKey));
  return keys;
}

async function filesOf(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => !name.startsWith("."));
    return names.map((name) => join(path, name));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

async function readKey(path: string): Promise<KeyObject> {
  const bytes = await readFile(path);
  return parseVerificationKey(bytes.subarray(0, MAX_KEY_FILE_BYTES).toString("utf8"), `signing key file ${path}`);
}
