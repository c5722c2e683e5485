import type { JsonObject, JsonValue } from "../base/json.ts";
import type { KubeObject, ObjectMeta } from "./object.ts";
import type { ResourceType } from "./resource-type.ts";

/**
 * Constants for the kinds every Kubernetes cluster has, with the parts of their shapes that Seam reads or writes. Fields that no
 * code looks at are left to the index signature of `JsonObject`.
 */

/** `metav1.Condition` and the older condition shapes that lack some of its members. */
export interface BuiltinCondition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly lastUpdateTime?: string;
  readonly lastProbeTime?: string;
  readonly observedGeneration?: number;
}

/** `metav1.LabelSelector`. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

/** A container of a pod, as far as Seam reads it. */
export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly [field: string]: unknown;
}

/** `v1.PodSpec`, as far as Seam reads it. */
export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly serviceAccountName?: string;
  readonly nodeName?: string;
  readonly restartPolicy?: "Always" | "OnFailure" | "Never";
  readonly [field: string]: unknown;
}

/** `v1.PodTemplateSpec`. */
export interface PodTemplateSpec {
  readonly metadata?: Partial<ObjectMeta>;
  readonly spec: PodSpec;
}

export interface NamespaceObject extends KubeObject {
  readonly spec?: { readonly finalizers?: readonly string[] };
  readonly status?: { readonly phase?: "Active" | "Terminating"; readonly conditions?: readonly BuiltinCondition[] };
}

export interface ConfigMapObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  /** Values are base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

export interface SecretObject extends KubeObject {
  readonly type?: string;
  /** Values are base64. */
  readonly data?: Readonly<Record<string, string>>;
  /** Write only: the server folds it into `data`. */
  readonly stringData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

export interface ServiceAccountObject extends KubeObject {
  readonly secrets?: readonly JsonObject[];
  readonly imagePullSecrets?: readonly { readonly name: string }[];
  readonly automountServiceAccountToken?: boolean;
}

export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}

export interface EventObject extends KubeObject {
  readonly involvedObject: ObjectReference;
  readonly reason?: string;
  readonly message?: string;
  readonly type?: "Normal" | "Warning";
  readonly count?: number;
  readonly firstTimestamp?: string;
  readonly lastTimestamp?: string;
  readonly eventTime?: string | null;
  readonly source?: { readonly component?: string; readonly host?: string };
  readonly reportingComponent?: string;
  readonly reportingInstance?: string;
  readonly action?: string;
}

export interface LeaseObject extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    /** `metav1.MicroTime`: exactly six fractional digits. */
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface PodObject extends KubeObject {
  readonly spec: PodSpec;
  readonly status?: {
    readonly phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
    readonly reason?: string;
    readonly message?: string;
    readonly podIP?: string;
    readonly startTime?: string;
    readonly conditions?: readonly BuiltinCondition[];
    readonly containerStatuses?: readonly JsonObject[];
  };
}

export interface DeploymentObject extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: LabelSelector;
    readonly template: PodTemplateSpec;
    readonly paused?: boolean;
    readonly progressDeadlineSeconds?: number;
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly unavailableReplicas?: number;
    readonly conditions?: readonly BuiltinCondition[];
  };
}

export interface ReplicaSetObject extends KubeObject {
  readonly spec: { readonly replicas?: number; readonly selector: LabelSelector; readonly template?: PodTemplateSpec };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas: number;
    readonly fullyLabeledReplicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
  };
}

export interface StatefulSetObject extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly serviceName?: string;
    readonly selector: LabelSelector;
    readonly template: PodTemplateSpec;
    readonly updateStrategy?: {
      readonly type?: "RollingUpdate" | "OnDelete";
      readonly rollingUpdate?: { readonly partition?: number };
    };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas: number;
    readonly readyReplicas?: number;
    readonly currentReplicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
  };
}

export interface DaemonSetObject extends KubeObject {
  readonly spec: { readonly selector: LabelSelector; readonly template: PodTemplateSpec };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly currentNumberScheduled: number;
    readonly desiredNumberScheduled: number;
    readonly numberMisscheduled: number;
    readonly numberReady: number;
    readonly numberAvailable?: number;
    readonly numberUnavailable?: number;
    readonly updatedNumberScheduled?: number;
  };
}

