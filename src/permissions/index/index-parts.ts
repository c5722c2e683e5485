import type { SnapshotContent } from "../snapshot/content.ts";
import type { SnapshotFailureCode } from "../snapshot/snapshot-failure.ts";
import type { CompiledStrings, CompiledTables } from "./compiled-tables.ts";

/** Small things (strings, rules, bindings) in one message of a worker, so that taking it over never holds the event loop for long. */
export const PART_WEIGHT = 2_048;

/** What a worker is asked. */
export interface IndexJob {
  readonly bytes: Uint8Array;
  /** The content hash that the verified statement names. */
  readonly contentHash: string;
}

/** What it answers, piece by piece; `done` or `refused` ends it. */
export type IndexPart =
  | { readonly part: "strings"; readonly table: keyof CompiledStrings; readonly strings: readonly string[] }
  | { readonly part: "subjects"; readonly subjects: SnapshotContent["subjects"] }
  | { readonly part: "ruleSets"; readonly ruleSets: SnapshotContent["ruleSets"] }
  | { readonly part: "profiles"; readonly profiles: SnapshotContent["profiles"] }
  | {
      readonly part: "done";
      readonly tables: CompiledTables;
      readonly header: Omit<SnapshotContent, "subjects" | "ruleSets" | "profiles">;
    }
  | { readonly part: "refused"; readonly code: SnapshotFailureCode; readonly detail: string };

/** Cuts `list` where the weight of a slice reaches {@link PART_WEIGHT}; a single heavy entry makes a slice of its own. */
export function* slices<T>(list: readonly T[], weightOf: (entry: T) => number): Generator<readonly T[]> {
  let start = 0;
  let weight = 0;
  for (const [i, entry] of list.entries()) {
    const own = weightOf(entry);
    if (weight > 0 && weight + own > PART_WEIGHT) {
      yield list.slice(start, i);
      start = i;
      weight = 0;
    }
    weight += own;
  }
  if (start < list.length) yield list.slice(start);
}
