import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { NamespaceObject, SecretObject } from "../api/builtin.ts";
import { isTrue } from "../api/conditions.ts";
import type { DriftSignal } from "../api/kinds/drift-signal.ts";
import type { PackDelivery } from "../api/kinds/pack-delivery.ts";
import type { PackExecution } from "../api/kinds/pack-execution.ts";
import type { PackInstalled } from "../api/kinds/pack-installed.ts";
import type { PackReceipt } from "../api/kinds/pack-receipt.ts";
import type { RunnerConfig } from "../api/kinds/runner-config.ts";
import type { TalosCluster } from "../api/kinds/talos-cluster.ts";
import { NAMESPACES, basePackOf, tenantNamespace } from "../api/names.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Informer } from "../controller/cache/informer.ts";
import type { EventRecorder } from "../controller/events.ts";
import type { KeyLookup } from "../trust/dsse.ts";
import { type ParsedVersion, compareParsed, parseVersion } from "./version-order.ts";

/** What every reconciler of the dispatcher shares. */
export interface DispatcherContext {
  readonly cluster: Cluster;
  /** Public keys: the dispatcher verifies signatures itself and trusts no status (dispatcher §4.1). */
  readonly keys: KeyLookup;
  readonly caches: DispatcherCaches;
  readonly events: EventRecorder;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Watch-fed caches of the management cluster. */
export interface DispatcherCaches {
  readonly namespaces: Informer<NamespaceObject>;
  readonly clusters: Informer<TalosCluster>;
  readonly deliveries: Informer<PackDelivery>;
  readonly executions: Informer<PackExecution>;
  readonly installed: Informer<PackInstalled>;
  readonly receipts: Informer<PackReceipt>;
  readonly signals: Informer<DriftSignal>;
  readonly runnerConfigs: Informer<RunnerConfig>;
  readonly secrets: Informer<SecretObject>;
}

/** Index of deliveries by base pack name. */
export const BY_BASE_PACK = "base-pack";
/** Index by namespace. */
export const BY_NAMESPACE = "namespace";
/** Index of executions and installed packs by `namespace/name` of their PackDelivery. */
export const BY_DELIVERY = "delivery";

/** The TalosCluster of a cluster: tenant namespace first, then management's own (resources-seam §10). */
export function talosClusterOf(caches: DispatcherCaches, cluster: string): TalosCluster | undefined {
  return (
    caches.clusters.get({ namespace: tenantNamespace(cluster), name: cluster }) ??
    caches.clusters.get({ namespace: NAMESPACES.seam, name: cluster })
  );
}

/** A PackDelivery in a tenant namespace may target only that tenant (dispatcher §2). */
export function mayTarget(delivery: PackDelivery, cluster: string): boolean {
  const { namespace } = delivery.metadata;
  return namespace === NAMESPACES.seam || namespace === tenantNamespace(cluster);
}

/**
 * PackDeliveries that supersede `delivery` wherever they are for the cluster too: of the same base pack, available, not revoked, not
 * going away, and of a higher version, or of an equal one and younger (dispatcher §9.2). The next one comes first: what is said of an
 * old version must not change with every new one.
 */
export function newerThan(caches: DispatcherCaches, delivery: PackDelivery): readonly PackDelivery[] {
  const own = parseVersion(delivery.spec.version);
  return caches.deliveries
    .byIndex(BY_BASE_PACK, basePackOf(delivery))
    .filter(
      (other) =>
        other.metadata.uid !== delivery.metadata.uid &&
        other.metadata.deletionTimestamp === undefined &&
        isTrue(other.status?.conditions, "Available") &&
        !isTrue(other.status?.conditions, "Revoked"),
    )
    .map((other) => ({ other, version: parseVersion(other.spec.version) }))
    .filter(({ other, version }) => order(version, own, other, delivery) > 0)
    .toSorted((a, b) => order(a.version, b.version, a.other, b.other))
    .map(({ other }) => other);
}

/** Which of `newer` supersedes on a cluster. */
export function supersederOn(
  cluster: string,
  newer: readonly PackDelivery[],
  targets: (other: PackDelivery) => ReadonlySet<string>,
): PackDelivery | undefined {
  return newer.find((other) => mayTarget(other, cluster) && targets(other).has(cluster));
}

function order(left: ParsedVersion, right: ParsedVersion, a: PackDelivery, b: PackDelivery): number {
  return compareParsed(left, right) || (isYounger(a, b) ? 1 : -1);
}

function isYounger(a: PackDelivery, b: PackDelivery): boolean {
  const left = a.metadata.creationTimestamp ?? "";
  const right = b.metadata.creationTimestamp ?? "";
  return left === right ? (a.metadata.uid ?? "") > (b.metadata.uid ?? "") : left > right;
}
