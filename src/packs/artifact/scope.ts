import { type JsonObject, isJsonObject } from "../../base/json.ts";
import { groupOf, type PackObject } from "./pack-object.ts";

/** Whether objects of a kind live in namespaces. */
export type Scope = "Namespaced" | "Cluster";

const CLUSTER_SCOPED: Readonly<Record<string, readonly string[]>> = {
  "": ["Namespace", "Node", "PersistentVolume", "ComponentStatus"],
  "admissionregistration.k8s.io": [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
  ],
  "apiextensions.k8s.io": ["CustomResourceDefinition"],
  "apiregistration.k8s.io": ["APIService"],
  "authentication.k8s.io": ["TokenReview", "SelfSubjectReview"],
  "authorization.k8s.io": ["SubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview"],
  "certificates.k8s.io": ["CertificateSigningRequest", "ClusterTrustBundle"],
  "flowcontrol.apiserver.k8s.io": ["FlowSchema", "PriorityLevelConfiguration"],
  "networking.k8s.io": ["IngressClass", "IPAddress", "ServiceCIDR"],
  "node.k8s.io": ["RuntimeClass"],
  policy: ["PodSecurityPolicy"],
  "rbac.authorization.k8s.io": ["ClusterRole", "ClusterRoleBinding"],
  "resource.k8s.io": ["DeviceClass", "ResourceSlice"],
  "scheduling.k8s.io": ["PriorityClass"],
  "storage.k8s.io": ["StorageClass", "VolumeAttachment", "CSIDriver", "CSINode", "VolumeAttributesClass"],
  "cert-manager.io": ["ClusterIssuer"],
};

const NAMESPACED: Readonly<Record<string, readonly string[]>> = {
  "": [
    "ConfigMap",
    "Endpoints",
    "LimitRange",
    "PersistentVolumeClaim",
    "Pod",
    "PodTemplate",
    "ReplicationController",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount",
  ],
  apps: ["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
  autoscaling: ["HorizontalPodAutoscaler"],
  batch: ["CronJob", "Job"],
  "coordination.k8s.io": ["Lease"],
  "discovery.k8s.io": ["EndpointSlice"],
  "networking.k8s.io": ["Ingress", "NetworkPolicy"],
  policy: ["PodDisruptionBudget"],
  "rbac.authorization.k8s.io": ["Role", "RoleBinding"],
  "storage.k8s.io": ["CSIStorageCapacity"],
};

/** Scope of a built-in kind; undefined when the table does not know it. */
export function builtinScope(group: string, kind: string): Scope | undefined {
  if (CLUSTER_SCOPED[group]?.includes(kind)) return "Cluster";
  return NAMESPACED[group]?.includes(kind) ? "Namespaced" : undefined;
}

/** Scopes that the CRDs among `objects` declare, by `group/Kind`. */
export function scopesFromCrds(objects: Iterable<PackObject>): ReadonlyMap<string, Scope> {
  const scopes = new Map<string, Scope>();
  for (const object of objects) {
    const crd = crdOf(object);
    if (crd) scopes.set(`${crd.group}/${crd.kind}`, crd.scope);
  }
  return scopes;
}

/** What a CRD defines; undefined for anything that is no readable CRD. */
export function crdOf(
  object: PackObject,
): { readonly group: string; readonly kind: string; readonly scope: Scope } | undefined {
  if (object.kind !== "CustomResourceDefinition" || groupOf(object) !== "apiextensions.k8s.io") return undefined;
  const spec = object["spec"];
  if (!isJsonObject(spec)) return undefined;
  const names: unknown = spec["names"];
  const kind = isJsonObject(names) ? (names as JsonObject)["kind"] : undefined;
  const { group, scope } = spec;
  if (typeof group !== "string" || typeof kind !== "string") return undefined;
  return scope === "Cluster" || scope === "Namespaced" ? { group, kind, scope } : undefined;
}
