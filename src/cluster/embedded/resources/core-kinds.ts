import type { BuiltinKind } from "./builtin-kind.ts";
import { configMapRules, secretRules } from "./rules/configuration.ts";
import { eventRules } from "./rules/coordination.ts";
import { claimRules } from "./rules/storage-and-disruption.ts";
import { namespaceRules } from "./rules/namespace.ts";
import { serviceRules } from "./rules/service.ts";
import { podRules } from "./rules/workloads.ts";
import * as configuration from "./shapes/configuration.ts";
import * as workloads from "./shapes/workloads.ts";

const ALL = ["all"] as const;

/** Kinds of the core group. */
export const CORE_KINDS: readonly BuiltinKind[] = [
  {
    resource: "namespaces",
    kind: "Namespace",
    scope: "Cluster",
    short: ["ns"],
    status: true,
    finalize: true,
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
    rules: eventRules,
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
    initialStatus: { loadBalancer: {} },
    short: ["svc"],
    categories: ALL,
    status: true,
    names: "label",
    fields: ["spec.clusterIP", "spec.type"],
    shape: workloads.service,
    rules: serviceRules,
  },
  { resource: "endpoints", kind: "Endpoints", short: ["ep"] },
  {
    resource: "persistentvolumeclaims",
    kind: "PersistentVolumeClaim",
    initialStatus: { phase: "Pending" },
    short: ["pvc"],
    status: true,
    shape: workloads.persistentVolumeClaim,
    rules: claimRules,
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
];
