import { ConfigMap } from "../../../api/builtin.ts";
import { TalosCluster } from "../../../api/kinds/talos-cluster.ts";
import { NAMESPACES, isClusterName, tenantNamespace } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import { normalizeSerial } from "../../../trust/identity/certificate-serial.ts";
import type { TenantDirectory, TenantVerdict } from "../ports.ts";
import { DENY_LIST_NAME, type DeniedEntry, type DenyList, EMPTY_DENY_LIST, readDenyList } from "./deny-list.ts";

/** Options of {@link startTenantDirectory}. */
export interface TenantDirectoryOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** {@link TenantDirectory} over the management cluster. */
export interface RunningTenantDirectory extends TenantDirectory {
  /** Resolves when the watches are closed. */
  readonly closed: Promise<void>;
}

/**
 * Follows TalosClusters and the deny list. Resolves after both were read once: a hub that does not know who is denied accepts nobody.
 *
 * @throws the signal's reason when stopped before that
 */
export async function startTenantDirectory(options: TenantDirectoryOptions): Promise<RunningTenantDirectory> {
  const directory = new WatchedTenantDirectory(options);
  await directory.synced;
  return directory;
}

class WatchedTenantDirectory implements RunningTenantDirectory {
  readonly synced: Promise<unknown>;
  readonly closed: Promise<void>;
  readonly #talosClusters: Informer<TalosCluster>;
  readonly #listeners = new Set<(cluster: string) => void>();
  #denied: DenyList = EMPTY_DENY_LIST;

  constructor(options: TenantDirectoryOptions) {
    const { cluster, clock, random, log, signal } = options;
    const common = { cluster, clock, random, log, signal };
    this.#talosClusters = startInformer({ ...common, type: TalosCluster });
    this.#talosClusters.subscribe((event) => this.#notify(event.object.metadata.name));
    const denyList = startInformer({
      ...common,
      type: ConfigMap,
      namespace: NAMESPACES.ont,
      fieldSelector: `metadata.name=${DENY_LIST_NAME}`,
    });
    denyList.subscribe((event) => {
      this.#denied = readDenyList(event.type === "DELETED" ? undefined : event.object);
      log.info(
        { serials: this.#denied.serials.size, clusters: this.#denied.clusters.size },
        "deny list of the federation read",
      );
      for (const name of this.clusters()) this.#notify(name);
    });
    this.synced = Promise.all([this.#talosClusters.synced, denyList.synced]);
    this.closed = Promise.all([this.#talosClusters.closed, denyList.closed]).then(() => undefined);
  }

  check(cluster: string, certificateSerial: string): TenantVerdict {
    const found = this.#find(cluster);
    if (found === undefined) return { ok: false, reason: "UnknownCluster" };
    if (found.spec.role !== "tenant") return { ok: false, reason: "NotATenant" };
    if (found.metadata.deletionTimestamp !== undefined) return { ok: false, reason: "ClusterDeleting" };
    if (this.#denied.clusters.has(cluster)) return { ok: false, reason: "ClusterRevoked" };
    if (this.#denied.serials.has(normalizeSerial(certificateSerial)))
      return { ok: false, reason: "CertificateRevoked" };
    return { ok: true };
  }

  deniedSerials(): readonly DeniedEntry[] {
    return this.#denied.serialEntries;
  }

  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  clusters(): readonly string[] {
    const names = this.#talosClusters
      .list()
      .filter((found) => found.spec.role === "tenant")
      .map((found) => found.metadata.name);
    return [...new Set(names)].sort();
  }

  /** The tenant's own namespace first, then `seam-system` (resources-seam §10); a name elsewhere means nothing. */
  #find(cluster: string): TalosCluster | undefined {
    if (!isClusterName(cluster)) return undefined;
    return (
      this.#talosClusters.get({ namespace: tenantNamespace(cluster), name: cluster }) ??
      this.#talosClusters.get({ namespace: NAMESPACES.seam, name: cluster })
    );
  }

  #notify(cluster: string): void {
    for (const listener of this.#listeners) listener(cluster);
  }
}
