import { encodeHeader, encodeItem } from "./encode-index.ts";
import { type IndexDocument, type IndexItem, MAX_INDEX_ITEMS, itemKey } from "./index-document.ts";
import { forEachPair, positionOf } from "./item-pairs.ts";
import { type WholeIndex, rebuildIndex } from "./rebuild-index.ts";

/** Parts of an IndexDiff message, without the signatures of the whole. */
export interface IndexDiffParts {
  /** Digest of the body that the diff applies to. */
  readonly baseDigest: string;
  /** Canonical JSON of the new index with an empty item list. */
  readonly header: Uint8Array;
  /** Canonical JSON of each added or changed item. */
  readonly changed: readonly Uint8Array[];
  /** `kind/name` of each item that left. */
  readonly dropped: readonly string[];
}

/** Expresses `to` against `from`; `applyDiff` on the other side rebuilds exactly the canonical body of `to`. */
export function diffIndexes(from: IndexDocument, fromDigest: string, to: IndexDocument): IndexDiffParts {
  const changed: Uint8Array[] = [];
  const dropped: string[] = [];
  forEachPair(from.items, to.items, (old, item) => {
    if (item === undefined) {
      if (old !== undefined) dropped.push(itemKey(old));
    } else if (old === undefined || !sameItem(old, item)) changed.push(encodeItem(item));
  });
  return { baseDigest: fromDigest, header: encodeHeader(to), changed, dropped };
}

/**
 * Rebuilds the index that a diff describes; undefined when the parts are malformed or larger than an index may be. The result is as
 * trustworthy as its signature: verify it like a full offer.
 */
export function applyDiff(base: WholeIndex, parts: Omit<IndexDiffParts, "baseDigest">): WholeIndex | undefined {
  if (parts.dropped.length > MAX_INDEX_ITEMS) return undefined;
  const leaves = new Set<IndexItem>();
  for (const key of parts.dropped) {
    const item = itemOf(base.document, key);
    if (item === undefined) return undefined;
    leaves.add(item);
  }
  return rebuildIndex(base, parts.header, leaves, parts.changed);
}

function itemOf({ items }: IndexDocument, key: string): IndexItem | undefined {
  const at = key.indexOf("/"); // no kind has one
  if (at < 0) return undefined;
  return items[positionOf(items, { kind: key.slice(0, at), name: key.slice(at + 1) })];
}

/** True when two items of one key say the same. */
export function sameItem(a: IndexItem, b: IndexItem): boolean {
  return a === b || (a.version === b.version && sameContent(a, b));
}

/** True when two items of one key name the same content, under whatever version: versions compare within one epoch only. */
export function sameContent(a: IndexItem, b: IndexItem): boolean {
  if (a.digest !== b.digest || a.size !== b.size || a.deleted !== b.deleted) return false;
  const [left, right] = [a.refs, b.refs];
  if (left === undefined || right === undefined) return left === right;
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) {
    if (left[i]?.digest !== right[i]?.digest || left[i]?.size !== right[i]?.size) return false;
  }
  return true;
}
