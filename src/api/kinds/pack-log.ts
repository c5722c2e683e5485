// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { DeployedResourceRef } from "./deployed-resource-ref.ts";
import type { PackArtifactSeal } from "./pack-artifact-seal.ts";

/** PackLog is the immutable result record of one delivery. */
export interface PackLog extends KubeObject {
  readonly apiVersion: "seam.ontai.dev/v1alpha1";
  readonly kind: "PackLog";
  /** Result of one delivery. Immutable. */
  readonly spec: PackLogSpec;
  /** Observed state. */
  readonly status?: PackLogStatus;
}

/** The served resource of {@link PackLog}. */
export const PackLog: ResourceType<PackLog> = {
  group: "seam.ontai.dev",
  version: "v1alpha1",
  resource: "packlogs",
  kind: "PackLog",
  namespaced: true,
};

/** Result of one delivery. Immutable. */
export interface PackLogSpec {
  /** Rises by one per base pack and cluster, from 1. */
  readonly revision: number;
  /** PackLog before this one. */
  readonly previousRevisionRef?: string;
  /** `pack-deploy`. */
  readonly capability: string;
  /** Outcome. */
  readonly status: "Succeeded" | "Failed";
  /** PackExecution name. */
  readonly packExecutionRef?: string;
  /** PackDelivery name. */
  readonly clusterPackRef?: string;
  /** Cluster. */
  readonly targetClusterRef?: string;
  /** Base pack name. */
  readonly basePackName?: string;
  /** Pack version; rollback anchor. */
  readonly clusterPackVersion?: string;
  /** Rollback anchor. */
  readonly rbacDigest?: string;
  /** Rollback anchor. */
  readonly workloadDigest?: string;
  /** Everything a delivery needs to know about the artifact, with the signature that covers it. */
  readonly artifact?: PackArtifactSeal;
  /** RunnerConfig phase; unused. */
  readonly phase?: string;
  /** When it started. */
  readonly startedAt?: string;
  /** When it ended. */
  readonly completedAt?: string;
  /** Why it failed. */
  readonly failureReason?: PackLogSpecFailureReason;
  /** Steps in order. */
  readonly steps?: readonly PackLogStep[];
  /** What was applied, on failure so far. */
  readonly deployedResources?: readonly DeployedResourceRef[];
  /** Objects removed. */
  readonly pruned?: readonly PrunedResource[];
  /** Objects kept by policy. */
  readonly pruneSkipped?: readonly PrunedResource[];
  /** Objects that could not be removed. */
  readonly pruneFailures?: readonly PrunedResource[];
  /** Counts of what was to be done. */
  readonly plan?: PackLogSpecPlan;
  /** References to results, never content. */
  readonly artifacts?: readonly PackLogArtifact[];
  /** Job that wrote this record. */
  readonly jobRef?: PackLogSpecJobRef;
  /** Attempt number. */
  readonly attempt?: number;
}

/** Why it failed. */
export interface PackLogSpecFailureReason {
  /** Category. */
  readonly category:
    | "ValidationFailure"
    | "CapabilityUnavailable"
    | "ExecutionFailure"
    | "ExternalDependencyFailure"
    | "InvariantViolation"
    | "StorageUnavailable"
    | "LicenseViolation";
  /** Reason. */
  readonly reason: string;
  /** Step that failed. */
  readonly failedStep?: string;
  /** Whether another attempt can help. */
  readonly retryable?: boolean;
}

/** One step. */
export interface PackLogStep {
  /** Step name. */
  readonly name: string;
  /** Outcome. */
  readonly status: "Succeeded" | "Failed";
  /** When it started. */
  readonly startedAt?: string;
  /** When it ended. */
  readonly completedAt?: string;
  /** For people. */
  readonly message?: string;
}

/** One object. */
export interface PrunedResource {
  /** For example `apps/v1`. */
  readonly apiVersion: string;
  /** Kind. */
  readonly kind: string;
  /** Namespace. */
  readonly namespace?: string;
  /** Name. */
  readonly name: string;
  /** Why. */
  readonly reason?: string;
}

/** Counts of what was to be done. */
export interface PackLogSpecPlan {
  /** Creates. */
  readonly create?: number;
  /** Updates. */
  readonly update?: number;
  /** Unchanged. */
  readonly unchanged?: number;
  /** Prunes. */
  readonly prune?: number;
}

/** One result. */
export interface PackLogArtifact {
  /** Name. */
  readonly name: string;
  /** Kind. */
  readonly kind: "ConfigMap" | "Secret" | "OCIImage" | "S3Object";
  /** Where it is. */
  readonly reference?: string;
  /** Checksum. */
  readonly checksum?: string;
}

/** Job that wrote this record. */
export interface PackLogSpecJobRef {
  /** Job name. */
  readonly name: string;
  /** Job UID. */
  readonly uid?: string;
}

/** Observed state. */
export interface PackLogStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
}
