import { createHash } from "node:crypto";
import { compareText } from "./index-order.ts";

/** One entry of a set that two sides compare. */
export interface RangeEntry {
  readonly key: string;
  readonly version: number;
  readonly digest: string;
}

/** Ranges per step of the comparison (lessons §5.3). */
export const RANGES = 256;

/**
 * Digests of the 256 ranges of a set, hex, empty for an empty range. A key's range is one byte of its SHA-256, so that an added key
 * changes one range and moves no other. `path` narrows to the entries of one range of the step before: recurse only where
 * {@link differingRanges} says so.
 */
export function rangeDigests(entries: Iterable<RangeEntry>, path: readonly number[] = []): string[] {
  const ranges: RangeEntry[][] = [];
  for (const entry of entriesIn(entries, path)) {
    const range = hashOf(entry.key)[path.length] ?? 0;
    (ranges[range] ??= []).push(entry);
  }
  const digests: string[] = [];
  for (let range = 0; range < RANGES; range++) digests.push(digestOfRange(ranges[range] ?? []));
  return digests;
}

/** The entries of one range: those to list, or to compare one step deeper. */
export function entriesIn(entries: Iterable<RangeEntry>, path: readonly number[]): RangeEntry[] {
  const found: RangeEntry[] = [];
  for (const entry of entries) {
    const hash = hashOf(entry.key);
    if (path.every((range, step) => hash[step] === range)) found.push(entry);
  }
  return found;
}

/** Ranges whose digests differ. */
export function differingRanges(left: readonly string[], right: readonly string[]): number[] {
  const differing: number[] = [];
  for (let range = 0; range < RANGES; range++) if (left[range] !== right[range]) differing.push(range);
  return differing;
}

function digestOfRange(entries: RangeEntry[]): string {
  if (entries.length === 0) return "";
  const hash = createHash("sha256");
  for (const entry of entries.sort((a, b) => compareText(a.key, b.key)))
    hash.update(`${entry.key}\0${entry.version}\0${entry.digest}\n`);
  return hash.digest("hex");
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
