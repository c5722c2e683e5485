import type { Digest } from "../../base/digest.ts";
import { type IndexDocument, type IndexItem, itemKey } from "./index-document.ts";
import { sameContent, sameItem } from "./diff-index.ts";
import { forEachPair } from "./item-pairs.ts";

/** What changes between the index in force and an accepted one. */
export interface IndexPlan {
  /** New or changed items that shall exist. */
  readonly changed: readonly IndexItem[];
  /** New or changed tombstones to act on. */
  readonly tombstones: readonly IndexItem[];
  /** Keys of tombstones that left. */
  readonly dropped: readonly string[];
  /** Items and tombstones that stay as they are under the numbers of a new epoch. */
  readonly renumbered: readonly IndexItem[];
}

/** Compares two indexes of one cluster. */
export function planIndex(held: IndexDocument | undefined, next: IndexDocument): IndexPlan {
  const changed: IndexItem[] = [];
  const tombstones: IndexItem[] = [];
  const renumbered: IndexItem[] = [];
  const dropped: string[] = [];
  const sameEpoch = held?.epoch === next.epoch;
  forEachPair(held?.items ?? [], next.items, (old, item) => {
    if (item === undefined) {
      if (old !== undefined) dropped.push(itemKey(old));
      return;
    }
    if (old !== undefined && sameEpoch && sameItem(old, item)) return;
    if (old !== undefined && !sameEpoch && sameContent(old, item)) renumbered.push(item);
    else (item.deleted === true ? tombstones : changed).push(item);
  });
  return { changed, tombstones, dropped, renumbered };
}

/** Calls `visit` for every body an item needs: its own and its refs. */
export function forEachBody(item: IndexItem, visit: (digest: Digest, size: number) => void): void {
  if (item.digest !== "") visit(item.digest, item.size);
  for (const ref of item.refs ?? []) visit(ref.digest, ref.size);
}

/** Every digest an index names, with its size: what may be fetched, and what a store must not forget. */
export function namedBodies(document: IndexDocument): Map<Digest, number> {
  const named = new Map<Digest, number>();
  for (const item of document.items) forEachBody(item, (digest, size) => named.set(digest, size));
  return named;
}
