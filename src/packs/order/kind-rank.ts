import { isRbac } from "../artifact/bucket.ts";
import { groupOf } from "../artifact/pack-object.ts";
import { builtinScope } from "../artifact/scope.ts";
import type { StageName } from "../manifest/pack-manifest.ts";

/** Kinds in the order in which they are applied within a stage (dispatcher §8.4). */
const RANKS: readonly (readonly string[])[] = [
  ["/Namespace"],
  ["apiextensions.k8s.io/CustomResourceDefinition"],
  ["scheduling.k8s.io/PriorityClass"],
  ["storage.k8s.io/StorageClass"],
  [], // other cluster-scoped kinds
  ["/ServiceAccount"],
  ["rbac.authorization.k8s.io/Role", "rbac.authorization.k8s.io/ClusterRole"],
  ["rbac.authorization.k8s.io/RoleBinding", "rbac.authorization.k8s.io/ClusterRoleBinding"],
  ["/LimitRange", "/ResourceQuota"],
  ["/ConfigMap"],
  ["/Secret"],
  ["/PersistentVolumeClaim"],
  ["/Service"],
  ["apps/DaemonSet"],
  ["apps/StatefulSet"],
  ["batch/Job"],
  ["batch/CronJob"],
  ["apps/Deployment"],
  [], // other namespaced built-in kinds
  ["autoscaling/HorizontalPodAutoscaler", "policy/PodDisruptionBudget"],
  ["networking.k8s.io/Ingress"],
  [], // custom resources
  [
    "admissionregistration.k8s.io/MutatingWebhookConfiguration",
    "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
    "apiregistration.k8s.io/APIService",
  ],
];
const OTHER_CLUSTER_SCOPED = 4;
const OTHER_NAMESPACED = 18;
const CUSTOM_RESOURCES = 21;
const WEBHOOKS = 22;
const RANK_OF = new Map(RANKS.flatMap((kinds, rank) => kinds.map((kind) => [kind, rank] as const)));

const STORAGE = new Set(["/PersistentVolumeClaim", "storage.k8s.io/StorageClass"]);
const STATEFUL = new Set(["apps/StatefulSet", "apps/DaemonSet", "batch/Job", "batch/CronJob"]);
/** Kinds a workload may need before it can start and that never wait for one: applied before every stage. */
const SUPPORTING = new Set(["/ConfigMap", "/Secret", "/Service", "/LimitRange", "/ResourceQuota"]);

/** What the order looks at. */
interface Kinded {
  readonly apiVersion: string;
  readonly kind: string;
}

function key(object: Kinded): string {
  return `${groupOf(object)}/${object.kind}`;
}

/** Position of a kind in the order of dispatcher §8.4; equal ranks are applied together. */
export function kindRank(object: Kinded): number {
  const rank = RANK_OF.get(key(object));
  if (rank !== undefined) return rank;
  const scope = builtinScope(groupOf(object), object.kind);
  if (scope === undefined || isThirdParty(object)) return CUSTOM_RESOURCES;
  return scope === "Cluster" ? OTHER_CLUSTER_SCOPED : OTHER_NAMESPACED;
}

/** True for kinds no API server has by itself: something that the pack or another one installs serves them. */
export function isCustomResource(object: Kinded): boolean {
  return kindRank(object) === CUSTOM_RESOURCES;
}

/** True for admission webhooks and API services: applied last, because they can block everything else. */
export function isWebhookOrApiService(object: Kinded): boolean {
  return kindRank(object) === WEBHOOKS;
}

/** True for CustomResourceDefinitions. */
export function isCrd(object: Kinded): boolean {
  return key(object) === "apiextensions.k8s.io/CustomResourceDefinition";
}

/** True for Namespaces. */
export function isNamespace(object: Kinded): boolean {
  return key(object) === "/Namespace";
}

/** True for kinds that are applied before all stages unless pinned to one. */
export function isSupporting(object: Kinded): boolean {
  return SUPPORTING.has(key(object));
}

/** Stage of a kind (dispatcher §7.3). */
export function stageOf(object: Kinded): StageName {
  if (isRbac(groupOf(object), object.kind)) return "rbac";
  if (STORAGE.has(key(object))) return "storage";
  return STATEFUL.has(key(object)) ? "stateful" : "stateless";
}

/** Known third-party kinds stand in the scope table only for their scope. */
function isThirdParty(object: Kinded): boolean {
  return groupOf(object) === "cert-manager.io";
}