/** `batch/v1 PodFailurePolicyRule`. */
export interface PodFailureRule {
  readonly action: "FailJob" | "FailIndex" | "Ignore" | "Count";
  readonly onExitCodes?: {
    readonly containerName?: string;
    readonly operator: "In" | "NotIn";
    readonly values: readonly number[];
  };
  readonly onPodConditions?: readonly { readonly type: string; readonly status?: string }[];
}

export interface JobObject extends KubeObject {
  readonly spec: {
    readonly completions?: number;
    readonly parallelism?: number;
    readonly backoffLimit?: number;
    readonly activeDeadlineSeconds?: number;
    readonly ttlSecondsAfterFinished?: number;
    readonly suspend?: boolean;
    readonly completionMode?: "NonIndexed" | "Indexed";
    readonly podFailurePolicy?: { readonly rules?: readonly PodFailureRule[] };
    readonly template: PodTemplateSpec;
  };
  readonly status?: {
    readonly active?: number;
    readonly ready?: number;
    readonly succeeded?: number;
    readonly failed?: number;
    readonly startTime?: string;
    readonly completionTime?: string;
    readonly conditions?: readonly BuiltinCondition[];
  };
}

export interface CronJobObject extends KubeObject {
  readonly spec: {
    readonly schedule: string;
    readonly suspend?: boolean;
    readonly jobTemplate: { readonly metadata?: Partial<ObjectMeta>; readonly spec: JobObject["spec"] };
  };
}

export interface ServiceObject extends KubeObject {
  readonly spec: {
    readonly type?: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
    readonly clusterIP?: string;
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly {
      readonly name?: string;
      readonly port: number;
      readonly protocol?: string;
      readonly targetPort?: number | string;
      readonly nodePort?: number;
    }[];
  };
  readonly status?: { readonly loadBalancer?: JsonObject };
}

export interface PersistentVolumeClaimObject extends KubeObject {
  readonly spec: {
    readonly accessModes?: readonly string[];
    readonly storageClassName?: string;
    readonly volumeName?: string;
    readonly resources?: JsonObject;
  };
  readonly status?: {
    readonly phase?: "Pending" | "Bound" | "Lost";
    readonly accessModes?: readonly string[];
    readonly capacity?: Readonly<Record<string, string>>;
  };
}

export interface NodeObject extends KubeObject {
  readonly spec?: { readonly unschedulable?: boolean; readonly taints?: readonly JsonObject[] };
  readonly status?: {
    readonly conditions?: readonly BuiltinCondition[];
    readonly capacity?: Readonly<Record<string, string>>;
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly nodeInfo?: JsonObject;
  };
}

/** `rbac.authorization.k8s.io/v1.PolicyRule`. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

export interface RbacSubject {
  readonly kind: "User" | "Group" | "ServiceAccount";
  readonly apiGroup?: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface RoleRef {
  readonly apiGroup: string;
  readonly kind: "Role" | "ClusterRole";
  readonly name: string;
}

export interface RoleObject extends KubeObject {
  readonly rules?: readonly PolicyRule[];
}

export interface ClusterRoleObject extends KubeObject {
  readonly rules?: readonly PolicyRule[];
  readonly aggregationRule?: { readonly clusterRoleSelectors?: readonly LabelSelector[] };
}

export interface RoleBindingObject extends KubeObject {
  readonly roleRef: RoleRef;
  readonly subjects?: readonly RbacSubject[];
}

export interface ClusterRoleBindingObject extends KubeObject {
  readonly roleRef: RoleRef;
  readonly subjects?: readonly RbacSubject[];
}

/** One entry of `additionalPrinterColumns`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: "integer" | "number" | "string" | "boolean" | "date";
  readonly jsonPath: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
}

export interface CrdVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly deprecated?: boolean;
  readonly deprecationWarning?: string;
  readonly schema?: { readonly openAPIV3Schema?: JsonObject };
  readonly subresources?: {
    readonly status?: JsonObject;
    readonly scale?: {
      readonly specReplicasPath: string;
      readonly statusReplicasPath: string;
      readonly labelSelectorPath?: string;
    };
  };
  readonly additionalPrinterColumns?: readonly PrinterColumn[];
  readonly selectableFields?: readonly { readonly jsonPath: string }[];
}

export interface CrdNames {
  readonly plural: string;
  readonly kind: string;
  readonly singular?: string;
  readonly listKind?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

export interface CustomResourceDefinitionObject extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly names: CrdNames;
    readonly scope: "Namespaced" | "Cluster";
    readonly versions: readonly CrdVersion[];
    readonly conversion?: { readonly strategy: "None" | "Webhook"; readonly webhook?: JsonObject };
    readonly preserveUnknownFields?: boolean;
  };
  readonly status?: {
    readonly conditions?: readonly BuiltinCondition[];
    readonly acceptedNames?: CrdNames;
    readonly storedVersions?: readonly string[];
  };
}

/** A built-in object of which Seam knows only that it has `spec` and `status`. */
export interface SpecObject extends KubeObject {
  readonly spec?: JsonObject;
  readonly status?: JsonObject;
  readonly [field: string]: JsonValue | ObjectMeta | undefined;
}

