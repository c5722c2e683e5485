import type { DatabaseSync } from "node:sqlite";
import { invariant } from "../../base/assert.ts";
import type { Digest } from "../../base/digest.ts";
import { SeamError } from "../../base/errors.ts";
import type { SpokeRecord, SpokeWrite } from "../session/spoke/record.ts";
import { type Row, bigintOf, bytesOf, prepareBigint, textOf } from "./row.ts";

/** Bodies one agent may hold, bytes. */
export const DEFAULT_BLOB_CAP_BYTES = 4 * 1024 * 1024 * 1024;

/** The bodies inside the agent's store, in the chunks in which they came, under one byte cap. */
export class HeldBlobs {
  readonly #statements;
  readonly #capBytes: number;
  readonly #object: string;
  /** Bytes held of each body: most bodies that come are not held yet, and nobody has to ask the database. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  /** @param object what errors call the store */
  constructor(db: DatabaseSync, capBytes: number, object: string) {
    this.#capBytes = capBytes;
    this.#object = object;
    this.#statements = {
      all: prepareBigint(db, "SELECT digest, held, total, checked FROM blobs ORDER BY digest"),
      blob: prepareBigint(db, "SELECT held, total, checked FROM blobs WHERE digest = ?"),
      put: db.prepare(
        "INSERT INTO blobs (digest, held, total, checked) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET held = excluded.held, total = excluded.total, checked = excluded.checked",
      ),
      putChunk: db.prepare("INSERT INTO blob_chunks (digest, start, data) VALUES (?, ?, ?)"),
      chunks: db.prepare("SELECT data FROM blob_chunks WHERE digest = ? ORDER BY start"),
      chunksFrom: db.prepare("SELECT data FROM blob_chunks WHERE digest = ? AND start >= ? ORDER BY start LIMIT ?"),
      markChecked: db.prepare("UPDATE blobs SET checked = 1 WHERE digest = ?"),
      remove: db.prepare("DELETE FROM blobs WHERE digest = ?"),
      removeChunks: db.prepare("DELETE FROM blob_chunks WHERE digest = ?"),
    };
    this.reload();
  }

  /** Of all bodies, whole or not. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Measures again after a rollback. */
  reload(): void {
    this.#sizes.clear();
    this.#bytes = 0;
    for (const { digest, held } of this.list()) {
      this.#sizes.set(digest, held);
      this.#bytes += held;
    }
  }

  list(): SpokeRecord["blobs"] {
    return (this.#statements.all.all() as Row[]).map((row) => ({
      digest: textOf(row, "digest") as Digest,
      held: Number(bigintOf(row, "held")),
      total: Number(bigintOf(row, "total")),
      checked: bigintOf(row, "checked") === 1n,
    }));
  }

  /** Adds what follows the bytes that are held; at offset 0 the body begins anew. @throws SeamError `StoreFull` above the cap */
  append({ digest, offset, total, data, checked }: SpokeWrite & { readonly type: "AppendBlob" }): void {
    if (offset === 0) this.remove(digest);
    const held = this.#sizes.get(digest) ?? 0;
    invariant(offset === held, `blob ${digest}: append at ${offset}, held ${held}`);
    invariant(held + data.length <= total, `blob ${digest}: ${held + data.length} bytes of ${total}`);
    if (this.#bytes + data.length > this.#capBytes)
      throw new SeamError({
        reason: "StoreFull",
        object: this.#object,
        expected: `bodies of at most ${this.#capBytes} bytes in all`,
        remedy: "raise the cap of the agent's store, or deliver less to this cluster",
      });
    if (data.length > 0) this.#statements.putChunk.run(digest, offset, data);
    this.#statements.put.run(digest, held + data.length, total, checked ? 1 : 0);
    this.#sizes.set(digest, held + data.length);
    this.#bytes += data.length;
  }

  /** The digest over the whole body was compared. */
  markChecked(digest: string): void {
    this.#statements.markChecked.run(digest);
  }

  remove(digest: string): void {
    const held = this.#sizes.get(digest);
    if (held === undefined) return;
    this.#statements.remove.run(digest);
    this.#statements.removeChunks.run(digest);
    this.#sizes.delete(digest);
    this.#bytes -= held;
  }

  /** At most so many of a body's chunks, the first that begins at `from`; none when nothing is held from there on. */
  chunks(digest: Digest, from: number, most: number): readonly Uint8Array[] {
    return (this.#statements.chunksFrom.all(digest, from, most) as Row[]).map((row) => bytesOf(row, "data"));
  }

  /** A checked body; undefined when it is not held. */
  read(digest: string): Uint8Array | undefined {
    const row = this.#statements.blob.get(digest) as Row | undefined;
    if (row === undefined || bigintOf(row, "checked") !== 1n) return undefined;
    const chunks = (this.#statements.chunks.all(digest) as Row[]).map((chunk) => bytesOf(chunk, "data"));
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
  }
}
