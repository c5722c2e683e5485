// Generated from crds/ by `npm run generate`. Do not edit.

/** One right by which the cluster's own RBAC differs from the snapshot. */
export interface SurfaceDifference {
  /** `ServiceAccount ns/name`, `User name` or `Group name`. */
  readonly subject: string;
  /** `cluster-wide` or the namespaces. */
  readonly where: string;
  /** What may be done, in words. */
  readonly rule: string;
  /** The binding that gives it; absent for what is missing. */
  readonly binding?: string;
}
