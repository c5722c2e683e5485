import type { Digest } from "../../base/digest.ts";
import { nextTurn } from "../../base/next-turn.ts";
import { type EncodedContent, type SnapshotContent } from "../snapshot/content.ts";
import { parseContent } from "../snapshot/parse-content.ts";

/** How long statements about content hold, seconds. */
export interface SnapshotLifetimes {
  readonly freshnessWindowSeconds: number;
  readonly maxOfflineSeconds: number;
}

/** Characters that are written out in one turn. */
const TURN_CHARACTERS = 256 * 1024;

/**
 * Content of one cluster's snapshot as it was computed. It holds the texts that it shares with the profiles it comes from, and is written
 * out when somebody asks: a fleet's contents are asked for one by one.
 */
export class ComputedContent implements EncodedContent, SnapshotLifetimes {
  readonly cluster: string;
  readonly contentHash: Digest;
  readonly freshnessWindowSeconds: number;
  readonly maxOfflineSeconds: number;
  readonly #parts: readonly string[];

  /** @param parts canonical JSON in pieces, of which `contentHash` is the digest */
  constructor(cluster: string, contentHash: Digest, parts: readonly string[], lifetimes: SnapshotLifetimes) {
    this.cluster = cluster;
    this.contentHash = contentHash;
    this.#parts = parts;
    this.freshnessWindowSeconds = lifetimes.freshnessWindowSeconds;
    this.maxOfflineSeconds = lifetimes.maxOfflineSeconds;
  }

  /** Canonical JSON, written out anew. */
  get text(): string {
    return this.#parts.join("");
  }

  /** What is hashed and travels, written out anew. */
  get bytes(): Uint8Array {
    return Buffer.from(this.text);
  }

  /** {@link bytes}, written out in turns of some hundred kilobytes: for whoever must not hold up others. */
  async bytesInTurns(): Promise<Uint8Array> {
    const written: Buffer[] = [];
    let pending: string[] = [];
    let length = 0;
    for (const part of this.#parts) {
      pending.push(part);
      length += part.length;
      if (length < TURN_CHARACTERS) continue;
      written.push(Buffer.from(pending.join("")));
      pending = [];
      length = 0;
      await nextTurn();
    }
    written.push(Buffer.from(pending.join("")));
    return Buffer.concat(written);
  }

  /** What a tenant reads out of it, read anew. @throws SnapshotRefused when a tenant would refuse it */
  get content(): SnapshotContent {
    return parseContent(this.bytes);
  }
}
