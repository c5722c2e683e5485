import type { ClusterRoleBindingObject, ClusterRoleObject } from "../../../src/api/builtin.ts";
import type { SurfaceFacts } from "../../../src/federation/spoke/rbac/surface-facts.ts";
import { compareSurface } from "../../../src/permissions/surface/compare-surface.ts";
import { rbacSurface } from "../../../src/permissions/surface/rbac-surface.ts";
import type { SnapshotContent } from "../../../src/permissions/snapshot/content.ts";
import { type Expected, principalOf } from "./declared-permissions.ts";

const ROLE = "by-hand";

/** What somebody bound by hand on a tenant to the principal of its snapshot, and how that differs (permissions §10.5). It outlives every process. */
export class TenantSurface {
  readonly #cluster: string;
  /** Verbs with pods that the tenant's own RBAC grants the principal. */
  verbs: readonly string[] = [];

  constructor(cluster: string) {
    this.#cluster = cluster;
  }

  /** Compares as an agent does; true when it finds something else than before. */
  look(facts: SurfaceFacts, content: SnapshotContent, nowMs: number): boolean {
    const clusterRoles: readonly ClusterRoleObject[] = [
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: ROLE },
        rules: [{ apiGroups: [""], resources: ["pods"], verbs: [...this.verbs] }],
      },
    ];
    const clusterRoleBindings: readonly ClusterRoleBindingObject[] = [
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        metadata: { name: ROLE },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: ROLE },
        subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: principalOf(this.#cluster) }],
      },
    ];
    const bound = this.verbs.length > 0;
    const surface = rbacSurface({
      clusterRoles: bound ? clusterRoles : [],
      clusterRoleBindings: bound ? clusterRoleBindings : [],
      roles: [],
      roleBindings: [],
    });
    return facts.say(compareSurface(content, { surface, namespaces: ["a"], nowMs }), "");
  }

  /** Whether something is granted beyond what stands, and whether something that stands is missing, said without any rule algebra. */
  drift({ verbs, governed, more, bound }: Expected): { readonly excess: boolean; readonly missing: boolean } {
    return {
      excess: governed && this.verbs.some((verb) => !verbs.has(verb)),
      missing: verbs.size > 0 && (more || bound || [...verbs].some((verb) => !this.verbs.includes(verb))),
    };
  }
}
