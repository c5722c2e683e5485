// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { DependencyPolicy } from "./dependency-policy.ts";
import type { DeployedResourceRef } from "./deployed-resource-ref.ts";

/** PackInstalled is the delivered state of one logical pack on one cluster. */
export interface PackInstalled extends KubeObject {
  readonly apiVersion: "seam.ontai.dev/v1alpha1";
  readonly kind: "PackInstalled";
  /** What is installed on one cluster under one base pack name. */
  readonly spec: PackInstalledSpec;
  /** Observed state. */
  readonly status?: PackInstalledStatus;
}

/** The served resource of {@link PackInstalled}. */
export const PackInstalled: ResourceType<PackInstalled> = {
  group: "seam.ontai.dev",
  version: "v1alpha1",
  resource: "packinstalleds",
  kind: "PackInstalled",
  namespaced: true,
};

/** What is installed on one cluster under one base pack name. */
export interface PackInstalledSpec {
  /** PackDelivery name. */
  readonly clusterPackRef: string;
  /** Namespace of the PackDelivery. */
  readonly clusterPackNamespace?: string;
  /** UID of the PackDelivery. */
  readonly packDeliveryUID?: string;
  /** PackExecution that delivers this version. */
  readonly packExecutionRef?: string;
  /** Pack version. */
  readonly version: string;
  /** Cluster; immutable. */
  readonly targetClusterRef: string;
  /** Base packs this one depends on. */
  readonly dependsOn?: readonly string[];
  /** What a drifted dependency does to this pack. */
  readonly dependencyPolicy?: DependencyPolicy;
  /** Digest of the rbac bucket manifest. */
  readonly rbacDigest?: string;
  /** Digest of the cluster-scoped bucket manifest. */
  readonly clusterScopedDigest?: string;
  /** Digest of the workload bucket manifest. */
  readonly workloadDigest?: string;
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
}

/** Observed state. */
export interface PackInstalledStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Last successful delivery. */
  readonly deliveredAt?: string;
  /** Drift, for people. */
  readonly driftSummary?: string;
  /** Relation to what was installed before. */
  readonly upgradeDirection?: "Initial" | "Upgrade" | "Rollback" | "Redeploy";
  /** Inventory, replaced on every delivery. */
  readonly deployedResources?: readonly DeployedResourceRef[];
  /** PackLog revision of the last delivery. */
  readonly deliveredRevision?: number;
  /** Serial of the last signed pack manifest. */
  readonly serial?: number;
  /** Digest of the envelope of the last signed pack manifest. */
  readonly manifestDigest?: string;
  /** Attempt that the serial was signed for: `{PackExecution uid}/{attempt}`. */
  readonly signedFor?: string;
  /** PackReceipt name. */
  readonly receiptRef?: string;
  /** Digest that the receipt acknowledges. */
  readonly receiptDigest?: string;
  /** Last completed drift check. */
  readonly lastDriftCheckAt?: string;
  /** Corrections started so far. */
  readonly driftCorrections?: number;
  /** Progress of the removal. */
  readonly cleanup?: PackInstalledStatusCleanup;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}

/** Progress of the removal. */
export interface PackInstalledStatusCleanup {
  /** When it began. */
  readonly startedAt?: string;
  /** Objects left. */
  readonly remaining?: number;
  /** Last error. */
  readonly lastError?: string;
}
