import { createHash } from "node:crypto";
import { type IndexDocument, type IndexItem, itemKey } from "./index-document.ts";

/** Ranges that one range is divided into (lessons §5.3). */
export const RANGES = 256;
/** Bytes of the digest of one range. A collision costs one full offer: what is rebuilt is verified by its signature. */
export const RANGE_DIGEST_BYTES = 8;
/** Longest path of a range, bytes: 65,536 ranges are more than three for every item an index may have. */
export const MAX_PATH_BYTES = 2;

interface Placed {
  readonly hash: Buffer;
  readonly item: IndexItem;
}

/**
 * The items of an index in the order of SHA-256(`kind/name`), so that an added item changes one range and moves no other. A range is
 * the items whose hashes begin with its path.
 */
export class RangeDigests {
  readonly #placed: readonly Placed[];

  constructor(document: IndexDocument) {
    this.#placed = document.items
      .map((item) => ({ hash: createHash("sha256").update(itemKey(item)).digest(), item }))
      .sort((a, b) => Buffer.compare(a.hash, b.hash));
  }

  /** Digests of the 256 ranges within the range at `path`, one after the other: RangeDigestReply.digests. */
  digests(path: Uint8Array): Uint8Array {
    const digests = new Uint8Array(RANGES * RANGE_DIGEST_BYTES);
    const depth = path.length;
    const placed = this.#slice(path);
    for (let first = 0; first < placed.length;) {
      const range = placed[first]?.hash[depth] ?? 0;
      const hash = createHash("sha256");
      let next = first;
      for (; placed[next]?.hash[depth] === range; next++) hash.update(lineOf(placed[next]));
      digests.set(hash.digest().subarray(0, RANGE_DIGEST_BYTES), range * RANGE_DIGEST_BYTES);
      first = next;
    }
    return digests;
  }

  /** The items in the range at `path`. */
  items(path: Uint8Array): IndexItem[] {
    return this.#slice(path).map(({ item }) => item);
  }

  #slice(path: Uint8Array): readonly Placed[] {
    if (path.length === 0) return this.#placed;
    return this.#placed.slice(this.#lowest(path, 0), this.#lowest(path, 1));
  }

  /** Position of the first item whose hash begins with `path` (`after` 0), or with something greater (1). */
  #lowest(path: Uint8Array, after: 0 | 1): number {
    let low = 0;
    let high = this.#placed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const head = this.#placed[middle]?.hash.subarray(0, path.length) ?? path;
      if (Buffer.compare(head, path) < after) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Ranges, 0 to 255, whose digests differ. */
export function differingRanges(left: Uint8Array, right: Uint8Array): number[] {
  const differing: number[] = [];
  for (let range = 0; range < RANGES; range++) {
    const [from, to] = [range * RANGE_DIGEST_BYTES, (range + 1) * RANGE_DIGEST_BYTES];
    if (Buffer.compare(left.subarray(from, to), right.subarray(from, to)) !== 0) differing.push(range);
  }
  return differing;
}

function lineOf(placed: Placed | undefined): string {
  if (placed === undefined) return "";
  const { item } = placed;
  return `${itemKey(item)}\0${item.version}\0${item.digest}\n`;
}
