import type { JsonObject } from "../../../base/json.ts";
import type { NameRule } from "../metadata/names.ts";
import { SchemaNode } from "../schema/schema-node.ts";
import { configMapRules, secretRules } from "./rules/configuration.ts";
import { customResourceDefinitionRules } from "./rules/custom-resource-definition.ts";
import { namespaceRules } from "./rules/namespace.ts";
import { roleBindingRules } from "./rules/rbac.ts";
import { serviceRules } from "./rules/service.ts";
import {
  cronJobRules,
  daemonSetRules,
  deploymentRules,
  jobRules,
  podRules,
  replicaSetRules,
  statefulSetRules,
} from "./rules/workloads.ts";
import { collectionId, type KindRules, type ScalePaths, type ServedResource } from "./served-resource.ts";
import * as configuration from "./shapes/configuration.ts";
import { withMetadata } from "./shapes/shape.ts";
import * as workloads from "./shapes/workloads.ts";

/** Verbs of every resource that is stored. */
export const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;

interface Row {
  readonly group?: string;
  readonly version?: string;
  readonly resource: string;
  readonly kind: string;
  readonly scope?: "Cluster";
  readonly short?: readonly string[];
  readonly categories?: readonly string[];
  readonly status?: true;
  readonly scale?: true;
  readonly generation?: true;
  readonly names?: NameRule;
  readonly fields?: readonly string[];
  readonly shape?: JsonObject;
  readonly rules?: KindRules;
}

const APPS = "apps";
const BATCH = "batch";
const RBAC = "rbac.authorization.k8s.io";
const NETWORKING = "networking.k8s.io";
const ADMISSION = "admissionregistration.k8s.io";
const ALL = ["all"] as const;

const SCALE: ScalePaths = {
  specReplicas: ["spec", "replicas"],
  statusReplicas: ["status", "replicas"],
  labelSelector: ["status", "selector"],
};

