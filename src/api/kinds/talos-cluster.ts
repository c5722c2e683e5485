// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";

/** TalosCluster is one governed cluster. */
export interface TalosCluster extends KubeObject {
  readonly apiVersion: "seam.ontai.dev/v1alpha1";
  readonly kind: "TalosCluster";
  /** Desired state of one cluster. */
  readonly spec: TalosClusterSpec;
  /** Observed state. */
  readonly status?: TalosClusterStatus;
}

/** The served resource of {@link TalosCluster}. */
export const TalosCluster: ResourceType<TalosCluster> = {
  group: "seam.ontai.dev",
  version: "v1alpha1",
  resource: "talosclusters",
  kind: "TalosCluster",
  namespaced: true,
};

/** Desired state of one cluster. */
export interface TalosClusterSpec {
  /** Formed from scratch or adopted; immutable. */
  readonly mode: "bootstrap" | "import";
  /** Topology role; required with mode import, immutable once set. */
  readonly role?: "management" | "tenant";
  /** Talos version. */
  readonly talosVersion?: string;
  /** Kubernetes version. */
  readonly kubernetesVersion?: string;
  /** Requests a rolling upgrade to the versions above. */
  readonly versionUpgrade?: boolean;
  /** API endpoint: host, host:port or URL. */
  readonly clusterEndpoint?: string;
  /** Known nodes. */
  readonly nodeAddresses?: readonly NodeAddress[];
  /** Who provides the machines; screen is reserved. */
  readonly infrastructureProvider?: "native" | "capi" | "screen";
  /** Cluster API path. */
  readonly capi?: CAPIConfig;
  /** Overrides the canonical Secret name. */
  readonly kubeconfigSecretRef?: string;
  /** Overrides the canonical Secret name; required on import by the platform operator. */
  readonly talosconfigSecretRef?: string;
  /** Lead time of automatic rotation, days. */
  readonly pkiRotationThresholdDays?: number;
  /** Hardening at bootstrap. */
  readonly hardeningProfileRef?: LocalObjectRef;
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** One node. */
export interface NodeAddress {
  /** Address. */
  readonly ip: string;
  /** Role. */
  readonly role?: "controlplane" | "worker";
  /** Node name. */
  readonly name?: string;
}

/** Cluster API path. */
export interface CAPIConfig {
  /** Whether the Cluster API path is used; immutable. */
  readonly enabled: boolean;
  /** Talos version. */
  readonly talosVersion?: string;
  /** Kubernetes version. */
  readonly kubernetesVersion?: string;
  /** Control plane. */
  readonly controlPlane?: CAPIConfigControlPlane;
  /** Worker pools. */
  readonly workers?: readonly CAPIWorkerPool[];
  /** Pack that brings the CNI. */
  readonly ciliumPackRef?: CAPIConfigCiliumPackRef;
}

/** Control plane. */
export interface CAPIConfigControlPlane {
  /** Odd number of machines. */
  readonly replicas: number;
}

/** One pool. */
export interface CAPIWorkerPool {
  /** Pool name. */
  readonly name: string;
  /** Machines. */
  readonly replicas: number;
  /** Machines of the pool. */
  readonly seamInfrastructureMachineNames?: readonly string[];
}

/** Pack that brings the CNI. */
export interface CAPIConfigCiliumPackRef {
  /** PackDelivery name. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
}

/** Hardening at bootstrap. */
export interface LocalObjectRef {
  /** Object name. */
  readonly name: string;
  /** Namespace; the referrer's when absent. */
  readonly namespace?: string;
}

/** Observed state. */
export interface TalosClusterStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** What the cluster's agent said of itself last. Written when it changes, not when the agent comes and goes. */
  readonly agent?: ClusterAgent;
  /** How the cluster came to be governed. */
  readonly origin?: "bootstrapped" | "imported";
  /** Talos version seen. */
  readonly observedTalosVersion?: string;
  /** Kubernetes version seen. */
  readonly observedKubernetesVersion?: string;
  /** Earliest expiry of the cluster's PKI. */
  readonly pkiExpiryDate?: string;
  /** Expiry of the talosconfig. */
  readonly talosconfigExpiry?: string;
  /** Expiry of the kubeconfig. */
  readonly kubeconfigExpiry?: string;
  /** Cluster API object. */
  readonly capiClusterRef?: LocalObjectRef;
  /** How far the deletion is. */
  readonly deletionStage?: "" | "pack-execution" | "pack-installed" | "pack-delivery" | "runner-config" | "complete";
  /** Operation that holds the cluster lock. */
  readonly activeOperation?: TalosClusterStatusActiveOperation;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}

/** What the cluster's agent said of itself last. Written when it changes, not when the agent comes and goes. */
export interface ClusterAgent {
  /** Build version. */
  readonly version?: string;
  /** Version of the federation protocol that hub and agent agreed on. */
  readonly protocolVersion?: number;
  /** Pod or process that leads. */
  readonly leader?: string;
  /** Names of what it declared that it can do, sorted. Absent: it declared nothing yet. */
  readonly capabilities?: readonly string[];
  /** Fencing term of the session in which it was said. */
  readonly term?: number;
}

/** Operation that holds the cluster lock. */
export interface TalosClusterStatusActiveOperation {
  /** Kind. */
  readonly kind: string;
  /** Name. */
  readonly name: string;
  /** UID. */
  readonly uid: string;
}
