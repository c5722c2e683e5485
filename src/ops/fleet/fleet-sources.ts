import { ConfigMap, type ConfigMapObject } from "../../api/builtin.ts";
import { DriftSignal } from "../../api/kinds/drift-signal.ts";
import { PackInstalled } from "../../api/kinds/pack-installed.ts";
import { PackReceipt } from "../../api/kinds/pack-receipt.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { RunnerConfig } from "../../api/kinds/runner-config.ts";
import { LABELS, NAMESPACES, clusterOfNamespace } from "../../api/names.ts";
import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { type Informer, type InformerOptions, startInformer } from "../../controller/cache/informer.ts";
import type { HubView } from "../../federation/hub/hub-view.ts";
import { ITEM_LEVELS_NAME } from "../../federation/hub/mirror/item-level-store.ts";
import type { RunningRetryOrders } from "../../federation/hub/retries/retry-orders.ts";
import type { DesiredStates, TenantDirectory } from "../../federation/hub/ports.ts";

/** Name of the index by cluster id. */
export const BY_CLUSTER = "cluster";

/** Everything the operators' services read: the hub's memory and watch-fed caches of the management cluster. */
export interface FleetSources {
  readonly desired: DesiredStates;
  readonly directory: TenantDirectory;
  readonly view: HubView;
  readonly retries: RunningRetryOrders;
  /** Who owns a session, when another replica may: see SessionOwnership. */
  readonly owner: (cluster: string) => { readonly holder: string; readonly term: bigint } | undefined;
  /** Whether another replica, named as in `owner`, is alive. */
  readonly replicaAlive: (replica: string) => boolean;
  readonly receipts: Informer<PackReceipt>;
  readonly installed: Informer<PackInstalled>;
  readonly snapshots: Informer<PermissionSnapshot>;
  readonly driftSignals: Informer<DriftSignal>;
  readonly runnerConfigs: Informer<RunnerConfig>;
  readonly levels: Informer<ConfigMapObject>;
  /** Calls `listener` with a cluster id after anything about that cluster changed. Returns the way to stop. */
  subscribe(listener: (cluster: string) => void): () => void;
  /** Resolves when every cache was filled once. */
  readonly synced: Promise<void>;
  /** Resolves when every watch is closed. */
  readonly closed: Promise<void>;
}

/** Options of {@link startFleetSources}. */
export interface FleetSourcesOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly desired: DesiredStates;
  readonly directory: TenantDirectory;
  readonly view: HubView;
  readonly retries: RunningRetryOrders;
  readonly owner?: FleetSources["owner"];
  readonly replicaAlive?: FleetSources["replicaAlive"];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Starts the caches. */
export function startFleetSources(options: FleetSourcesOptions): FleetSources {
  const { cluster, clock, random, log, signal, desired, directory, view, retries } = options;
  const informer = <T extends KubeObject>(type: ResourceType<T>, more: Partial<InformerOptions<T>> = {}): Informer<T> =>
    startInformer({
      cluster,
      type,
      clock,
      random,
      log,
      signal,
      indexes: { [BY_CLUSTER]: (object) => [clusterOfNamespace(object.metadata.namespace) ?? ""] },
      ...more,
    });
  const receipts = informer(PackReceipt, { labelSelector: LABELS.mirroredFrom });
  const installed = informer(PackInstalled);
  const snapshots = informer(PermissionSnapshot, { namespace: NAMESPACES.seam });
  const driftSignals = informer(DriftSignal);
  const runnerConfigs = informer(RunnerConfig, { namespace: NAMESPACES.ont });
  const levels = informer(ConfigMap, { fieldSelector: `metadata.name=${ITEM_LEVELS_NAME}` });
  const all = [receipts, installed, snapshots, driftSignals, runnerConfigs, levels];
  return {
    desired,
    directory,
    view,
    retries,
    owner: options.owner ?? (() => undefined),
    replicaAlive: options.replicaAlive ?? (() => false),
    receipts,
    installed,
    snapshots,
    driftSignals,
    runnerConfigs,
    levels,
    subscribe: (listener) => {
      const ofNamespace = ({ object }: { readonly object: KubeObject }): void => {
        const id = clusterOfNamespace(object.metadata.namespace);
        if (id !== undefined) listener(id);
      };
      const stops = [
        desired.subscribe(listener),
        directory.subscribe(listener),
        view.subscribe(listener),
        retries.subscribe(listener),
        receipts.subscribe(ofNamespace),
        driftSignals.subscribe(ofNamespace),
        levels.subscribe(ofNamespace),
        snapshots.subscribe(({ object }) => listener(object.spec.targetCluster)),
        runnerConfigs.subscribe(({ object }) => listener(object.metadata.name)),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
    synced: Promise.all(all.map((each) => each.synced)).then(() => undefined),
    closed: Promise.all(all.map((each) => each.closed)).then(() => undefined),
  };
}
