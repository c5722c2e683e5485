// Generated from crds/ by `npm run generate`. Do not edit.

/** One stage. */
export interface ExecutionStage {
  /** Stage. */
  readonly name: "rbac" | "storage" | "stateful" | "stateless";
  /** Objects of the stage, `{group}/{Kind}/{namespace}/{name}` with empty segments for the core group and cluster scope. */
  readonly manifests?: readonly string[];
}
