import type {
  ClusterRoleBindingObject,
  ClusterRoleObject,
  PolicyRule,
  RbacSubject,
  RoleBindingObject,
} from "../../api/builtin.ts";
import { ANNOTATIONS, LABELS } from "../../api/names.ts";
import type { KubeObject } from "../../api/object.ts";

/** RBAC objects that the plane writes. Roles are ClusterRoles always: a RoleBinding may refer to one, and URL rules need one. */
export type MaterialisedObject = ClusterRoleObject | ClusterRoleBindingObject | RoleBindingObject;

/** First part of the name of every object the plane materialises. */
export const MATERIALISED_PREFIX = "seam:";
/** Value of the managed-by label and of the owner annotation. */
export const GUARDIAN = "guardian";

/**
 * True for an object that the plane wrote itself. The annotation alone proves nothing: packs carry it on their own RBAC, and anybody can
 * type it. Nothing else is ever changed or removed.
 */
export function isMaterialised({ metadata }: KubeObject): boolean {
  return (
    metadata.name.startsWith(MATERIALISED_PREFIX) &&
    metadata.labels?.[LABELS.rbacManagedBy] === GUARDIAN &&
    metadata.annotations?.[ANNOTATIONS.rbacOwner] === GUARDIAN
  );
}

/** `Kind namespace/name` or `Kind name`: key of an object among those of one cluster. */
export function materialisedKey({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`;
}

/** What an RBAC object says, in one text: two with equal texts need no write. */
export function rbacText(object: {
  readonly rules?: readonly PolicyRule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly RbacSubject[];
}): string {
  const rule = ({ apiGroups, nonResourceURLs, resourceNames, resources, verbs }: PolicyRule) => [
    apiGroups ?? [],
    nonResourceURLs ?? [],
    resourceNames ?? [],
    resources ?? [],
    verbs,
  ];
  return JSON.stringify([
    (object.rules ?? []).map(rule),
    object.roleRef === undefined ? [] : [object.roleRef.kind, object.roleRef.name],
    (object.subjects ?? []).map(({ kind, namespace, name }) => [kind, namespace ?? "", name]),
  ]);
}
