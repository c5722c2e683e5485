// Generated from crds/ by `npm run generate`. Do not edit.

/** One object that differs from what was applied. */
export interface DriftedResourceRef {
  /** For example `apps/v1`. */
  readonly apiVersion: string;
  /** For example `Deployment`. */
  readonly kind: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace?: string;
  /** Object name. */
  readonly name: string;
  /** What differs. */
  readonly change: "Missing" | "Modified" | "NotOwned";
}
