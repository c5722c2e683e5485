/** The three parts of an artifact, in the order of the checksum (dispatcher §7.1, §7.2). */
export const BUCKETS = ["rbac", "cluster-scoped", "workload"] as const;

/** One of {@link BUCKETS}. */
export type Bucket = (typeof BUCKETS)[number];

const RBAC_GROUP = "rbac.authorization.k8s.io";
const RBAC_KINDS = new Set(["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"]);

/** True for the kinds of the rbac bucket, matched by group and kind. */
export function isRbac(group: string, kind: string): boolean {
  return (group === RBAC_GROUP && RBAC_KINDS.has(kind)) || (group === "" && kind === "ServiceAccount");
}

/** Bucket of an object (dispatcher §7.1): Namespace is workload, every other cluster-scoped kind that is not RBAC is cluster-scoped. */
export function bucketOf(group: string, kind: string, namespaced: boolean): Bucket {
  if (isRbac(group, kind)) return "rbac";
  if (namespaced || (group === "" && kind === "Namespace")) return "workload";
  return "cluster-scoped";
}
