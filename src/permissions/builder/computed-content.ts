import type { Digest } from "../../base/digest.ts";
import { atOnce, inTurns } from "../../base/next-turn.ts";
import { type EncodedContent, type SnapshotContent } from "../snapshot/content.ts";
import { parseContent } from "../snapshot/parse-content.ts";

/** How long statements about content hold, seconds. */
export interface SnapshotLifetimes {
  readonly freshnessWindowSeconds: number;
  readonly maxOfflineSeconds: number;
}

/** Bytes that are written out in one turn. */
const TURN_BYTES = 1024 * 1024;

/** Canonical JSON in pieces. */
export interface ContentTexts {
  readonly texts: readonly string[];
  /** Of all of them in UTF-8. */
  readonly byteLength: number;
}

/**
 * Content of one cluster's snapshot as it was computed. It holds the texts that it shares with the profiles it comes from, and is written
 * out when somebody asks: a fleet's contents are asked for one by one.
 */
export class ComputedContent implements EncodedContent, SnapshotLifetimes {
  readonly cluster: string;
  readonly contentHash: Digest;
  readonly freshnessWindowSeconds: number;
  readonly maxOfflineSeconds: number;
  readonly #content: ContentTexts;

  /** @param content of which `contentHash` is the digest */
  constructor(cluster: string, contentHash: Digest, content: ContentTexts, lifetimes: SnapshotLifetimes) {
    this.cluster = cluster;
    this.contentHash = contentHash;
    this.#content = content;
    this.freshnessWindowSeconds = lifetimes.freshnessWindowSeconds;
    this.maxOfflineSeconds = lifetimes.maxOfflineSeconds;
  }

  /** Canonical JSON, written out anew. */
  get text(): string {
    return this.#content.texts.join("");
  }

  /** What is hashed and travels, written out anew. */
  get bytes(): Uint8Array {
    return atOnce(this.#written());
  }

  /** {@link bytes}, written out in turns of some megabyte at most: for whoever must not hold up others. */
  bytesInTurns(): Promise<Uint8Array> {
    return inTurns(this.#written());
  }

  /** Into one buffer, text by text: joined first, all of it would be copied twice. */
  *#written(): Generator<void, Uint8Array> {
    const { texts, byteLength } = this.#content;
    const bytes = Buffer.allocUnsafeSlow(byteLength);
    let at = 0;
    let turn = 0;
    for (const text of texts) {
      at += bytes.write(text, at, "utf8");
      if (at - turn < TURN_BYTES) continue;
      turn = at;
      yield;
    }
    return bytes;
  }

  /** What a tenant reads out of it, read anew. @throws SnapshotRefused when a tenant would refuse it */
  get content(): SnapshotContent {
    return parseContent(this.bytes);
  }
}
