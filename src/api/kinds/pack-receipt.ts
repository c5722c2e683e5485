// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { DeployedResourceRef } from "./deployed-resource-ref.ts";
import type { DriftedResourceRef } from "./drifted-resource-ref.ts";

/** PackReceipt acknowledges a delivery: authoritative on the target, mirrored on management. */
export interface PackReceipt extends KubeObject {
  readonly apiVersion: "seam.ontai.dev/v1alpha1";
  readonly kind: "PackReceipt";
  /** What was delivered. */
  readonly spec: PackReceiptSpec;
  /** Observed state. */
  readonly status?: PackReceiptStatus;
}

/** The served resource of {@link PackReceipt}. */
export const PackReceipt: ResourceType<PackReceipt> = {
  group: "seam.ontai.dev",
  version: "v1alpha1",
  resource: "packreceipts",
  kind: "PackReceipt",
  namespaced: true,
};

/** What was delivered. */
export interface PackReceiptSpec {
  /** PackDelivery name. */
  readonly clusterPackRef: string;
  /** Cluster. */
  readonly targetClusterRef: string;
  /** PackInstalled name. */
  readonly packInstanceRef?: string;
  /** Signed artifact Secret on the management cluster. */
  readonly signatureRef?: string;
  /** Pack version. */
  readonly version?: string;
  /** Serial of the signed manifest that was accepted. */
  readonly serial?: number;
  /** Digest of the envelope of that manifest. */
  readonly manifestDigest?: string;
  /** Digest of the rbac bucket manifest. */
  readonly rbacDigest?: string;
  /** Digest of the workload bucket manifest. */
  readonly workloadDigest?: string;
  /** Digest of the cluster-scoped bucket manifest. */
  readonly clusterScopedDigest?: string;
  /** Checksum over the layers. */
  readonly checksum?: string;
  /** Helm chart name, for Helm packs only. */
  readonly chartName?: string;
  /** Helm repository. */
  readonly chartURL?: string;
  /** Helm chart version. */
  readonly chartVersion?: string;
  /** Helm version that rendered the chart. */
  readonly helmVersion?: string;
  /** Inventory, always a superset of what exists. */
  readonly deployedResources?: readonly DeployedResourceRef[];
  /** PackLog revision. */
  readonly packLogRevision?: number;
  /** UID of the PackExecution. */
  readonly packExecutionUID?: string;
}

/** Observed state. */
export interface PackReceiptStatus {
  /** Absent while not checked; false is a security violation. */
  readonly verified?: boolean;
  /** Last verified signature, base64. */
  readonly signature?: string;
  /** Short id of the key that verified it. */
  readonly keyId?: string;
  /** Reason code when verified is false. */
  readonly verificationFailedReason?: string;
  /** Mirror only: serial and digest equal what was signed. */
  readonly acknowledged?: boolean;
  /** Mirror only: serial or digest differ from what was signed. */
  readonly degradedSecurityState?: boolean;
  /** Why degraded. */
  readonly degradedReason?: string;
  /** When it was acknowledged. */
  readonly acknowledgedAt?: string;
  /** When it was delivered. */
  readonly deliveredAt?: string;
  /** Whether owned fields differ. */
  readonly driftStatus?: "InSync" | "Drifted" | "Unknown";
  /** For people. */
  readonly driftSummary?: string;
  /** Objects that differ; the first 20. */
  readonly driftedResources?: readonly DriftedResourceRef[];
  /** Last completed drift check. */
  readonly lastDriftCheckAt?: string;
  /** `Applied`, `Healthy`, or why not. */
  readonly deliveryState?: string;
  /** Mirror only: how far the item in the tenant's index has come, from the agent's reports. */
  readonly delivery?: PackReceiptDelivery;
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}

/** Mirror only: how far the item in the tenant's index has come, from the agent's reports. */
export interface PackReceiptDelivery {
  /** Highest level reached; absent when not even the body could be had. */
  readonly level?: "Received" | "Verified" | "Applied" | "Healthy";
  /** Item version the report speaks of. */
  readonly version?: number;
  /** Item digest the report speaks of. */
  readonly digest?: string;
  /** When, by the agent's clock. */
  readonly at?: string;
  /** What the agent waits for. */
  readonly waitingFor?: string;
  /** When the agent tries again. */
  readonly nextRetryAt?: string;
  /** Why the item cannot go further. */
  readonly nack?: PackReceiptDeliveryNack;
}

/** Why the item cannot go further. */
export interface PackReceiptDeliveryNack {
  /** Class of refusal. */
  readonly class: "Invalid" | "Untrusted" | "Conflict" | "Busy" | "Unsupported" | "Internal";
  /** Whether trying again can help. */
  readonly retryable: boolean;
  /** Stable reason code. */
  readonly reason: string;
  /** For people. */
  readonly detail?: string;
}
