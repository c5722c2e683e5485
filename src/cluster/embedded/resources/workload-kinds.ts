import type { BuiltinKind } from "./builtin-kind.ts";
import {
  cronJobRules,
  daemonSetRules,
  deploymentRules,
  jobRules,
  replicaSetRules,
  statefulSetRules,
} from "./rules/workloads.ts";
import * as workloads from "./shapes/workloads.ts";

const APPS = "apps";
const BATCH = "batch";
const ALL = ["all"] as const;

/** Kinds of the groups apps and batch. */
export const WORKLOAD_KINDS: readonly BuiltinKind[] = [
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
];
