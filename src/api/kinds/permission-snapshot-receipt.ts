// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SurfaceDifference } from "./surface-difference.ts";

/** PermissionSnapshotReceipt is the tenant's acknowledgement of its permission snapshot. */
export interface PermissionSnapshotReceipt extends KubeObject {
  readonly apiVersion: "guardian.ontai.dev/v1alpha1";
  readonly kind: "PermissionSnapshotReceipt";
  /** What the tenant acknowledged. */
  readonly spec: PermissionSnapshotReceiptSpec;
  /** Observed state. */
  readonly status?: PermissionSnapshotReceiptStatus;
}

/** The served resource of {@link PermissionSnapshotReceipt}. */
export const PermissionSnapshotReceipt: ResourceType<PermissionSnapshotReceipt> = {
  group: "guardian.ontai.dev",
  version: "v1alpha1",
  resource: "permissionsnapshotreceipts",
  kind: "PermissionSnapshotReceipt",
  namespaced: true,
};

/** What the tenant acknowledged. */
export interface PermissionSnapshotReceiptSpec {
  /** Cluster. */
  readonly clusterName: string;
  /** Version. */
  readonly snapshotVersion?: string;
  /** When. */
  readonly acknowledgedAt?: string;
  /** Content hash. */
  readonly contentHash?: string;
  /** Key that verified it. */
  readonly keyFingerprint?: string;
  /** Ordering key, first part. */
  readonly epoch?: number;
  /** Ordering key, second part. */
  readonly sequence?: number;
}

/** Observed state. */
export interface PermissionSnapshotReceiptStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Whether the tenant is up to date. */
  readonly syncStatus?: "InSync" | "OutOfSync" | "DegradedSecurityState";
  /** The last offer was refused. */
  readonly degradedSecurityState?: boolean;
  /** Reason code. */
  readonly degradedReason?: string;
  /** For people. */
  readonly localProvisioningStatus?: string;
  /** Materialised Roles and Bindings. */
  readonly localArtifacts?: readonly string[];
  /** Last verified statement. */
  readonly lastVerifiedAt?: string;
  /** Last refused offer. */
  readonly lastRejected?: RejectedSnapshot;
  /** Hash of the local RBAC surface. */
  readonly surfaceHash?: string;
  /** Rights of governed subjects beyond the snapshot, as far as they are listed. */
  readonly excess?: readonly SurfaceDifference[];
  /** Rights beyond the snapshot. */
  readonly excessTotal?: number;
  /** Rights that the snapshot grants and the cluster does not, as far as they are listed. */
  readonly missing?: readonly SurfaceDifference[];
  /** Rights that are missing. */
  readonly missingTotal?: number;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}

/** Last refused offer. */
export interface RejectedSnapshot {
  /** Version as far as it could be read. */
  readonly version?: string;
  /** Code of permissions §9.3. */
  readonly reasonCode: string;
  /** When. */
  readonly at?: string;
}
