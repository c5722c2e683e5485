import { type AuditTrail, silentTrail } from "../api/audit-record.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { type Metrics, silentMetrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import { ConfigMap, Namespace, Secret } from "../api/builtin.ts";
import { DriftSignal } from "../api/kinds/drift-signal.ts";
import { PackDelivery } from "../api/kinds/pack-delivery.ts";
import { PackExecution } from "../api/kinds/pack-execution.ts";
import { RBACPolicy } from "../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../api/kinds/rbac-profile.ts";
import { RunnerConfig } from "../api/kinds/runner-config.ts";
import { TalosCluster } from "../api/kinds/talos-cluster.ts";
import { PackInstalled } from "../api/kinds/pack-installed.ts";
import { FIELD_MANAGERS, GOVERNANCE_SECRET_PREFIX, clusterOfNamespace, tenantNamespace } from "../api/names.ts";
import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { ResourceType } from "../api/resource-type.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Informer } from "../controller/cache/informer.ts";
import { InformerSet } from "../controller/cache/informer-set.ts";
import { type Reconciler, startController } from "../controller/controller.ts";
import { startEventRecorder } from "../controller/events.ts";
import { type Source, onConditionFlips, watchSource } from "../controller/source.ts";
import type { PackBlobReader } from "../packs/artifact/pack-blob-reader.ts";
import type { KeyLookup, Signer } from "../trust/dsse.ts";
import { BY_NAMESPACE, type GovernanceCaches, type GovernanceContext } from "./governance-context.ts";
import { type IndexBuilderSources, startIndexBuilder } from "./index/index-builder.ts";
import { type RevocationOrders, RevokedDeliveries } from "./revocations/revoked-deliveries.ts";
import { ArtifactChecker } from "./signing/checked-artifact.ts";
import { CorrectionSigner } from "./signing/correction-signer.ts";
import { GovernanceSigner, type MirroredCaches } from "./signing/governance-signer.ts";
import { PackDeliverySigner } from "./signing/pack-delivery-signer.ts";
import { PackInstalledSigner } from "./signing/pack-installed-signer.ts";
import { TombstoneSigner } from "./signing/tombstone-signer.ts";

/** Options of {@link startGovernance}. */
export interface GovernanceOptions extends IndexBuilderSources {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** The active signing key. */
  readonly signer: Signer;
  /** Trusted keys; must hold the active one. */
  readonly keys: KeyLookup;
  /** Where pack artifacts lie. */
  readonly packStore: PackBlobReader;
  /** False: tenants get no copies of their governance objects, only packs and permissions. Default: true. */
  readonly mirrorObjects?: boolean;
  /** Revocations that were ordered, and where those of revoked deliveries go. */
  readonly revocations?: RevocationOrders;
  /** Fencing check before leader-only writes; absent when no other process can sign. @throws NotLeading */
  readonly assertFenced?: () => void;
  /** The hub's own audit log; absent: nothing is recorded. */
  readonly trail?: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics?: Metrics;
  readonly signal: AbortSignal;
}

/** The running signing loops. Leader only. */
export interface Governance {
  /** Resolves when every cache has synced. */
  readonly synced: Promise<void>;
  /** Resolves when the signal has aborted and every loop has ended. */
  readonly closed: Promise<void>;
}