const ROWS: readonly Row[] = [
  {
    resource: "namespaces",
    kind: "Namespace",
    scope: "Cluster",
    short: ["ns"],
    status: true,
    names: "label",
    fields: ["status.phase"],
    shape: configuration.namespace,
    rules: namespaceRules,
  },
  {
    resource: "nodes",
    kind: "Node",
    scope: "Cluster",
    short: ["no"],
    status: true,
    fields: ["spec.unschedulable"],
    shape: configuration.node,
  },
  { resource: "configmaps", kind: "ConfigMap", short: ["cm"], shape: configuration.configMap, rules: configMapRules },
  { resource: "secrets", kind: "Secret", fields: ["type"], shape: configuration.secret, rules: secretRules },
  { resource: "serviceaccounts", kind: "ServiceAccount", short: ["sa"], shape: configuration.serviceAccount },
  {
    resource: "events",
    kind: "Event",
    short: ["ev"],
    fields: [
      "involvedObject.kind",
      "involvedObject.namespace",
      "involvedObject.name",
      "involvedObject.uid",
      "involvedObject.apiVersion",
      "involvedObject.resourceVersion",
      "involvedObject.fieldPath",
      "reason",
      "reportingComponent",
      "source",
      "type",
    ],
    shape: configuration.event,
  },
  {
    resource: "pods",
    kind: "Pod",
    short: ["po"],
    categories: ALL,
    status: true,
    generation: true,
    fields: [
      "spec.nodeName",
      "spec.restartPolicy",
      "spec.schedulerName",
      "spec.serviceAccountName",
      "spec.hostNetwork",
      "status.phase",
      "status.podIP",
      "status.nominatedNodeName",
    ],
    shape: workloads.pod,
    rules: podRules,
  },
  { resource: "podtemplates", kind: "PodTemplate", shape: workloads.podTemplateObject },
  {
    resource: "services",
    kind: "Service",
    short: ["svc"],
    categories: ALL,
    status: true,
    names: "label1035",
    fields: ["spec.clusterIP", "spec.type"],
    shape: workloads.service,
    rules: serviceRules,
  },
  { resource: "endpoints", kind: "Endpoints", short: ["ep"] },
  {
    resource: "persistentvolumeclaims",
    kind: "PersistentVolumeClaim",
    short: ["pvc"],
    status: true,
    shape: workloads.persistentVolumeClaim,
  },
  {
    resource: "persistentvolumes",
    kind: "PersistentVolume",
    scope: "Cluster",
    short: ["pv"],
    status: true,
    shape: configuration.plain,
  },
  { resource: "resourcequotas", kind: "ResourceQuota", short: ["quota"], status: true, shape: configuration.plain },
  { resource: "limitranges", kind: "LimitRange", short: ["limits"], shape: configuration.plain },
  {
    resource: "replicationcontrollers",
    kind: "ReplicationController",
    short: ["rc"],
    categories: ALL,
    status: true,
    generation: true,
    shape: configuration.plain,
  },
  {
    group: APPS,
    resource: "deployments",
    kind: "Deployment",
    short: ["deploy"],
    categories: ALL,
    status: true,
    scale: true,
    generation: true,
    shape: workloads.deployment,
    rules: deploymentRules,
  },
  {
    group: APPS,
    resource: "replicasets",
    kind: "ReplicaSet",
    short: ["rs"],
    categories: ALL,
    status: true,
    scale: true,
    generation: true,
    fields: ["status.replicas"],
    shape: workloads.replicaSet,
    rules: replicaSetRules,
  },
  {
    group: APPS,
    resource: "statefulsets",
    kind: "StatefulSet",
    short: ["sts"],
    categories: ALL,
    status: true,
    scale: true,
    generation: true,
    shape: workloads.statefulSet,
    rules: statefulSetRules,
  },
  {
    group: APPS,
    resource: "daemonsets",
    kind: "DaemonSet",
    short: ["ds"],
    categories: ALL,
    status: true,
    generation: true,
    shape: workloads.daemonSet,
    rules: daemonSetRules,
  },
  { group: APPS, resource: "controllerrevisions", kind: "ControllerRevision" },
  {
    group: BATCH,
    resource: "jobs",
    kind: "Job",
    categories: ALL,
    status: true,
    generation: true,
    fields: ["status.successful"],
    shape: workloads.job,
    rules: jobRules,
  },
  {
    group: BATCH,
    resource: "cronjobs",
    kind: "CronJob",
    short: ["cj"],
    categories: ALL,
    status: true,
    generation: true,
    shape: workloads.cronJob,
    rules: cronJobRules,
  },
  { group: "coordination.k8s.io", resource: "leases", kind: "Lease", shape: configuration.lease },
  { group: "discovery.k8s.io", resource: "endpointslices", kind: "EndpointSlice" },
  {
    group: NETWORKING,
    resource: "ingresses",
    kind: "Ingress",
    short: ["ing"],
    status: true,
    generation: true,
    shape: configuration.ingress,
  },
  { group: NETWORKING, resource: "ingressclasses", kind: "IngressClass", scope: "Cluster", generation: true },
  {
    group: NETWORKING,
    resource: "networkpolicies",
    kind: "NetworkPolicy",
    short: ["netpol"],
    generation: true,
    shape: configuration.networkPolicy,
  },
  {
    group: "policy",
    resource: "poddisruptionbudgets",
    kind: "PodDisruptionBudget",
    short: ["pdb"],
    status: true,
    generation: true,
    shape: configuration.disruptionBudget,
  },
  {
    group: "autoscaling",
    version: "v2",
    resource: "horizontalpodautoscalers",
    kind: "HorizontalPodAutoscaler",
    short: ["hpa"],
    categories: ALL,
    status: true,
    shape: configuration.autoscaler,
  },
  { group: RBAC, resource: "roles", kind: "Role", names: "path", shape: configuration.role },
  {
    group: RBAC,
    resource: "rolebindings",
    kind: "RoleBinding",
    names: "path",
    shape: configuration.roleBinding,
    rules: roleBindingRules,
  },
  {
    group: RBAC,
    resource: "clusterroles",
    kind: "ClusterRole",
    scope: "Cluster",
    names: "path",
    shape: configuration.role,
  },
  {
    group: RBAC,
    resource: "clusterrolebindings",
    kind: "ClusterRoleBinding",
    scope: "Cluster",
    names: "path",
    shape: configuration.roleBinding,
    rules: roleBindingRules,
  },
  {
    group: "apiextensions.k8s.io",
    resource: "customresourcedefinitions",
    kind: "CustomResourceDefinition",
    scope: "Cluster",
    short: ["crd", "crds"],
    categories: ["api-extensions"],
    status: true,
    generation: true,
    shape: configuration.customResourceDefinition,
    rules: customResourceDefinitionRules,
  },
  {
    group: "apiregistration.k8s.io",
    resource: "apiservices",
    kind: "APIService",
    scope: "Cluster",
    categories: ["api-extensions"],
    status: true,
  },
  {
    group: ADMISSION,
    resource: "validatingwebhookconfigurations",
    kind: "ValidatingWebhookConfiguration",
    scope: "Cluster",
    categories: ["api-extensions"],
    generation: true,
    shape: configuration.validatingWebhooks,
  },
  {
    group: ADMISSION,
    resource: "mutatingwebhookconfigurations",
    kind: "MutatingWebhookConfiguration",
    scope: "Cluster",
    categories: ["api-extensions"],
    generation: true,
    shape: configuration.mutatingWebhooks,
  },
  {
    group: ADMISSION,
    resource: "validatingadmissionpolicies",
    kind: "ValidatingAdmissionPolicy",
    scope: "Cluster",
    categories: ["api-extensions"],
    status: true,
    generation: true,
  },
  {
    group: ADMISSION,
    resource: "validatingadmissionpolicybindings",
    kind: "ValidatingAdmissionPolicyBinding",
    scope: "Cluster",
    categories: ["api-extensions"],
    generation: true,
  },
  {
    group: "storage.k8s.io",
    resource: "storageclasses",
    kind: "StorageClass",
    scope: "Cluster",
    short: ["sc"],
    shape: configuration.storageClass,
  },
  { group: "storage.k8s.io", resource: "csidrivers", kind: "CSIDriver", scope: "Cluster" },
  {
    group: "scheduling.k8s.io",
    resource: "priorityclasses",
    kind: "PriorityClass",
    scope: "Cluster",
    short: ["pc"],
    generation: true,
    shape: configuration.priorityClass,
  },
  { group: "node.k8s.io", resource: "runtimeclasses", kind: "RuntimeClass", scope: "Cluster" },
  {
    group: "certificates.k8s.io",
    resource: "certificatesigningrequests",
    kind: "CertificateSigningRequest",
    scope: "Cluster",
    short: ["csr"],
    status: true,
    fields: ["spec.signerName"],
  },
  {
    group: "flowcontrol.apiserver.k8s.io",
    resource: "flowschemas",
    kind: "FlowSchema",
    scope: "Cluster",
    status: true,
    generation: true,
  },
  {
    group: "flowcontrol.apiserver.k8s.io",
    resource: "prioritylevelconfigurations",
    kind: "PriorityLevelConfiguration",
    scope: "Cluster",
    status: true,
    generation: true,
  },
];

