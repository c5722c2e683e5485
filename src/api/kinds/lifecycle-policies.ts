// Generated from crds/ by `npm run generate`. Do not edit.

/** What happens to deployed objects when the pack changes or leaves. */
export interface LifecyclePolicies {
  /** Refers to the OCI artifact, which nothing ever deletes; kept for compatibility, has no effect. */
  readonly retainOnDeletion?: boolean;
  /** What happens to the workloads when the object is deleted. */
  readonly deletionPolicy?: "Delete" | "Orphan";
  /** Whether objects that left the pack are removed after an upgrade. */
  readonly prune?: boolean;
  /** What happens to claims on removal. */
  readonly persistentVolumeClaims?: "Retain" | "Delete";
  /** What happens to CRDs on removal. */
  readonly customResourceDefinitions?: "Retain" | "Delete";
  /** What happens to stateful sets on prune. */
  readonly statefulSets?: "Retain" | "Delete";
  /** What happens to namespaces that the pack created. */
  readonly namespaces?: "Retain" | "DeleteIfEmpty";
  /** Kinds that may be deleted and re-created when an immutable field changes. */
  readonly replace?: readonly string[];
  /** What happens on objects that exist and are not this pack's. */
  readonly adoption?: "Fail" | "Adopt";
  /** Whether drift is corrected without a person. */
  readonly driftCorrection?: "Auto" | "Manual";
  /** What happens to the workloads when the pack is revoked. */
  readonly onRevocation?: "Keep" | "Uninstall";
  /** What happens when a cluster leaves the selector. */
  readonly onTargetRemoved?: "Keep" | "Uninstall";
}
