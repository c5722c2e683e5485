import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import {
  FIELD_MANAGERS,
  FINALIZERS,
  LABELS,
  NAMESPACES,
  PERMISSION_LAYERS,
  TENANT_CONDUCTOR,
  clusterOfNamespace,
  isClusterName,
  snapshotName,
  tenantNamespace,
} from "../../api/names.ts";
import { type KubeObject, type ObjectKey, keyOf } from "../../api/object.ts";
import { type ResourceType, apiVersionOf } from "../../api/resource-type.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import type { Reconciler, Result } from "../../controller/controller.ts";
import { type Source, ignoreStatusChanges, watchSource } from "../../controller/source.ts";
import { BY_NAMESPACE, type PermissionCaches } from "../snapshots/permission-caches.ts";
import { type HeldLayer, type LayerObject, clusterLayer } from "./cluster-layer.ts";

/** How soon a cluster whose namespace or snapshot is not as it should be is looked at again; watches are usually sooner. */
const WAITING_MS = 5_000;
const MANAGER = FIELD_MANAGERS.clusterPolicies;

/** What the reconciler works with. */
export interface ClusterPolicyParts {
  readonly cluster: Cluster;
  readonly caches: PermissionCaches;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  readonly log: Log;
}

/**
 * Author of the second permission layer (permissions §3, §4.5): for every governed cluster `cluster-maximum`, `cluster-policy` and the
 * profile of the tenant's conductor in `seam-tenant-{cluster}`; takes them away, and waits for the snapshot to go, before the cluster goes.
 */
export class ClusterPolicies {
  readonly #parts: ClusterPolicyParts;

  constructor(parts: ClusterPolicyParts) {
    this.#parts = parts;
  }

  /** Keys are those of TalosClusters. */
  readonly reconcile: Reconciler = async (key) => {
    const talos = this.#parts.caches.clusters.get(key);
    if (talos === undefined || talos.spec.role === "management" || !isClusterName(talos.metadata.name)) return;
    if (talos.metadata.deletionTimestamp !== undefined) return this.#remove(talos);
    return this.#ensure(talos);
  };

  /** What wakes the reconciler: clusters, and everything it writes or copies. */
  sources(): readonly Source[] {
    const { clusters, sets, policies, profiles, snapshots } = this.#parts.caches;
    const everyCluster = (): readonly ObjectKey[] => clusters.list().map((object) => keyOf(object));
    const fleetMaximum = ({ metadata }: KubeObject) =>
      metadata.namespace === NAMESPACES.seam && metadata.name === PERMISSION_LAYERS.fleet.maximum;
    const own = (name: string) => (object: KubeObject) =>
      object.metadata.name === name ? keysOf(clusterOfNamespace(object.metadata.namespace)) : [];
    const ownMaximum = own(PERMISSION_LAYERS.cluster.maximum);
    return [
      watchSource(clusters, { predicate: ignoreStatusChanges }),
      watchSource(sets, {
        map: (set) => (fleetMaximum(set) ? everyCluster() : ownMaximum(set)),
        predicate: ignoreStatusChanges,
      }),
      watchSource(policies, { map: own(PERMISSION_LAYERS.cluster.policy), predicate: ignoreStatusChanges }),
      watchSource(profiles, { map: own(TENANT_CONDUCTOR.profile), predicate: ignoreStatusChanges }),
      watchSource(snapshots, {
        map: ({ spec }) => keysOf(spec.targetCluster),
        predicate: ({ type }) => type === "DELETED",
      }),
    ];
  }

  async #ensure(talos: TalosCluster): Promise<Result | void> {
    const { cluster, caches, assertFenced } = this.#parts;
    const { name } = talos.metadata;
    const home = tenantNamespace(name);
    const fleet = caches.sets.get({ namespace: NAMESPACES.seam, name: PERMISSION_LAYERS.fleet.maximum });
    // Without the fleet's ceiling there is nothing to copy; its watch wakes every cluster.
    if (fleet === undefined) return;
    assertFenced();
    if (talos.metadata.finalizers?.includes(FINALIZERS.clusterRbac) !== true)
      await this.#setFinalizers(talos, [...(talos.metadata.finalizers ?? []), FINALIZERS.clusterRbac]);
    try {
      for (const wanted of clusterLayer(name, talos.spec.role, fleet, this.#heldLayer(home)))
        await this.#apply(cluster, home, wanted, this.#held(home, wanted));
    } catch (error) {
      // Platform creates the namespace.
      if (isStatus(error, "NotFound")) return { requeueAfterMs: WAITING_MS };
      throw error;
    }
  }

  #heldLayer(home: string): HeldLayer {
    const { sets, policies } = this.#parts.caches;
    return {
      maximum: sets.get({ namespace: home, name: PERMISSION_LAYERS.cluster.maximum }),
      policy: policies.get({ namespace: home, name: PERMISSION_LAYERS.cluster.policy }),
    };
  }

