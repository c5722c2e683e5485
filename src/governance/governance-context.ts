import type { AuditTrail } from "../api/audit-record.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { ConfigMapObject, NamespaceObject, SecretObject } from "../api/builtin.ts";
import type { DriftSignal } from "../api/kinds/drift-signal.ts";
import type { PackDelivery } from "../api/kinds/pack-delivery.ts";
import type { PackExecution } from "../api/kinds/pack-execution.ts";
import type { PackInstalled } from "../api/kinds/pack-installed.ts";
import type { TalosCluster } from "../api/kinds/talos-cluster.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { EventRecorder } from "../controller/events.ts";
import type { Informer } from "../controller/cache/informer.ts";
import type { PackBlobReader } from "../packs/artifact/pack-blob-reader.ts";
import type { KeyLookup, Signer } from "../trust/dsse.ts";

/** What every signing loop shares. */
export interface GovernanceContext {
  readonly cluster: Cluster;
  readonly signer: Signer;
  /** Trusted public keys; the active one must be among them, or nothing that was signed would verify. */
  readonly keys: KeyLookup;
  readonly packStore: PackBlobReader;
  readonly events: EventRecorder;
  /** The hub's own audit log. */
  readonly trail: AuditTrail;
  /** Fencing check before a batch of leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  readonly caches: GovernanceCaches;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** Watch-fed caches of the management cluster. */
export interface GovernanceCaches {
  readonly namespaces: Informer<NamespaceObject>;
  readonly deliveries: Informer<PackDelivery>;
  readonly executions: Informer<PackExecution>;
  readonly installed: Informer<PackInstalled>;
  readonly secrets: Informer<SecretObject>;
  readonly configMaps: Informer<ConfigMapObject>;
  readonly driftSignals: Informer<DriftSignal>;
  readonly talosClusters: Informer<TalosCluster>;
}

/** Index of Secrets and ConfigMaps by namespace. */
export const BY_NAMESPACE = "namespace";

/** Safety resync of the signing loops, and how soon a refusal is looked at again. */
export const RESYNC_MS = 30_000;
