// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { PackArtifactSeal } from "./pack-artifact-seal.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";

/** PackExecution is one runtime request to deliver one pack to one cluster. */
export interface PackExecution extends KubeObject {
  readonly apiVersion: "seam.ontai.dev/v1alpha1";
  readonly kind: "PackExecution";
  /** One request to deliver one pack to one cluster. Immutable. */
  readonly spec: PackExecutionSpec;
  /** Observed state. */
  readonly status?: PackExecutionStatus;
}

/** The served resource of {@link PackExecution}. */
export const PackExecution: ResourceType<PackExecution> = {
  group: "seam.ontai.dev",
  version: "v1alpha1",
  resource: "packexecutions",
  kind: "PackExecution",
  namespaced: true,
};

/** One request to deliver one pack to one cluster. Immutable. */
export interface PackExecutionSpec {
  /** PackDelivery to deliver. */
  readonly clusterPackRef: PackExecutionSpecClusterPackRef;
  /** Cluster; must equal the namespace suffix. */
  readonly targetClusterRef: string;
  /** RBACProfile that must be provisioned. */
  readonly admissionProfileRef?: string;
  /** Everything a delivery needs to know about the artifact, with the signature that covers it. */
  readonly artifact?: PackArtifactSeal;
  /** What the delivery is for. */
  readonly intent?: "Deploy" | "Redeploy" | "Rollback" | "DryRun";
  /** Revision to roll back to; required with intent Rollback. */
  readonly rollbackRevision?: number;
  /** Helm chart name, for Helm packs only. */
  readonly chartName?: string;
  /** Helm repository. */
  readonly chartURL?: string;
  /** Helm chart version. */
  readonly chartVersion?: string;
  /** Helm version that rendered the chart. */
  readonly helmVersion?: string;
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** PackDelivery to deliver. */
export interface PackExecutionSpecClusterPackRef {
  /** PackDelivery name. */
  readonly name: string;
  /** Its version; guards against name reuse. */
  readonly version: string;
  /** Its namespace; the own one when absent. */
  readonly namespace?: string;
  /** Its UID. */
  readonly uid?: string;
}

/** Observed state. */
export interface PackExecutionStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Job of the current attempt. */
  readonly jobName?: string;
  /** PackLog of the result. */
  readonly operationResultRef?: string;
  /** Where the delivery stands. */
  readonly phase?: "Pending" | "Queued" | "Running" | "Retrying" | "Succeeded" | "Failed" | "Revoked" | "Cancelled";
  /** Gate that blocks, or -1. */
  readonly blockedGate?: number;
  /** Attempts started. */
  readonly attempts?: number;
  /** Attempts allowed. */
  readonly maxAttempts?: number;
  /** When the next attempt starts. */
  readonly nextRetryAt?: string;
  /** When the current attempt started. */
  readonly startedAt?: string;
  /** When the last attempt ended. */
  readonly completedAt?: string;
  /** What started the current attempt. */
  readonly trigger?: PackExecutionStatusTrigger;
  /** Why the last attempt failed. */
  readonly lastFailure?: PackExecutionStatusLastFailure;
  /** Relation to what was installed before. */
  readonly upgradeDirection?: "Initial" | "Upgrade" | "Rollback" | "Redeploy";
  /** Everything a delivery needs to know about the artifact, with the signature that covers it. */
  readonly artifact?: PackArtifactSeal;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}

/** What started the current attempt. */
export interface PackExecutionStatusTrigger {
  /** Kind of trigger. */
  readonly kind: "FanOut" | "Drift" | "Manual" | "Rollback";
  /** Drift event, for kind Drift. */
  readonly correlationID?: string;
  /** Value of the redeploy annotation, for kind Manual. */
  readonly nonce?: string;
}

/** Why the last attempt failed. */
export interface PackExecutionStatusLastFailure {
  /** Failure category. */
  readonly category?: string;
  /** Reason. */
  readonly reason?: string;
  /** Step that failed. */
  readonly failedStep?: string;
  /** Whether another attempt can help. */
  readonly retryable?: boolean;
}
