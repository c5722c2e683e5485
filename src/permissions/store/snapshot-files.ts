import type { Digest } from "../../base/digest.ts";
import type { DurableDirectory } from "../../trust/durable-directory.ts";

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
  readonly #files: DurableDirectory;

  constructor(files: DurableDirectory) {
    this.#files = files;
  }

  /** Envelope (JSON form) last saved; undefined when there is none. */
  async statement(): Promise<Uint8Array | undefined> {
    return this.#files.read(STATEMENT_FILE);
  }

  /** Content saved under a hash; undefined when there is none. Says nothing about its hash. */
  async content(contentHash: Digest): Promise<Uint8Array | undefined> {
    return this.#files.read(contentFile(contentHash));
  }

  /** Saves a snapshot, then drops content that no longer counts. `content` may be absent when it is saved already. */
  async save(envelope: Uint8Array, contentHash: Digest, content?: Uint8Array): Promise<void> {
    if (content !== undefined) await this.#files.write(contentFile(contentHash), content);
    await this.#files.write(STATEMENT_FILE, envelope);
    await this.#dropContentBut(contentFile(contentHash));
  }

  /** Removes everything held. */
  async clear(): Promise<void> {
    await this.#files.remove(STATEMENT_FILE);
    await this.#dropContentBut("");
    await this.#files.sync();
  }

  async #dropContentBut(kept: string): Promise<void> {
    for (const name of await this.#files.names())
      if (name.startsWith(CONTENT_PREFIX) && name !== kept) await this.#files.remove(name);
  }
}
