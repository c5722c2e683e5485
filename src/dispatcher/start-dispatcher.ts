import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { type Metrics, silentMetrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import { Namespace, Secret } from "../api/builtin.ts";
import { DriftSignal } from "../api/kinds/drift-signal.ts";
import { PackDelivery } from "../api/kinds/pack-delivery.ts";
import { PackExecution } from "../api/kinds/pack-execution.ts";
import { PackInstalled } from "../api/kinds/pack-installed.ts";
import { PackReceipt } from "../api/kinds/pack-receipt.ts";
import { RunnerConfig } from "../api/kinds/runner-config.ts";
import { TalosCluster } from "../api/kinds/talos-cluster.ts";
import { FIELD_MANAGERS, basePackOf, clusterOfNamespace, tenantNamespace } from "../api/names.ts";
import { type KubeObject, type ObjectKey, keyOf } from "../api/object.ts";
import type { ResourceType } from "../api/resource-type.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { IndexFunction } from "../controller/cache/indexed-store.ts";
import { type Informer, startInformer } from "../controller/cache/informer.ts";
import { type Reconciler, startController } from "../controller/controller.ts";
import { startEventRecorder } from "../controller/events.ts";
import { type Source, ignoreStatusChanges, onConditionFlips, watchSource } from "../controller/source.ts";
import type { KeyLookup } from "../trust/dsse.ts";
import { Corrector } from "./corrector/corrector.ts";
import {
  BY_BASE_PACK,
  BY_DELIVERY,
  BY_NAMESPACE,
  type DispatcherCaches,
  type DispatcherContext,
} from "./dispatcher-context.ts";
import { PackDeliveryReconciler } from "./pack-delivery/pack-delivery-reconciler.ts";
import { PackExecutionReconciler } from "./pack-execution/pack-execution-reconciler.ts";
import { PackInstalledReconciler } from "./pack-installed/pack-installed-reconciler.ts";

/** Options of {@link startDispatcher}. */
export interface DispatcherOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** Public keys of the pack signer. */
  readonly keys: KeyLookup;
  /** Fencing check before leader-only writes; absent when no other process reconciles. @throws NotLeading */
  readonly assertFenced?: () => void;
  readonly metrics?: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The running dispatcher. Leader only. */
export interface Dispatcher {
  /** Resolves when every cache has synced. */
  readonly synced: Promise<void>;
  /** Resolves when the signal has aborted and every reconcile has ended. */
  readonly closed: Promise<void>;
}

/** Starts the dispatcher: PackDelivery, PackExecution and PackInstalled reconcilers and the corrector. */
export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const log = options.log.child({ room: "dispatcher" });
  const { cluster, clock, random, signal } = options;
  const started: { readonly synced: Promise<void>; readonly closed: Promise<void> }[] = [];
  const informer = <T extends KubeObject>(
    type: ResourceType<T>,
    indexes: Readonly<Record<string, IndexFunction<T>>> = {},
  ): Informer<T> => {
    const one = startInformer({ cluster, type, indexes, clock, random, log, signal });
    started.push(one);
    return one;
  };
  const byNamespace = (object: KubeObject): readonly string[] => [object.metadata.namespace ?? ""];
  const caches: DispatcherCaches = {
    namespaces: informer(Namespace),
    clusters: informer(TalosCluster),
    deliveries: informer(PackDelivery, { [BY_BASE_PACK]: (delivery) => [basePackOf(delivery)] }),
    executions: informer(PackExecution, {
      [BY_NAMESPACE]: byNamespace,
      [BY_DELIVERY]: (execution) => [text(deliveryOfExecution(execution))],
    }),
    installed: informer(PackInstalled, {
      [BY_NAMESPACE]: byNamespace,
      [BY_DELIVERY]: (installed) => [text(deliveryOfInstalled(installed))],
    }),
    receipts: informer(PackReceipt),
    signals: informer(DriftSignal, { [BY_NAMESPACE]: byNamespace }),
    runnerConfigs: informer(RunnerConfig),
    secrets: informer(Secret),
  };
  const events = startEventRecorder({ cluster, component: FIELD_MANAGERS.dispatcher, clock, random, log, signal });
  const context: DispatcherContext = {
    cluster,
    keys: options.keys,
    caches,
    events,
    assertFenced: options.assertFenced ?? (() => {}),
    clock,
    random,
    log,
    signal,
  };
  const controller = (name: string, reconcile: Reconciler, sources: readonly Source[]): { closed: Promise<void> } =>
    startController({
      name,
      reconcile,
      sources: [...sources, allSynced(started)],
      metrics: options.metrics ?? silentMetrics,
      clock,
      random,
      log,
      signal,
    });
  const loops = [
    controller("packdelivery", new PackDeliveryReconciler(context).reconcile, deliverySources(caches)),
    controller("packexecution", new PackExecutionReconciler(context).reconcile, executionSources(caches)),
    controller("packinstalled", new PackInstalledReconciler(context).reconcile, installedSources(caches)),
    controller("corrector", new Corrector(context).reconcile, correctorSources(caches)),
  ];
  return {
    synced: allSynced(started).synced,
    closed: Promise.all([...loops, ...started, events].map((one) => one.closed)).then(() => {}),
  };
}

