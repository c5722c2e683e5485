import { encodeHeader, encodeItem } from "./encode-index.ts";
import type { IndexDocument, IndexItem } from "./index-document.ts";
import { MAX_PATH_BYTES, RANGES, type RangeDigests } from "./range-digest.ts";
import { type WholeIndex, rebuildIndex } from "./rebuild-index.ts";

/** Most ranges one offer replaces: beyond half of all of the first level, a full offer costs as much. */
export const MAX_REPLACED_RANGES = RANGES * 2;

/** Parts of an IndexRanges message, without the signatures of the whole. */
export interface IndexRangesParts {
  /** Canonical JSON of the new index with an empty item list. */
  readonly header: Uint8Array;
  /** Ranges that are replaced. */
  readonly paths: readonly Uint8Array[];
  /** Canonical JSON of every item in those ranges. */
  readonly items: readonly Uint8Array[];
}

/** Expresses an index by whole ranges; `ranges` are its own. {@link applyRanges} on the other side rebuilds its canonical body. */
export function rangesOf(
  document: IndexDocument,
  ranges: RangeDigests,
  paths: readonly Uint8Array[],
): IndexRangesParts {
  const items = paths.flatMap((path) => ranges.items(path).map(encodeItem));
  return { header: encodeHeader(document), paths, items };
}

/**
 * Rebuilds the index: what `base` has outside the replaced ranges, and what the parts say within. Undefined when they are
 * malformed. The result is as trustworthy as its signature: verify it like a full offer.
 *
 * @param ranges those of `base`
 */
export function applyRanges(base: WholeIndex, ranges: RangeDigests, parts: IndexRangesParts): WholeIndex | undefined {
  const { header, paths, items: said } = parts;
  if (paths.length > MAX_REPLACED_RANGES || paths.some((path) => path.length > MAX_PATH_BYTES)) return undefined;
  const leaves = new Set<IndexItem>();
  for (const path of paths) for (const item of ranges.items(path)) leaves.add(item);
  return rebuildIndex(base, header, leaves, said);
}
