// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { DependencyPolicy } from "./dependency-policy.ts";
import type { ExecutionStage } from "./execution-stage.ts";
import type { LifecyclePolicies } from "./lifecycle-policies.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";
import type { SecretNameRef } from "./secret-name-ref.ts";

/** PackDelivery registers one compiled, immutable pack version and the clusters it is for. */
export interface PackDelivery extends KubeObject {
  readonly apiVersion: "seam.ontai.dev/v1alpha1";
  readonly kind: "PackDelivery";
  /** Registration of one compiled pack version. Immutable after creation except rollbackToRevision. */
  readonly spec: PackDeliverySpec;
  /** Observed state. */
  readonly status?: PackDeliveryStatus;
}

/** The served resource of {@link PackDelivery}. */
export const PackDelivery: ResourceType<PackDelivery> = {
  group: "seam.ontai.dev",
  version: "v1alpha1",
  resource: "packdeliveries",
  kind: "PackDelivery",
  namespaced: true,
};

/** Registration of one compiled pack version. Immutable after creation except rollbackToRevision. */
export interface PackDeliverySpec {
  /** Pack version, for example `v2.3.0-r1`. */
  readonly version: string;
  /** Where the artifact is. */
  readonly registryRef: PackDeliverySpecRegistryRef;
  /** `sha256:` and 64 hex digits over the layer list, or bare hex in the original's definition; required with rbacDigest. */
  readonly checksum?: string;
  /** Digest of the rbac bucket manifest; its presence selects the split path. */
  readonly rbacDigest?: string;
  /** Digest of the cluster-scoped bucket manifest; absent when the bucket is empty. */
  readonly clusterScopedDigest?: string;
  /** Digest of the workload bucket manifest; required with rbacDigest. */
  readonly workloadDigest?: string;
  /** Stages in the order in which they are applied. */
  readonly executionOrder?: readonly ExecutionStage[];
  /** Logical name across versions; metadata.name when absent. */
  readonly basePackName?: string;
  /** Clusters to deliver to. */
  readonly targetClusters?: readonly string[];
  /** Clusters to deliver to, by labels of their TalosCluster. */
  readonly targetClusterSelector?: LabelSelector;
  /** Build that produced the pack; informational. */
  readonly sourceBuildRef?: string;
  /** Where the content came from. */
  readonly provenance?: PackDeliverySpecProvenance;
  /** Helm chart name, for Helm packs only. */
  readonly chartName?: string;
  /** Helm repository. */
  readonly chartURL?: string;
  /** Helm chart version. */
  readonly chartVersion?: string;
  /** Helm version that rendered the chart. */
  readonly helmVersion?: string;
  /** Values file; informational. */
  readonly valuesFile?: string;
  /** What happens to deployed objects when the pack changes or leaves. */
  readonly lifecyclePolicies?: LifecyclePolicies;
  /** Base packs that must be installed first. */
  readonly dependsOn?: readonly string[];
  /** What a drifted dependency does to this pack. */
  readonly dependencyPolicy?: DependencyPolicy;
  /** RBACProfile that must be provisioned; basePackName when absent. */
  readonly admissionProfileRef?: string;
  /** dockerconfigjson Secret in the tenant namespace. */
  readonly registrySecretRef?: SecretNameRef;
  /** How long the workloads may take to become ready, seconds. */
  readonly deployTimeoutSeconds?: number;
  /** Retries of a failed delivery. */
  readonly retry?: PackDeliverySpecRetry;
  /** How the pack spreads over its targets. */
  readonly rollout?: PackDeliverySpecRollout;
  /** PackLog revision to roll back to; the only mutable field, cleared by the dispatcher. */
  readonly rollbackToRevision?: number;
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** Where the artifact is. */
export interface PackDeliverySpecRegistryRef {
  /** Repository: host[:port]/path without scheme, tag or digest. */
  readonly url: string;
  /** Digest of the OCI index. */
  readonly digest: string;
}

/** Clusters to deliver to, by labels of their TalosCluster. */
export interface LabelSelector {
  /** Labels that must be equal. */
  readonly matchLabels?: Readonly<Record<string, string>>;
  /** Requirements that must all hold. */
  readonly matchExpressions?: readonly LabelSelectorRequirement[];
}

/** One requirement. */
export interface LabelSelectorRequirement {
  /** Label key. */
  readonly key: string;
  /** Operator. */
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  /** Values for In and NotIn. */
  readonly values?: readonly string[];
}

/** Where the content came from. */
export interface PackDeliverySpecProvenance {
  /** Build id. */
  readonly buildID?: string;
  /** When it was built. */
  readonly buildTimestamp?: string;
  /** Git commit or tag. */
  readonly sourceRef?: string;
  /** Digest of the values used. */
  readonly valuesDigest?: string;
  /** Compiler version. */
  readonly compilerVersion?: string;
  /** Digest of the chart. */
  readonly chartDigest?: string;
}

/** Retries of a failed delivery. */
export interface PackDeliverySpecRetry {
  /** Attempts in all. */
  readonly maxAttempts?: number;
  /** First delay, seconds. */
  readonly backoffSeconds?: number;
}

/** How the pack spreads over its targets. */
export interface PackDeliverySpecRollout {
  /** Targets in delivery at once; 0 means all. */
  readonly maxConcurrent?: number;
  /** Failed targets that are tolerated. */
  readonly maxFailures?: number;
  /** Clusters that go first, in order. */
  readonly order?: readonly string[];
  /** What happens after too many failures. */
  readonly onFailure?: "Stop" | "Continue" | "Rollback";
}

/** Observed state. */
export interface PackDeliveryStatus {
  /** True once the management signer signed this spec. */
  readonly signed?: boolean;
  /** Base64 of the bare Ed25519 signature. */
  readonly packSignature?: string;
  /** Short id of the signing key. */
  readonly signingKeyID?: string;
  /** `v2:sha256:` over the immutable spec, written once. */
  readonly specChecksum?: string;
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Installed targets of all targets, for example `3/4`. */
  readonly deliveredSummary?: string;
  /** One entry per target. */
  readonly targets?: readonly PackDeliveryTarget[];
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}

/** State of one target. */
export interface PackDeliveryTarget {
  /** Cluster name. */
  readonly cluster: string;
  /** Where the delivery stands. */
  readonly phase:
    | "WaitingForCluster"
    | "Pending"
    | "Queued"
    | "Running"
    | "Installed"
    | "Retrying"
    | "Failed"
    | "Superseded"
    | "Revoked"
    | "Excluded"
    | "Removed";
  /** PackExecution name. */
  readonly packExecution?: string;
  /** Version installed there now. */
  readonly installedVersion?: string;
  /** Why, for people and programs. */
  readonly reason?: string;
  /** Revision the target is pinned to by a rollback. */
  readonly pinnedRevision?: number;
  /** Pack that becomes current when this one is deleted. */
  readonly next?: string;
  /** When phase last changed. */
  readonly lastTransitionTime?: string;
}