/** A pack for hundreds of clusters has hundreds of executions: its summary follows them at this pace, milliseconds. */
const GATHER_MS = 100;

/** Reconcilers read every cache: none starts before all are whole. */
function allSynced(started: readonly { readonly synced: Promise<void> }[]): Source {
  const synced = Promise.all(started.map((one) => one.synced)).then(() => {});
  synced.catch(() => {
    // Rejects only when stopped before; whoever waits for it hears of that.
  });
  return { synced, subscribe: () => () => {} };
}

function deliverySources(caches: DispatcherCaches): readonly Source[] {
  const everyone = (): readonly ObjectKey[] => caches.deliveries.list().map(keyOf);
  return [
    watchSource(caches.deliveries),
    // A new version, or one that goes, changes what is current for the whole base pack.
    watchSource(caches.deliveries, {
      predicate: onConditionFlips("Available", "Revoked"),
      map: (delivery) => caches.deliveries.byIndex(BY_BASE_PACK, basePackOf(delivery)).map(keyOf),
    }),
    watchSource(caches.executions, { map: (execution) => [deliveryOfExecution(execution)], gatherMs: GATHER_MS }),
    watchSource(caches.installed, { map: (installed) => [deliveryOfInstalled(installed)], gatherMs: GATHER_MS }),
    watchSource(caches.receipts, { map: (receipt) => deliveryOfReceipt(caches, receipt), gatherMs: GATHER_MS }),
    watchSource(caches.clusters, { map: everyone, predicate: ignoreStatusChanges }),
    watchSource(caches.namespaces, {
      map: everyone,
      predicate: ({ object }) => clusterOfNamespace(object.metadata.name) !== undefined,
    }),
  ];
}

function executionSources(caches: DispatcherCaches): readonly Source[] {
  const ofDelivery = (delivery: PackDelivery): readonly ObjectKey[] =>
    caches.executions.byIndex(BY_DELIVERY, text(keyOf(delivery))).map(keyOf);
  return [
    watchSource(caches.executions),
    watchSource(caches.deliveries, {
      predicate: onConditionFlips("Available", "Revoked"),
      map: (delivery) => caches.deliveries.byIndex(BY_BASE_PACK, basePackOf(delivery)).flatMap(ofDelivery),
    }),
    watchSource(caches.installed, {
      map: ({ metadata, spec }) =>
        spec.packExecutionRef === undefined
          ? []
          : [{ namespace: metadata.namespace ?? "", name: spec.packExecutionRef }],
    }),
    watchSource(caches.receipts, {
      map: (receipt) => {
        const execution = caches.installed.get(keyOf(receipt))?.spec.packExecutionRef;
        return execution === undefined ? [] : [{ namespace: receipt.metadata.namespace ?? "", name: execution }];
      },
    }),
    watchSource(caches.clusters, {
      map: ({ metadata }) => caches.executions.byIndex(BY_NAMESPACE, tenantNamespaceOf(metadata.name)).map(keyOf),
    }),
  ];
}

