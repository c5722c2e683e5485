import type {
  ClusterRoleBindingObject,
  ClusterRoleObject,
  RbacSubject,
  RoleBindingObject,
  RoleObject,
} from "../../api/builtin.ts";
import type { PlacedRules } from "../reach/reach.ts";
import { type Rule, ruleOf } from "../rules/rule.ts";
import { subjectSortKey } from "../snapshot/content.ts";

/** The RBAC objects of one cluster. */
export interface RbacObjects {
  readonly roles: Iterable<RoleObject>;
  readonly clusterRoles: Iterable<ClusterRoleObject>;
  readonly roleBindings: Iterable<RoleBindingObject>;
  readonly clusterRoleBindings: Iterable<ClusterRoleBindingObject>;
}

/** What one binding of the cluster gives a subject. */
export interface SurfaceGrant extends PlacedRules {
  /** `ClusterRoleBinding name` or `RoleBinding namespace/name`. */
  readonly binding: string;
  /** The API server made it for itself (`kubernetes.io/bootstrapping`). */
  readonly bootstrap: boolean;
}

/** Grants by the key of their subject, as {@link subjectSortKey} writes it. */
export type RbacSurface = ReadonlyMap<string, readonly SurfaceGrant[]>;

const BOOTSTRAPPING = "kubernetes.io/bootstrapping";
const NO_RULES: readonly Rule[] = [];

/** What a cluster's own authorizer grants, by subject (permissions §5.4); a binding to a role that does not exist grants nothing. Pure. */
export function rbacSurface(objects: RbacObjects): RbacSurface {
  const roles = new Map<string, readonly Rule[]>();
  const rulesOf = ({ rules = [] }: RoleObject): readonly Rule[] => rules.map(ruleOf);
  for (const role of objects.roles) roles.set(`${role.metadata.namespace ?? ""}/${role.metadata.name}`, rulesOf(role));
  for (const role of objects.clusterRoles) roles.set(`/${role.metadata.name}`, rulesOf(role));
  const surface = new Map<string, SurfaceGrant[]>();
  const add = (subjects: readonly RbacSubject[] | undefined, grant: SurfaceGrant, home: string): void => {
    for (const subject of subjects ?? []) {
      const key = keyOfSubject(subject, home);
      const held = surface.get(key);
      if (held === undefined) surface.set(key, [grant]);
      else held.push(grant);
    }
  };
  for (const { metadata, roleRef, subjects } of objects.clusterRoleBindings)
    add(
      subjects,
      {
        scope: "cluster",
        namespaces: [],
        rules: roles.get(`/${roleRef.name}`) ?? NO_RULES,
        binding: `ClusterRoleBinding ${metadata.name}`,
        bootstrap: metadata.labels?.[BOOTSTRAPPING] !== undefined,
      },
      "",
    );
  for (const { metadata, roleRef, subjects } of objects.roleBindings) {
    const { namespace = "" } = metadata;
    const home = roleRef.kind === "Role" ? namespace : "";
    add(
      subjects,
      {
        scope: "namespaced",
        namespaces: [namespace],
        rules: roles.get(`${home}/${roleRef.name}`) ?? NO_RULES,
        binding: `RoleBinding ${namespace}/${metadata.name}`,
        bootstrap: metadata.labels?.[BOOTSTRAPPING] !== undefined,
      },
      namespace,
    );
  }
  return surface;
}

/** A namespace-less account of a RoleBinding is one of its own namespace; of a ClusterRoleBinding it is nobody (permissions §5.5). */
function keyOfSubject({ kind, namespace, name }: RbacSubject, home: string): string {
  return subjectSortKey({ kind, namespace: kind === "ServiceAccount" ? (namespace ?? home) : "", name });
}
