import { Secret, type SecretObject } from "../../../api/builtin.ts";
import { SECRET_NAMES, clusterOfNamespace } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { isDigest } from "../../../base/digest.ts";
import { SeamError, errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Metrics } from "../../../base/metrics.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { startInformer } from "../../../controller/cache/informer.ts";
import type { PackBlobReader } from "../../../packs/artifact/pack-blob-reader.ts";
import type { KeyLookup } from "../../../trust/dsse.ts";
import { BodyCorrupt, type DesiredIndex, type DesiredStates } from "../ports.ts";
import { BoundedBlobs } from "./bounded-blobs.ts";
import { type BodyPlace, bodyPlaces, readBody } from "./body-source.ts";
import { readIndexSecret } from "./index-secret.ts";

/** Default budget of bodies held in memory, bytes. */
export const BLOB_CACHE_BYTES = 128 * 1024 * 1024;

/** Options of {@link startDesiredStates}. */
export interface DesiredStatesOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** Where pack layers lie. */
  readonly packs: PackBlobReader;
  /** Keys an index must be signed by. */
  readonly keys: KeyLookup;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  /** Most bytes of bodies held in memory; default {@link BLOB_CACHE_BYTES}. */
  readonly blobCacheBytes?: number;
}

/** {@link DesiredStates} over the management cluster. */
export interface RunningDesiredStates extends DesiredStates {
  /** Resolves when the watch is closed. */
  readonly closed: Promise<void>;
}

interface Held {
  readonly index: DesiredIndex;
  /** Computed at the first fetch: most tenants never fetch between two indexes. */
  places: ReadonlyMap<string, BodyPlace> | undefined;
}

/**
 * Follows the Secrets `federation-index` of all tenants. Resolves after the first complete list, so that the hub accepts streams only
 * when its own state is loaded (lessons §1.8).
 *
 * @throws the signal's reason when stopped before the first list
 */
export async function startDesiredStates(options: DesiredStatesOptions): Promise<RunningDesiredStates> {
  const states = new WatchedDesiredStates(options);
  await states.synced;
  return states;
}

class WatchedDesiredStates implements RunningDesiredStates {
  readonly synced: Promise<void>;
  readonly closed: Promise<void>;
  readonly #options: DesiredStatesOptions;
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Set<(cluster: string) => void>();
  readonly #blobs: BoundedBlobs;
  /** Reads under way, so that a thousand agents asking for one layer read it once. Bounded by the fetches in flight. */
  readonly #reads = new Map<string, Promise<Uint8Array | undefined>>();

  constructor(options: DesiredStatesOptions) {
    this.#options = options;
    this.#blobs = new BoundedBlobs(options.blobCacheBytes ?? BLOB_CACHE_BYTES);
    const informer = startInformer({
      cluster: options.cluster,
      type: Secret,
      fieldSelector: `metadata.name=${SECRET_NAMES.federationIndex}`,
      clock: options.clock,
      random: options.random,
      log: options.log,
      signal: options.signal,
    });
    informer.subscribe((event) => {
      if (event.type === "DELETED") this.#drop(event.object);
      else this.#load(event.object);
    });
    this.synced = informer.synced;
    this.closed = informer.closed;
  }

  current(cluster: string): DesiredIndex | undefined {
    return this.#held.get(cluster)?.index;
  }

  subscribe(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async blob(cluster: string, digest: string): Promise<Uint8Array | undefined> {
    const held = this.#held.get(cluster);
    if (held === undefined || !isDigest(digest)) return undefined;
    held.places ??= bodyPlaces(held.index.document);
    // Authorization first: a body in memory may be another tenant's.
    const place = held.places.get(digest);
    if (place === undefined) return undefined;
    const cached = this.#blobs.get(digest);
    if (cached !== undefined) return cached;
    const underWay = this.#reads.get(digest);
    if (underWay !== undefined) return underWay;
    const read = readBody(this.#options, cluster, digest, place)
      .then((body) => {
        if (body !== undefined) this.#blobs.put(digest, body);
        return body;
      })
      .catch((error: unknown) => {
        this.#options.metrics.count("federation_blob_failures_total");
        this.#options.log.error({ cluster, digest, error: errorMessage(error) }, "a body cannot be read");
        if (error instanceof SeamError && error.reason === "DigestMismatch")
          throw new BodyCorrupt(error.message, { cause: error });
        return undefined; // the agent is told that the body is not at hand and asks again
      })
      .finally(() => this.#reads.delete(digest));
    this.#reads.set(digest, read);
    return read;
  }

  #load(secret: SecretObject): void {
    const verdict = readIndexSecret(secret, this.#options.keys);
    if (!verdict.ok) {
      this.#refuse(verdict.cluster, verdict.reason, verdict.detail);
      return;
    }
    const { cluster, index } = verdict;
    const before = this.#held.get(cluster)?.index;
    if (before?.digest === index.digest) return;
    if (before !== undefined && !isNewer(index, before)) {
      const [from, to] = [before.document, index.document];
      this.#refuse(
        cluster,
        "ROLLBACK_REJECTED",
        `${to.epoch}.${to.sequence} does not follow ${from.epoch}.${from.sequence}`,
      );
      return;
    }
    this.#held.set(cluster, { index, places: undefined });
    this.#notify(cluster);
  }

  /** A bad Secret takes nothing away: the last good index stays in force. */
  #refuse(cluster: string | undefined, reason: string, detail: string): void {
    this.#options.metrics.count("verify_failures_total", { kind: "FederationIndex", reason });
    this.#options.log.error({ cluster, reason, detail }, "federation index refused; the last good one stays in force");
  }

  #drop(secret: SecretObject): void {
    const cluster = clusterOfNamespace(secret.metadata.namespace);
    if (cluster === undefined || !this.#held.delete(cluster)) return;
    this.#options.log.warn({ cluster }, "federation index is gone; the tenant keeps what it holds");
    this.#notify(cluster);
  }

  #notify(cluster: string): void {
    for (const listener of this.#listeners) listener(cluster);
  }
}

function isNewer(index: DesiredIndex, than: DesiredIndex): boolean {
  const [a, b] = [index.document, than.document];
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.sequence > b.sequence);
}
