import { type KeyedItem, compareItems } from "./index-order.ts";

/**
 * Walks two lists in the order of items side by side and calls `visit` with what both say of one item; undefined where one says nothing.
 * No keys are made and nothing is remembered, and what is one object in both is found without a look at its name.
 *
 * @param left sorted by (kind, name), each item once
 * @param right the same
 */
export function forEachPair<L extends KeyedItem, R extends KeyedItem>(
  left: readonly L[],
  right: readonly R[],
  visit: (left: L | undefined, right: R | undefined) => void,
): void {
  let [l, r] = [0, 0];
  while (l < left.length || r < right.length) {
    const a = left[l];
    const b = right[r];
    const order = a === undefined ? 1 : b === undefined ? -1 : Object.is(a, b) ? 0 : compareItems(a, b);
    if (order <= 0) l++;
    if (order >= 0) r++;
    visit(order <= 0 ? a : undefined, order >= 0 ? b : undefined);
  }
}

/** The same list in the order of items, itself when it is. */
export function inItemOrder<T extends KeyedItem>(items: readonly T[]): readonly T[] {
  for (let at = 1; at < items.length; at++) {
    const [before, item] = [items[at - 1], items[at]];
    if (before !== undefined && item !== undefined && compareItems(before, item) > 0)
      return [...items].sort(compareItems);
  }
  return items;
}

/** The position of the item `kind/name` in a sorted list; where it would stand, as a negative number minus one, when it is not there. */
export function positionOf(items: readonly KeyedItem[], item: KeyedItem): number {
  let [low, high] = [0, items.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = items[middle];
    const order = found === undefined ? 1 : compareItems(found, item);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return -low - 1;
}
