// Generated from crds/ by `npm run generate`. Do not edit.

/** One object that a pack deployed. */
export interface DeployedResourceRef {
  /** For example `apps/v1`. */
  readonly apiVersion: string;
  /** For example `Deployment`. */
  readonly kind: string;
  /** Object name. */
  readonly name: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace?: string;
  /** UID on the target at apply time. */
  readonly uid?: string;
  /** `sha256:` of the canonical manifest. */
  readonly contentHash?: string;
  /** Bucket of the artifact it came from. */
  readonly bucket?: "rbac" | "cluster-scoped" | "workload";
  /** Execution stage. */
  readonly stage?: "rbac" | "storage" | "stateful" | "stateless";
  /** Apply sequence; reversed for deletion. */
  readonly order?: number;
  /** True when the pack created it; false when it was adopted or existed. */
  readonly created?: boolean;
}
