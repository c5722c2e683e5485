// Generated from crds/ by `npm run generate`. Do not edit.

/** Operator that created this object. */
export interface CreatingOperator {
  /** Operator name, for example `dispatcher`. */
  readonly name: string;
  /** Operator version. */
  readonly version: string;
}
