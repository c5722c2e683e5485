import { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { PermissionWorld } from "../../governance/engine/permission-world.ts";

const PAGE = 500;
/** Name of the management cluster where no TalosCluster says it (MANAGEMENT_CLUSTER_NAME, permissions §0). */
const DEFAULT_MANAGEMENT_CLUSTER = "ccs-mgmt";

/** Everything that permissions are computed from, as it stands on the management cluster now. */
export async function readPermissionWorld(cluster: Cluster): Promise<PermissionWorld> {
  const [clusters, sets, policies, providers, profiles, bindings] = await Promise.all([
    listAll(cluster, TalosCluster),
    listAll(cluster, PermissionSet),
    listAll(cluster, RBACPolicy),
    listAll(cluster, IdentityProvider),
    listAll(cluster, RBACProfile),
    listAll(cluster, IdentityBinding),
  ]);
  const management = clusters.find(({ spec }) => spec.role === "management");
  const managementCluster = management?.metadata.name ?? DEFAULT_MANAGEMENT_CLUSTER;
  return { clusters, sets, policies, providers, profiles, bindings, managementCluster };
}

/** Every object of a kind, page by page. */
export async function listAll<T extends KubeObject>(
  cluster: Cluster,
  type: ResourceType<T>,
  labelSelector?: string,
): Promise<readonly T[]> {
  const found: T[] = [];
  const options = { limit: PAGE, ...(labelSelector !== undefined && { labelSelector }) };
  let page = await cluster.list(type, options);
  for (;;) {
    for (const object of page.items) found.push(object);
    if (page.continue === undefined || page.continue === "") return found;
    page = await cluster.list(type, { ...options, continue: page.continue });
  }
}
