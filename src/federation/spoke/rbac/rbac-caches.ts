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
import type { KubeObject } from "../../../api/object.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";

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
export function startRbacCaches(parts: {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}): RbacCaches {
  const informer = <T extends KubeObject>(type: ResourceType<T>): Informer<T> => startInformer({ ...parts, type });
  const namespaces = informer(Namespace);
  const roles = informer(Role);
  const clusterRoles = informer(ClusterRole);
  const roleBindings = informer(RoleBinding);
  const clusterRoleBindings = informer(ClusterRoleBinding);
  const all = [namespaces, roles, clusterRoles, roleBindings, clusterRoleBindings];
  return {
    namespaces,
    roles,
    clusterRoles,
    roleBindings,
    clusterRoleBindings,
    synced: Promise.all(all.map(({ synced }) => synced)).then(() => {}),
    closed: Promise.all(all.map(({ closed }) => closed)).then(() => {}),
  };
}

/** Namespaces in which something can be created. */
export function liveNamespaces({ namespaces }: Pick<RbacCaches, "namespaces">): readonly string[] {
  return namespaces
    .list()
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.name);
}
