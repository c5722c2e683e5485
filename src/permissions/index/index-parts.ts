import type { SnapshotContent } from "../snapshot/content.ts";
import type { SnapshotFailureCode } from "../snapshot/snapshot-failure.ts";
import type { CompiledStrings, CompiledTables } from "./compiled-tables.ts";

/** How much one message of a worker may carry, so that taking it over never holds the event loop for long. */
export const PART_SIZES = { strings: 8_192, subjects: 1_024, ruleSets: 256, profiles: 4_096 } as const;

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

/** Slices of `list`. */
export function* slices<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < list.length; start += size) yield list.slice(start, start + size);
}
