import type { Unstructured } from "../../../api/object.ts";
import { LABELS } from "../../../api/names.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import { apiVersionOf, groupResource } from "../../../api/resource-type.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import type { CacheEvent } from "../../../controller/cache/indexed-store.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import { ResourceMapper } from "../../../packs/apply/resource-mapper.ts";
import { identityOf } from "../../../packs/artifact/pack-object.ts";

/** An object of some pack changed in a way that may be drift. */
export type ObjectChanged = (packLabel: string, identity: string) => void;

/** What {@link KindWatches} works with. */
export interface KindWatchesParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

interface KindWatch {
  readonly informer: Informer<Unstructured>;
  readonly stop: AbortController;
  readonly apiVersion: string;
}

/** One watch per kind that any held pack uses, over the objects that carry our label: an object that loses it shows as deleted. */
export class KindWatches {
  readonly #parts: KindWatchesParts;
  readonly #changed: ObjectChanged;
  readonly #watches = new Map<string, KindWatch>();
  readonly #closing = new Set<Promise<void>>();

  constructor(parts: KindWatchesParts, changed: ObjectChanged) {
    this.#parts = parts;
    this.#changed = changed;
  }

  /** Watches exactly the kinds of `refs`. Kinds that are not served yet are left out; the next call tries them again. */
  async watch(refs: Iterable<{ readonly apiVersion: string; readonly kind: string }>): Promise<void> {
    const mapper = new ResourceMapper(this.#parts.cluster);
    const wanted = new Map<string, ResourceType>();
    const seen = new Set<string>();
    for (const ref of refs) {
      const kind = `${ref.apiVersion}/${ref.kind}`;
      if (seen.has(kind)) continue;
      seen.add(kind);
      const type = await mapper.find(ref);
      if (type !== undefined && !this.#parts.signal.aborted) wanted.set(`${groupResource(type)}/${type.version}`, type);
    }
    for (const [key, watch] of this.#watches) {
      if (wanted.has(key)) continue;
      watch.stop.abort();
      this.#watches.delete(key);
      this.#keep(watch.informer.closed);
    }
    for (const [key, type] of wanted) if (!this.#watches.has(key)) this.#start(key, type);
  }

  /** False when a synced watch knows that an object is not there; true when it is, or nobody knows. */
  mayExist(ref: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
  }): boolean {
    for (const { informer, apiVersion } of this.#watches.values()) {
      if (apiVersion !== ref.apiVersion || informer.type.kind !== ref.kind) continue;
      const key =
        informer.type.namespaced && ref.namespace ? { namespace: ref.namespace, name: ref.name } : { name: ref.name };
      return !informer.hasSynced || informer.get(key) !== undefined;
    }
    return true;
  }

  /** Resolves when every watch has closed; call after the signal has aborted. */
  async closed(): Promise<void> {
    await Promise.all([...this.#closing, ...[...this.#watches.values()].map(({ informer }) => informer.closed)]);
  }

  #start(key: string, type: ResourceType): void {
    const stop = new AbortController();
    const { cluster, clock, random, log, signal } = this.#parts;
    const informer = startInformer({
      cluster,
      type,
      labelSelector: LABELS.packInstalled,
      clock,
      random,
      log,
      signal: AbortSignal.any([signal, stop.signal]),
    });
    this.#watches.set(key, { informer, stop, apiVersion: apiVersionOf(type) });
    const subscribed = informer.synced.then(
      () => {
        // What is there when the watch begins is looked at by the full check that every pack starts with.
        let present = true;
        informer.subscribe((event) => {
          if (!present && mayBeDrift(event)) this.#tell(type, event);
        });
        present = false;
      },
      () => {
        // stopped before it began
      },
    );
    this.#keep(subscribed);
  }

  #tell(type: ResourceType, event: CacheEvent<Unstructured>): void {
    const labels = new Set(
      [event.object, event.type === "MODIFIED" ? event.old : event.object].flatMap(
        (object) => object.metadata.labels?.[LABELS.packInstalled] ?? [],
      ),
    );
    const { name, namespace } = event.object.metadata;
    for (const label of labels)
      this.#changed(label, identityOf({ apiVersion: apiVersionOf(type), kind: type.kind, namespace, name }));
  }

  #keep(promise: Promise<void>): void {
    this.#closing.add(promise);
    void promise.finally(() => this.#closing.delete(promise));
  }
}

/** Status writes are not drift. Kinds without a generation have no status, so every change counts. */
function mayBeDrift(event: CacheEvent<Unstructured>): boolean {
  if (event.type !== "MODIFIED") return true;
  const { metadata: now } = event.object;
  const { metadata: then } = event.old;
  return (
    now.generation === undefined ||
    now.generation !== then.generation ||
    now.uid !== then.uid ||
    now.deletionTimestamp !== then.deletionTimestamp ||
    JSON.stringify(now.labels) !== JSON.stringify(then.labels) ||
    JSON.stringify(now.annotations) !== JSON.stringify(then.annotations)
  );
}
