import type { Digest } from "../../base/digest.ts";
import { invariant } from "../../base/assert.ts";
import type { IndexDocument } from "../index/index-document.ts";
import { forEachBody } from "../index/plan-index.ts";
import { INLINE_BLOB_BYTES, INLINE_TOTAL_BYTES } from "../session/limits.ts";
import { BoundedBlobs } from "./desired-states/bounded-blobs.ts";
import { BodyCorrupt, type DesiredStates } from "./ports.ts";

/** Bytes of bodies that may be pinned for chunks at once, over all sessions. */
export const MAX_PINNED_BYTES = 256 * 1024 * 1024;

/** Outcome of {@link BlobShelf.pin}. */
export interface Pinned {
  readonly size: number | undefined;
  readonly busy: boolean;
  /** The stored bytes were altered. */
  readonly corrupt?: true;
}

/** Bodies in memory, shared by all sessions: pinned ones while they are served in chunks, small ones to ride with offers. */
export class BlobShelf {
  readonly #desired: DesiredStates;
  readonly #small: BoundedBlobs;
  readonly #pinned = new Map<string, { readonly body: Uint8Array; pins: number }>();
  readonly #reading = new Map<string, Promise<void>>();
  #pinnedBytes = 0;

  constructor(desired: DesiredStates, inlineCacheBytes: number) {
    this.#desired = desired;
    this.#small = new BoundedBlobs(inlineCacheBytes);
  }

  /** A small body that is in memory at once. */
  inline(digest: Digest): Uint8Array | undefined {
    return this.#small.get(digest) ?? this.#pinned.get(digest)?.body;
  }

  /** A body that was pinned. */
  pinned(digest: Digest): Uint8Array {
    const entry = this.#pinned.get(digest);
    invariant(entry !== undefined, `blob ${digest} is pinned while it is served`);
    return entry.body;
  }

  /** Brings a body into memory until {@link unpin}, when the cluster's current index names it or it is that index. */
  async pin(cluster: string, digest: Digest): Promise<Pinned> {
    const current = this.#desired.current(cluster);
    let body: Uint8Array | undefined;
    try {
      body = current?.digest === digest ? current.envelope.body : await this.#desired.blob(cluster, digest);
    } catch (error) {
      if (error instanceof BodyCorrupt) return { size: undefined, busy: false, corrupt: true };
      throw error;
    }
    if (body === undefined) return { size: undefined, busy: false };
    const held = this.#pinned.get(digest);
    if (held !== undefined) {
      held.pins++;
      return { size: held.body.length, busy: false };
    }
    if (this.#pinnedBytes > 0 && this.#pinnedBytes + body.length > MAX_PINNED_BYTES)
      return { size: undefined, busy: true };
    this.#pinned.set(digest, { body, pins: 1 });
    this.#pinnedBytes += body.length;
    return { size: body.length, busy: false };
  }

  unpin(digest: string): void {
    const entry = this.#pinned.get(digest);
    if (entry === undefined || --entry.pins > 0) return;
    this.#pinned.delete(digest);
    this.#pinnedBytes -= entry.body.length;
  }

  /**
   * Brings those small bodies of an index into memory that another index did not name: what an offer may carry. Undefined when nothing
   * has to be read, which is so for all tenants but the first when they get the same content.
   */
  warm(cluster: string, document: IndexDocument, before: IndexDocument | undefined): Promise<void> | undefined {
    const known = new Set<string>();
    if (before !== undefined) for (const item of before.items) forEachBody(item, (digest) => known.add(digest));
    const wanted: Promise<void>[] = [];
    let bytes = 0;
    const look = (digest: Digest, size: number): void => {
      if (known.has(digest) || size > INLINE_BLOB_BYTES || bytes + size > 2 * INLINE_TOTAL_BYTES) return;
      if (this.#small.has(digest)) return;
      bytes += size;
      wanted.push(this.#read(cluster, digest));
    };
    for (const item of document.items) forEachBody(item, look);
    return wanted.length === 0 ? undefined : Promise.all(wanted).then(() => undefined);
  }

  /** Reads a small body once, however many tenants want it at the same time. */
  #read(cluster: string, digest: Digest): Promise<void> {
    let reading = this.#reading.get(digest);
    if (reading === undefined) {
      reading = this.#desired
        .blob(cluster, digest)
        .then((body) => {
          if (body !== undefined) this.#small.put(digest, body);
        })
        .catch((error: unknown) => {
          // It does not ride with the offer; the agent that fetches it is told why.
          if (!(error instanceof BodyCorrupt)) throw error;
        })
        .finally(() => this.#reading.delete(digest));
      this.#reading.set(digest, reading);
    }
    return reading;
  }
}
