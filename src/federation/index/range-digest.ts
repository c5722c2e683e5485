import { sha256Bytes } from "../../base/digest.ts";
import { type IndexDocument, type IndexItem, itemKey } from "./index-document.ts";
import { compareText } from "./index-order.ts";

/** Ranges that one range is divided into (lessons §5.3). */
export const RANGES = 256;
/** Bytes of the digest of one range. A collision costs one full offer: what is rebuilt is verified by its signature. */
export const RANGE_DIGEST_BYTES = 8;
/** Longest path of a range, bytes: 65,536 ranges are more than three for every item an index may have. */
export const MAX_PATH_BYTES = 2;

interface Placed {
  /** SHA-256 of `kind/name`, a character for each byte: its order is that of the bytes. */
  readonly hash: string;
  readonly item: IndexItem;
}

/**
 * The items of an index in the order of SHA-256(`kind/name`), so that an added item changes one range and moves no other. A range is
 * the items whose hashes begin with its path.
 */
export class RangeDigests {
  readonly #placed: readonly Placed[];

  constructor(document: IndexDocument) {
    // Hashes spread evenly: sorting the few of each first byte is half the work of sorting all.
    const ranges: Placed[][] = [];
    for (const item of document.items) {
      const hash = sha256Bytes(itemKey(item));
      const first = hash.charCodeAt(0);
      const range = ranges[first];
      if (range === undefined) ranges[first] = [{ hash, item }];
      else range.push({ hash, item });
    }
    const placed: Placed[] = [];
    for (const range of ranges) {
      if (range === undefined) continue; // a hole
      range.sort((a, b) => compareText(a.hash, b.hash));
      placed.push(...range);
    }
    this.#placed = placed;
  }

  /** Digests of the 256 ranges within the range at `path`, one after the other: RangeDigestReply.digests. */
  digests(path: Uint8Array): Uint8Array {
    const digests = Buffer.alloc(RANGES * RANGE_DIGEST_BYTES);
    const depth = path.length;
    const placed = this.#slice(path);
    for (let first = 0; first < placed.length;) {
      const range = byteAt(placed[first], depth);
      let lines = "";
      let next = first;
      for (; next < placed.length && byteAt(placed[next], depth) === range; next++) lines += lineOf(placed[next]);
      digests.write(sha256Bytes(lines).slice(0, RANGE_DIGEST_BYTES), range * RANGE_DIGEST_BYTES, "binary");
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
    const head = Buffer.from(path).toString("binary");
    return this.#placed.slice(this.#lowest(head, 0), this.#lowest(head, 1));
  }

  /** Position of the first item whose hash begins with `head` (`after` 0), or with something greater (1). */
  #lowest(head: string, after: 0 | 1): number {
    let low = 0;
    let high = this.#placed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const found = this.#placed[middle]?.hash.slice(0, head.length) ?? head;
      if (compareText(found, head) < after) low = middle + 1;
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

function byteAt(placed: Placed | undefined, at: number): number {
  return placed === undefined ? 0 : placed.hash.charCodeAt(at);
}

function lineOf(placed: Placed | undefined): string {
  if (placed === undefined) return "";
  const { item } = placed;
  return `${itemKey(item)}\0${item.version}\0${item.digest}\n`;
}
