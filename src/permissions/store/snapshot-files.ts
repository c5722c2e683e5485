import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../../base/digest.ts";
import { PRIVATE_FILE_MODE, readFileIfPresent, syncDirectory, writeFileDurably } from "../../trust/durable-file.ts";

const STATEMENT_FILE = "statement.json";
const CONTENT_PREFIX = "content-";

function contentFile(contentHash: Digest): string {
  return `${CONTENT_PREFIX}${contentHash.slice("sha256:".length)}.json`;
}

/**
 * The held snapshot on disk (permissions §10.3). Content lies under its hash; the rename of the statement is the moment of change,
 * so a crash leaves the old snapshot or the new one whole. A renewal writes only the small statement.
 */
export class SnapshotFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Envelope (JSON form) last saved; undefined when there is none. */
  async statement(): Promise<Uint8Array | undefined> {
    return readFileIfPresent(join(this.#directory, STATEMENT_FILE));
  }

  /** Content saved under a hash; undefined when there is none. Says nothing about its hash. */
  async content(contentHash: Digest): Promise<Uint8Array | undefined> {
    return readFileIfPresent(join(this.#directory, contentFile(contentHash)));
  }

  /** Saves a snapshot, then drops content that no longer counts. `content` may be absent when it is saved already. */
  async save(envelope: Uint8Array, contentHash: Digest, content?: Uint8Array): Promise<void> {
    if (content !== undefined)
      await writeFileDurably(join(this.#directory, contentFile(contentHash)), content, PRIVATE_FILE_MODE);
    await writeFileDurably(join(this.#directory, STATEMENT_FILE), envelope, PRIVATE_FILE_MODE);
    await this.#dropContentBut(contentFile(contentHash));
  }

  /** Removes everything held. */
  async clear(): Promise<void> {
    await rm(join(this.#directory, STATEMENT_FILE), { force: true });
    await this.#dropContentBut("");
    await syncDirectory(this.#directory);
  }

  async #dropContentBut(kept: string): Promise<void> {
    for (const name of await readdir(this.#directory))
      if (name.startsWith(CONTENT_PREFIX) && name !== kept) await rm(join(this.#directory, name), { force: true });
  }
}