/** OpenAPI form of a built-in kind: its members are not enumerated, so clients must keep what they do not know. */
const OPEN_API: JsonObject = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

function served(row: Row): ServedResource {
  const group = row.group ?? "";
  const status = row.status === true;
  const scale = row.scale === true ? SCALE : undefined;
  return {
    group,
    version: row.version ?? "v1",
    resource: row.resource,
    kind: row.kind,
    namespaced: row.scope !== "Cluster",
    singular: row.kind.toLowerCase(),
    shortNames: row.short ?? [],
    categories: row.categories ?? [],
    verbs: VERBS,
    subresources: [...(status ? ["status"] : []), ...(scale ? ["scale"] : [])],
    collection: collectionId(group, row.resource),
    storageVersion: row.version ?? "v1",
    nameRule: row.names ?? "subdomain",
    statusSubresource: status,
    scale,
    generation: row.generation === true ? "all" : "none",
    selectableFields: new Set(row.fields),
    printerColumns: [],
    schema: new SchemaNode(withMetadata(row.shape ?? OPEN_API)),
    openApiSchema: OPEN_API,
    custom: false,
    prunes: false,
    rules: row.rules ?? {},
    terminating: false,
  };
}

/** The built-in kinds, freshly built: their schema nodes are caches of one cluster. */
export function builtinResources(): readonly ServedResource[] {
  return ROWS.map(served);
}