  #held(home: string, { type, name }: LayerObject): { readonly spec: object } | undefined {
    const { sets, policies, profiles } = this.#parts.caches;
    const caches: Readonly<Record<string, Informer<PermissionSet> | Informer<RBACPolicy> | Informer<RBACProfile>>> = {
      [PermissionSet.kind]: sets,
      [RBACPolicy.kind]: policies,
      [RBACProfile.kind]: profiles,
    };
    return caches[type.kind]?.get({ namespace: home, name });
  }

  /** Nothing is sent when the specification stands already. */
  async #apply(
    cluster: Cluster,
    home: string,
    wanted: LayerObject,
    held: { readonly spec: object } | undefined,
  ): Promise<void> {
    if (held !== undefined && canonicalJson(plain(held.spec)) === canonicalJson(plain(wanted.spec))) return;
    const { name, labels, annotations = {} } = wanted;
    const key = { namespace: home, name };
    const type: ResourceType<KubeObject> = wanted.type;
    const body: JsonObject = {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: { ...key, labels: { ...labels }, annotations: { ...annotations } },
      spec: plain(wanted.spec),
    };
    await cluster.patch(type, key, { type: "apply", body }, { fieldManager: MANAGER, force: true });
    this.#parts.log.info({ object: `${type.kind} ${home}/${name}` }, "permission layer of a cluster written");
  }

  /** Everything of the layer goes, then the snapshot, then the finalizer: other namespaces cannot own each other's objects. */
  async #remove(talos: TalosCluster): Promise<Result | void> {
    const { cluster, caches, assertFenced, log } = this.#parts;
    const { name, finalizers = [] } = talos.metadata;
    if (!finalizers.includes(FINALIZERS.clusterRbac)) return;
    assertFenced();
    const home = tenantNamespace(name);
    const own = caches.profiles
      .byIndex(BY_NAMESPACE, home)
      .filter(
        ({ metadata }) =>
          metadata.name === TENANT_CONDUCTOR.profile || metadata.labels?.[LABELS.policyType] === "component",
      );
    for (const profile of own) await removeIfThere(cluster, RBACProfile, keyOf(profile));
    await removeIfThere(cluster, PermissionSet, { namespace: home, name: PERMISSION_LAYERS.cluster.maximum });
    await removeIfThere(cluster, RBACPolicy, { namespace: home, name: PERMISSION_LAYERS.cluster.policy });
    const snapshot = caches.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(name) });
    if (snapshot?.spec.targetCluster === name) return { requeueAfterMs: WAITING_MS };
    await this.#setFinalizers(
      talos,
      finalizers.filter((finalizer) => finalizer !== FINALIZERS.clusterRbac),
    );
    log.info({ cluster: name }, "permission layer of a cluster removed");
  }

  /** Conditional: others place finalizers of their own here, and none of them may be lost. */
  async #setFinalizers(talos: TalosCluster, finalizers: readonly string[]): Promise<void> {
    const { resourceVersion } = talos.metadata;
    const body: JsonObject = { metadata: { resourceVersion: resourceVersion ?? "", finalizers } };
    try {
      await this.#parts.cluster.patch(TalosCluster, keyOf(talos), { type: "merge", body }, { fieldManager: MANAGER });
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
  }
}

/** Where the TalosCluster of a cluster may stand (resources-seam §10). */
function keysOf(cluster: string | undefined): readonly ObjectKey[] {
  if (cluster === undefined || !isClusterName(cluster)) return [];
  return [tenantNamespace(cluster), NAMESPACES.seam].map((namespace) => ({ namespace, name: cluster }));
}

async function removeIfThere<T extends KubeObject>(
  cluster: Cluster,
  type: ResourceType<T>,
  key: ObjectKey,
): Promise<void> {
  try {
    await cluster.delete(type, key);
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
  }
}

function plain(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
