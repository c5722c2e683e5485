import { Namespace } from "../../api/builtin.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RunnerConfig } from "../../api/kinds/runner-config.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { LABELS, NAMESPACES, PERMISSION_LAYERS, tenantNamespace } from "../../api/names.ts";
import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster, Draft } from "../../cluster/cluster.ts";
import { MESH_TENANT_LABELS } from "../publish-pack.ts";
import { MANAGEMENT } from "./process-environment.ts";
import type { MeshSettings } from "./settings.ts";

/** Field manager of what `up` writes in the place of Platform and a person. */
export const SEED_MANAGER = "seamctl-up";
/** Executor image named by the RunnerConfigs of a mesh without containers. */
const DEVELOPMENT_IMAGE = "conductor:dev";

/** Creates an object that is not there yet; true when it was created. */
export async function createIfAbsent<T extends KubeObject>(
  cluster: Cluster,
  type: ResourceType<T>,
  object: Draft<T>,
): Promise<boolean> {
  try {
    await cluster.create(type, object, { fieldManager: SEED_MANAGER });
    return true;
  } catch (error) {
    if (isStatus(error, "AlreadyExists")) return false;
    throw error;
  }
}

/**
 * Registers the clusters of a mesh on management, as Platform would: the tenant's namespace, its TalosCluster and its RunnerConfig,
 * and the fleet's permission layer. Idempotent; what exists is left as it is.
 */
export async function registerClusters(management: Cluster, settings: MeshSettings): Promise<void> {
  await namespace(management, NAMESPACES.ont);
  await namespace(management, NAMESPACES.seam);
  await fleetLayer(management);
  await registerCluster(management, MANAGEMENT, NAMESPACES.seam, "management", settings.api);
  for (const tenant of settings.tenants) {
    const home = tenantNamespace(tenant.name);
    await namespace(management, home);
    await registerCluster(management, tenant.name, home, "tenant", tenant.api);
  }
}

async function namespace(cluster: Cluster, name: string): Promise<void> {
  await createIfAbsent(cluster, Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

/** The fleet's ceiling and policy, as the compiler writes them for a new fleet (compiler, layer 1); tightened by people, never here. */
async function fleetLayer(management: Cluster): Promise<void> {
  const { maximum, policy } = PERMISSION_LAYERS.fleet;
  const labels = { [LABELS.policyType]: "management", [LABELS.rbacManagedBy]: "compiler" };
  await createIfAbsent(management, PermissionSet, {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "PermissionSet",
    metadata: { name: maximum, namespace: NAMESPACES.seam, labels },
    spec: {
      description: "The most that may be granted anywhere in the fleet.",
      permissions: [
        {
          apiGroups: ["*"],
          resources: ["*"],
          verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
        },
      ],
    },
  });
  await createIfAbsent(management, RBACPolicy, {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "RBACPolicy",
    metadata: { name: policy, namespace: NAMESPACES.seam, labels },
    spec: {
      subjectScope: "platform",
      allowedClusters: ["*"],
      maximumPermissionSetRef: maximum,
      enforcementMode: "audit",
    },
  });
}

async function registerCluster(
  management: Cluster,
  name: string,
  home: string,
  role: "management" | "tenant",
  endpoint: string,
): Promise<void> {
  await createIfAbsent(management, TalosCluster, {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "TalosCluster",
    metadata: { name, namespace: home, ...(role === "tenant" && { labels: { ...MESH_TENANT_LABELS } }) },
    spec: { mode: "import", role, clusterEndpoint: endpoint },
  });
  await createIfAbsent(management, RunnerConfig, {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "RunnerConfig",
    metadata: { name, namespace: NAMESPACES.ont },
    spec: { clusterRef: name, runnerImage: DEVELOPMENT_IMAGE },
  });
}
