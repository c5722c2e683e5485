import type { Connection, Submittable } from "pg";
import type { AuditColumns } from "../judge-event.ts";
import type { SinkEvent } from "../sink-batch.ts";

/** One row of `events`, without its arrival, which the server gives. */
export interface EventRow {
  readonly cluster: string;
  readonly epoch: bigint;
  readonly event: SinkEvent;
  readonly columns: AuditColumns;
  readonly receivedMs: number;
}

const COLUMN_COUNT = 13;
/** Most bytes of a row beside its event and hashes: seven texts of at most 512 UTF-16 units, numbers and lengths. */
const TEXTS_BYTES = 7 * 3 * 512 + 128;
/** Bytes of one chunk of the copy; a row may make it larger. */
const CHUNK_BYTES = 256 * 1024;
/** PostgreSQL counts microseconds from 2000-01-01. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const SIGNATURE = Buffer.from("PGCOPY\n\u{ff}\r\n\0", "latin1");
const HEADER = Buffer.concat([SIGNATURE, Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);

const STATEMENT = `COPY seam_audit.events (cluster, epoch, sequence, event_id, event_time, received_at, subject, action, resource, decision,
  event, prev_hash, hash) FROM STDIN (FORMAT binary)`;

/** Rows in the binary form of COPY (PostgreSQL, "COPY", file formats). */
export function encodeRows(rows: readonly EventRow[]): readonly Buffer[] {
  const out = new RowBuffer();
  for (const { cluster, epoch, event, columns, receivedMs } of rows) {
    out.begin(event.event.length + event.hash.length + event.prevHash.length + TEXTS_BYTES);
    out.text(cluster);
    out.bigint(epoch);
    out.bigint(event.sequence);
    out.text(columns.eventId);
    out.text(columns.time);
    out.bigint(BigInt(receivedMs - EPOCH_MS) * 1_000n);
    out.text(columns.subject);
    out.text(columns.action);
    out.text(columns.resource);
    out.text(columns.decision);
    out.bytes(event.event);
    out.bytes(event.prevHash);
    out.bytes(event.hash);
  }
  return out.chunks();
}

/** Grows by chunks; a row never spans two. */
class RowBuffer {
  readonly #done: Buffer[] = [HEADER];
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #at = 0;

  /** Starts a row of at most so many bytes. */
  begin(wanted: number): void {
    if (this.#at + wanted > this.#chunk.length) {
      if (this.#at > 0) this.#done.push(this.#chunk.subarray(0, this.#at));
      this.#chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, wanted));
      this.#at = 0;
    }
    this.#at = this.#chunk.writeInt16BE(COLUMN_COUNT, this.#at);
  }

  text(value: string): void {
    const length = this.#chunk.write(value, this.#at + 4, "utf8");
    this.#chunk.writeInt32BE(length, this.#at);
    this.#at += 4 + length;
  }

  bigint(value: bigint): void {
    this.#chunk.writeInt32BE(8, this.#at);
    this.#at = this.#chunk.writeBigInt64BE(value, this.#at + 4);
  }

  bytes(value: Uint8Array): void {
    this.#at = this.#chunk.writeInt32BE(value.length, this.#at);
    this.#chunk.set(value, this.#at);
    this.#at += value.length;
  }

  chunks(): readonly Buffer[] {
    return [...this.#done, this.#chunk.subarray(0, this.#at), TRAILER];
  }
}

/** What the driver's connection offers for COPY beside its types. */
interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Sends rows by COPY. The driver calls its methods as answers of the server come in (pg, `Client`). */
export class CopyEvents implements Submittable {
  readonly #chunks: readonly Buffer[];
  readonly #finished = Promise.withResolvers<void>();
  #failed = false;

  constructor(rows: readonly EventRow[]) {
    this.#chunks = encodeRows(rows);
  }

  /** Settles when the server has taken or refused the rows. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  submit(connection: Connection): void {
    connection.query(STATEMENT);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    for (const chunk of this.#chunks) connection.sendCopyFromChunk(chunk);
    connection.endCopyFrom();
  }

  handleError(error: unknown): void {
    this.#failed = true;
    this.#finished.reject(error);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    if (!this.#failed) this.#finished.resolve();
  }
}