/** Starts the signers of packs, manifests, corrections and tombstones, and the builder of the tenants' indexes. */
export async function startGovernance(options: GovernanceOptions): Promise<Governance> {
  const log = options.log.child({ room: "governance" });
  const { cluster, clock, random, signal } = options;
  const informers = new InformerSet({ cluster, clock, random, log, signal });
  const byNamespace = <T extends KubeObject>(type: ResourceType<T>): Informer<T> =>
    informers.start(type, { indexes: { [BY_NAMESPACE]: (object) => [object.metadata.namespace ?? ""] } });
  const caches: GovernanceCaches = {
    namespaces: informers.start(Namespace),
    deliveries: informers.start(PackDelivery),
    executions: informers.start(PackExecution),
    installed: byNamespace(PackInstalled),
    secrets: byNamespace(Secret),
    configMaps: informers.start(ConfigMap),
    driftSignals: informers.start(DriftSignal),
    talosClusters: informers.start(TalosCluster),
  };
  const events = startEventRecorder({ cluster, component: FIELD_MANAGERS.signer, clock, random, log, signal });
  const context: GovernanceContext = {
    cluster,
    signer: options.signer,
    keys: options.keys,
    packStore: options.packStore,
    events,
    trail: options.trail ?? silentTrail,
    assertFenced: options.assertFenced ?? (() => {}),
    caches,
    metrics: options.metrics ?? silentMetrics,
    clock,
    random,
    log,
    signal,
  };
  const artifacts = new ArtifactChecker(options.packStore);
  const controller = (name: string, reconcile: Reconciler, sources: readonly Source[]): { closed: Promise<void> } =>
    startController({ name, reconcile, sources, workers: 2, metrics: context.metrics, clock, random, log, signal });
  const governanceSigner = (): { closed: Promise<void> } => {
    const mirrored: MirroredCaches = {
      policies: informers.start(RBACPolicy),
      profiles: informers.start(RBACProfile),
      runnerConfigs: informers.start(RunnerConfig),
      talosClusters: caches.talosClusters,
    };
    return controller("governance-signer", new GovernanceSigner(context, mirrored).reconcile, [
      watchSource(caches.namespaces, { map: ({ metadata }) => tenantOf(metadata.name) }),
      watchSource(mirrored.policies, { map: ({ metadata }) => tenantOf(metadata.namespace) }),
      watchSource(mirrored.profiles, { map: ({ metadata }) => tenantOf(metadata.namespace) }),
      watchSource(mirrored.runnerConfigs, { map: ({ spec }) => [{ name: spec.clusterRef }] }),
      watchSource(mirrored.talosClusters, { map: ({ metadata }) => [{ name: metadata.name }] }),
      watchSource(caches.secrets, { map: ({ metadata }) => governed(metadata) }),
    ]);
  };
  const loops = [
    controller("pack-delivery-signer", new PackDeliverySigner(context, artifacts).reconcile, [
      watchSource(caches.deliveries),
    ]),
    controller("pack-installed-signer", new PackInstalledSigner(context, artifacts).reconcile, [
      watchSource(caches.installed),
      watchSource(caches.executions, { map: (execution) => installedOf(caches, execution) }),
      watchSource(caches.deliveries, {
        map: (delivery) => installedFrom(caches, delivery),
        predicate: onConditionFlips("Revoked"),
      }),
      watchSource(caches.secrets, { map: (secret) => packOfSecret(secret.metadata) }),
    ]),
    controller("correction-signer", new CorrectionSigner(context).reconcile, [
      watchSource(caches.driftSignals),
      watchSource(caches.secrets, { map: (secret) => signalsOf(caches, secret.metadata) }),
    ]),
    controller("tombstone-signer", new TombstoneSigner(context).reconcile, [
      watchSource(caches.configMaps),
      { synced: caches.installed.synced, subscribe: () => () => {} },
    ]),
    ...(options.revocations === undefined
      ? []
      : [
          controller("revoked-deliveries", new RevokedDeliveries(context, options.revocations).reconcile, [
            watchSource(caches.installed),
            watchSource(caches.deliveries, {
              map: (delivery) => installedFrom(caches, delivery),
              predicate: onConditionFlips("Revoked"),
            }),
          ]),
        ]),
    ...(options.mirrorObjects === false ? [] : [governanceSigner()]),
    startIndexBuilder(context, options),
  ];
  return {
    synced: informers.synced,
    closed: Promise.all([...loops.map((loop) => loop.closed), informers.closed, events.closed]).then(() => {}),
  };
}

function tenantOf(namespace: string | undefined): readonly ObjectKey[] {
  const cluster = clusterOfNamespace(namespace);
  return cluster === undefined ? [] : [{ name: cluster }];
}

/** A signed governance object that somebody deleted or altered is signed anew. */
function governed({ name, namespace }: { readonly name: string; readonly namespace?: string }): readonly ObjectKey[] {
  return name.startsWith(GOVERNANCE_SECRET_PREFIX) ? tenantOf(namespace) : [];
}

function installedOf(caches: GovernanceCaches, execution: PackExecution): readonly ObjectKey[] {
  return caches.installed
    .byIndex(BY_NAMESPACE, execution.metadata.namespace ?? "")
    .filter((installed) => installed.spec.packExecutionRef === execution.metadata.name)
    .map(({ metadata }) => ({ namespace: metadata.namespace ?? "", name: metadata.name }));
}

function installedFrom(caches: GovernanceCaches, delivery: PackDelivery): readonly ObjectKey[] {
  const { name, namespace } = delivery.metadata;
  return (delivery.status?.targets ?? []).flatMap(({ cluster }) =>
    caches.installed
      .byIndex(BY_NAMESPACE, tenantNamespace(cluster))
      .filter(({ spec }) => spec.clusterPackRef === name && spec.clusterPackNamespace === namespace)
      .map(({ metadata }) => ({ namespace: metadata.namespace ?? "", name: metadata.name })),
  );
}

/** The PackInstalled that a signed Secret belongs to, by its name: labels of a forged one say nothing. */
function packOfSecret(metadata: { readonly name: string; readonly namespace?: string }): readonly ObjectKey[] {
  const cluster = clusterOfNamespace(metadata.namespace);
  const prefix = `seam-pack-signed-${cluster ?? ""}-`;
  if (cluster === undefined || metadata.namespace === undefined || !metadata.name.startsWith(prefix)) return [];
  return [{ namespace: metadata.namespace, name: metadata.name.slice(prefix.length) }];
}

function signalsOf(
  caches: GovernanceCaches,
  metadata: { readonly name: string; readonly namespace?: string },
): readonly ObjectKey[] {
  if (clusterOfNamespace(metadata.namespace) === undefined) return [];
  if (!metadata.name.startsWith("seam-correction-") && !metadata.name.startsWith("seam-pack-signed-")) return [];
  return caches.driftSignals
    .list()
    .filter((signal) => signal.metadata.namespace === metadata.namespace)
    .map((signal) => ({ namespace: signal.metadata.namespace ?? "", name: signal.metadata.name }));
}