function core<T extends KubeObject>(resource: string, kind: string, namespaced = true): ResourceType<T> {
  return { group: "", version: "v1", resource, kind, namespaced };
}

function grouped<T extends KubeObject>(
  group: string,
  resource: string,
  kind: string,
  namespaced = true,
): ResourceType<T> {
  return { group, version: "v1", resource, kind, namespaced };
}

const RBAC = "rbac.authorization.k8s.io";

export const Namespace = core<NamespaceObject>("namespaces", "Namespace", false);
export const Node = core<NodeObject>("nodes", "Node", false);
export const ConfigMap = core<ConfigMapObject>("configmaps", "ConfigMap");
export const Secret = core<SecretObject>("secrets", "Secret");
export const ServiceAccount = core<ServiceAccountObject>("serviceaccounts", "ServiceAccount");
export const Event = core<EventObject>("events", "Event");
export const Pod = core<PodObject>("pods", "Pod");
export const Service = core<ServiceObject>("services", "Service");
export const PersistentVolumeClaim = core<PersistentVolumeClaimObject>(
  "persistentvolumeclaims",
  "PersistentVolumeClaim",
);
export const PersistentVolume = core<SpecObject>("persistentvolumes", "PersistentVolume", false);

export const Lease = grouped<LeaseObject>("coordination.k8s.io", "leases", "Lease");
export const Deployment = grouped<DeploymentObject>("apps", "deployments", "Deployment");
export const ReplicaSet = grouped<ReplicaSetObject>("apps", "replicasets", "ReplicaSet");
export const StatefulSet = grouped<StatefulSetObject>("apps", "statefulsets", "StatefulSet");
export const DaemonSet = grouped<DaemonSetObject>("apps", "daemonsets", "DaemonSet");
export const Job = grouped<JobObject>("batch", "jobs", "Job");
export const CronJob = grouped<CronJobObject>("batch", "cronjobs", "CronJob");
export const Ingress = grouped<SpecObject>("networking.k8s.io", "ingresses", "Ingress");
export const NetworkPolicy = grouped<SpecObject>("networking.k8s.io", "networkpolicies", "NetworkPolicy");
export const PodDisruptionBudget = grouped<SpecObject>("policy", "poddisruptionbudgets", "PodDisruptionBudget");

export const Role = grouped<RoleObject>(RBAC, "roles", "Role");
export const RoleBinding = grouped<RoleBindingObject>(RBAC, "rolebindings", "RoleBinding");
export const ClusterRole = grouped<ClusterRoleObject>(RBAC, "clusterroles", "ClusterRole", false);
export const ClusterRoleBinding = grouped<ClusterRoleBindingObject>(
  RBAC,
  "clusterrolebindings",
  "ClusterRoleBinding",
  false,
);

export const CustomResourceDefinition = grouped<CustomResourceDefinitionObject>(
  "apiextensions.k8s.io",
  "customresourcedefinitions",
  "CustomResourceDefinition",
  false,
);
export const ValidatingWebhookConfiguration = grouped<SpecObject>(
  "admissionregistration.k8s.io",
  "validatingwebhookconfigurations",
  "ValidatingWebhookConfiguration",
  false,
);
export const MutatingWebhookConfiguration = grouped<SpecObject>(
  "admissionregistration.k8s.io",
  "mutatingwebhookconfigurations",
  "MutatingWebhookConfiguration",
  false,
);
export const StorageClass = grouped<SpecObject>("storage.k8s.io", "storageclasses", "StorageClass", false);
export const PriorityClass = grouped<SpecObject>("scheduling.k8s.io", "priorityclasses", "PriorityClass", false);
