import {
  ClusterRole,
  ClusterRoleBinding,
  type ClusterRoleBindingObject,
  type ClusterRoleObject,
  Namespace,
  type NamespaceObject,
  Role,
  RoleBinding,
  type RoleBindingObject,
  type RoleObject,
} from "../../../api/builtin.ts";
import type { Informer } from "../../../controller/cache/informer.ts";
import { InformerSet, type InformerSetParts } from "../../../controller/cache/informer-set.ts";

/** Watch-fed caches of everything the authorizer of a cluster looks at, and its namespaces. */
export interface RbacCaches {
  readonly namespaces: Informer<NamespaceObject>;
  readonly roles: Informer<RoleObject>;
  readonly clusterRoles: Informer<ClusterRoleObject>;
  readonly roleBindings: Informer<RoleBindingObject>;
  readonly clusterRoleBindings: Informer<ClusterRoleBindingObject>;
  /** Resolves when all of them have synced. */
  readonly synced: Promise<void>;
  /** Resolves when the signal has aborted and every watch is closed. */
  readonly closed: Promise<void>;
}

/** Starts the caches. */
export function startRbacCaches(parts: InformerSetParts): RbacCaches {
  const informers = new InformerSet(parts);
  return {
    namespaces: informers.start(Namespace),
    roles: informers.start(Role),
    clusterRoles: informers.start(ClusterRole),
    roleBindings: informers.start(RoleBinding),
    clusterRoleBindings: informers.start(ClusterRoleBinding),
    synced: informers.synced,
    closed: informers.closed,
  };
}

/** Namespaces in which something can be created. */
export function liveNamespaces({ namespaces }: Pick<RbacCaches, "namespaces">): readonly string[] {
  return namespaces
    .list()
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.name);
}
