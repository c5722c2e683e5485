import type { IndexRevocation } from "./index-document.ts";

/** UTF-16 code-unit order, as RFC 8785 sorts member names. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What items are told apart by: their kind, which may be one that this build does not know, and their name in it. */
export interface KeyedItem {
  readonly kind: string;
  readonly name: string;
}

/** Order of items in an index: (kind, name). */
export function compareItems(a: KeyedItem, b: KeyedItem): number {
  return compareText(a.kind, b.kind) || compareText(a.name, b.name);
}

/** Order of revocations in an index: (target, name). */
export function compareRevocations(a: IndexRevocation, b: IndexRevocation): number {
  return compareText(a.target, b.target) || compareText(a.name, b.name);
}
