// Generated from crds/ by `npm run generate`. Do not edit.

/** What a drifted dependency does to this pack. */
export interface DependencyPolicy {
  /** Effect of a drifted dependency. */
  readonly onDrift?: "Block" | "Warn" | "Ignore";
}