function installedSources(caches: DispatcherCaches): readonly Source[] {
  return [
    watchSource(caches.installed),
    // A pack that others depend on: all packs of the cluster look again.
    watchSource(caches.installed, {
      map: ({ metadata }) =>
        caches.installed
          .byIndex(BY_NAMESPACE, metadata.namespace ?? "")
          .filter(({ spec }) => (spec.dependsOn?.length ?? 0) > 0)
          .map(keyOf),
    }),
    watchSource(caches.receipts),
    watchSource(caches.deliveries, {
      predicate: onConditionFlips("Revoked"),
      map: (delivery) => caches.installed.byIndex(BY_DELIVERY, text(keyOf(delivery))).map(keyOf),
    }),
    watchSource(caches.runnerConfigs, {
      map: ({ metadata }) => caches.installed.byIndex(BY_NAMESPACE, tenantNamespaceOf(metadata.name)).map(keyOf),
      predicate: (event) =>
        event.type !== "MODIFIED" ||
        event.object.status?.federation?.connected !== event.old.status?.federation?.connected,
    }),
    watchSource(caches.secrets, { map: (secret) => removalsOf(caches, secret.metadata) }),
  ];
}

function correctorSources(caches: DispatcherCaches): readonly Source[] {
  const inNamespace = (namespace: string): readonly ObjectKey[] =>
    caches.signals.byIndex(BY_NAMESPACE, namespace).map(keyOf);
  return [
    watchSource(caches.signals),
    watchSource(caches.installed, { map: ({ metadata }) => inNamespace(metadata.namespace ?? "") }),
    watchSource(caches.deliveries, {
      predicate: onConditionFlips("Revoked", "Paused"),
      map: ({ status }) => (status?.targets ?? []).flatMap((target) => inNamespace(tenantNamespaceOf(target.cluster))),
    }),
    watchSource(caches.runnerConfigs, {
      map: ({ metadata }) => inNamespace(tenantNamespaceOf(metadata.name)),
      predicate: (event) =>
        event.type !== "MODIFIED" ||
        event.object.status?.federation?.connected !== event.old.status?.federation?.connected,
    }),
  ];
}

function text(key: ObjectKey): string {
  return `${key.namespace ?? ""}/${key.name}`;
}

function deliveryOfExecution({ metadata, spec }: PackExecution): ObjectKey {
  return { namespace: spec.clusterPackRef.namespace ?? metadata.namespace ?? "", name: spec.clusterPackRef.name };
}

function deliveryOfInstalled({ metadata, spec }: PackInstalled): ObjectKey {
  return { namespace: spec.clusterPackNamespace ?? metadata.namespace ?? "", name: spec.clusterPackRef };
}

function deliveryOfReceipt(caches: DispatcherCaches, receipt: PackReceipt): readonly ObjectKey[] {
  const installed = caches.installed.get(keyOf(receipt));
  return installed === undefined ? [] : [deliveryOfInstalled(installed)];
}

/** Namespace of a cluster; a name that cannot be one has no objects. */
function tenantNamespaceOf(cluster: string): string {
  return clusterOfNamespace(`seam-tenant-${cluster}`) === undefined ? "" : tenantNamespace(cluster);
}

/** Packs that wait for a signed tombstone. */
function removalsOf(
  caches: DispatcherCaches,
  metadata: { readonly name: string; readonly namespace?: string },
): readonly ObjectKey[] {
  if (!metadata.name.startsWith("seam-tombstone-signed-")) return [];
  return caches.installed
    .byIndex(BY_NAMESPACE, metadata.namespace ?? "")
    .filter((installed) => installed.metadata.deletionTimestamp !== undefined)
    .map(keyOf);
}
