import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { PRIVATE_FILE_MODE, readFileIfPresent, syncDirectory, writeFileDurably } from "./durable-file.ts";

/** One folder whose files are replaced whole: what a small store asks of a disk. The simulator has one that loses power. */
export interface DurableDirectory {
  /** Content of a file; undefined when it does not exist. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Replaces a file: a crash leaves the old content or the new one whole. Durable when it resolves. */
  write(name: string, data: Uint8Array | string): Promise<void>;
  /** Removes a file if it exists; durable after {@link sync}. */
  remove(name: string): Promise<void>;
  /** Names of all files. */
  names(): Promise<readonly string[]>;
  /** Makes removals durable. */
  sync(): Promise<void>;
}

/** A folder of the machine's disk, whose files only their owner reads. The first write creates it. */
export function durableDirectory(path: string): DurableDirectory {
  return {
    read: (name) => readFileIfPresent(join(path, name)),
    write: (name, data) => writeFileDurably(join(path, name), data, PRIVATE_FILE_MODE),
    remove: (name) => rm(join(path, name), { force: true }),
    names: () => readdir(path),
    sync: () => syncDirectory(path),
  };
}
