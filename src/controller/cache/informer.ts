import { type BackoffPolicy, fullJitter } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { inSlices } from "../../base/next-turn.ts";
import { type Random, jittered } from "../../base/random.ts";
import type { KubeObject, ObjectKey } from "../../api/object.ts";
import { type ResourceType, groupResource } from "../../api/resource-type.ts";
import { ApiStatusError, isExpired, isRetryable } from "../../cluster/api-status-error.ts";
import type { Cluster, ObjectList } from "../../cluster/cluster.ts";
import { type CacheEvent, type IndexFunction, IndexedStore } from "./indexed-store.ts";

/** Options of {@link startInformer}. */
export interface InformerOptions<T extends KubeObject> {
  readonly cluster: Cluster;
  readonly type: ResourceType<T>;
  /** Absent watches all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Secondary indexes by name. */
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A watch-fed cache of one type. Reads are synchronous and never stale by more than the watch is. */
export interface Informer<T extends KubeObject> {
  readonly type: ResourceType<T>;
  /** Resolves after the first complete list; rejects with the signal's reason when stopped before. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  /** Monotonic milliseconds of the last word from the server: how stale the cache may be at most. */
  readonly lastContactMs: number | undefined;
  get(key: ObjectKey): T | undefined;
  list(): readonly T[];
  /** Objects under `value` of a declared index. */
  byIndex(index: string, value: string): readonly T[];
  /**
   * Calls `listener` for what the cache holds now (as ADDED) and then for every change, after the cache shows it. What a list brings is
   * told over several turns of the event loop when it is much, and `synced` comes after the last of it; what the cache holds already is
   * told at once, so whoever listens to a large cache does so before it is filled. Listeners must not throw. Returns the way to stop.
   */
  subscribe(listener: (event: CacheEvent<T>) => void): () => void;
  /** Resolves when the signal has aborted and the watch is closed. */
  readonly closed: Promise<void>;
}

/** Objects per page of a list. */
const PAGE_LIMIT = 500;
/** Longest that taking in a list holds the event loop at once, milliseconds; one object's listeners take as long as they do. */
const LISTED_SLICE_MS = 5;
/** How long one watch request may last, seconds; jittered so that watches of one process do not end together. */
const WATCH_SECONDS = 300;
/** A watch that ends sooner than this without an event counts as a failure: a server that closes at once is not polled hot. */
const SHORT_WATCH_MS = 1_000;
const RETRY: BackoffPolicy = { baseMs: 200, factor: 2, capMs: 30_000 };
/** After this many failures in a row the cache lists again instead of resuming: the resume point itself may be the reason. */
const RELIST_AFTER_FAILURES = 5;

/**
 * Starts a reflector with its cache. It lists (whole, or in pages where a whole list did not come through), watches, resumes, lists again
 * on 410 and never gives up until `signal` aborts.
 *
 * A whole list is read as it arrives and compressed. With 10,000 objects on a kube-apiserver it takes half the time of a streaming list
 * (`sendInitialEvents`), which the server writes event by event.
 */
export function startInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const informer = new Reflector(options);
  return informer;
}

class Reflector<T extends KubeObject> implements Informer<T> {
  readonly type: ResourceType<T>;
  readonly synced: Promise<void>;
  readonly closed: Promise<void>;
  lastContactMs: number | undefined;
  hasSynced = false;
  readonly #options: InformerOptions<T>;
  readonly #log: Log;
  readonly #store: IndexedStore<T>;
  readonly #listeners = new Set<(event: CacheEvent<T>) => void>();
  #resolveSynced: () => void = () => {};
  #resourceVersion: string | undefined;
  /** True once a whole list broke off: smaller answers have a better chance. */
  #pages = false;
  #failures = 0;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.type = options.type;
    this.#log = options.log.child({ resource: groupResource(options.type), namespace: options.namespace });
    this.#store = new IndexedStore(options.indexes ?? {});
    let rejectSynced: (reason: unknown) => void = () => {};
    this.synced = new Promise((resolve, reject) => {
      this.#resolveSynced = resolve;
      rejectSynced = reject;
    });
    // Nobody need wait for it: an unobserved rejection at shutdown is not an error.
    this.synced.catch(() => {});
    this.closed = this.#run().then(() => rejectSynced(options.signal.reason));
  }

  get(key: ObjectKey): T | undefined {
    return this.#store.get(key);
  }

  list(): readonly T[] {
    return this.#store.list();
  }

  byIndex(index: string, value: string): readonly T[] {
    return this.#store.byIndex(index, value);
  }

  subscribe(listener: (event: CacheEvent<T>) => void): () => void {
    for (const object of this.#store.list()) this.#call(listener, { type: "ADDED", object });
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #run(): Promise<void> {
    const { signal, clock, random } = this.#options;
    while (!signal.aborted) {
      const started = clock.monotonic();
      const before = this.#failures;
      try {
        await this.#watch(this.#resourceVersion ?? (await this.#list()));
        if (clock.monotonic() - started >= SHORT_WATCH_MS) this.#failures = 0;
        else if (this.#failures === before) this.#failures += 1;
      } catch (error) {
        if (signal.aborted) break;
        this.#failed(error, clock.monotonic() - started);
      }
      if (this.#failures === 0 || signal.aborted) continue;
      try {
        await clock.sleep(fullJitter(RETRY, this.#failures - 1, random), signal);
      } catch {
        break; // aborted while waiting: that is the way to stop
      }
    }
    this.#listeners.clear();
  }

  #failed(error: unknown, afterMs: number): void {
    if (isExpired(error)) {
      // A 410 after a while is ordinary: list again at once. A server that says it at once, again and again, is backed off from.
      this.#resourceVersion = undefined;
      this.#failures = afterMs >= SHORT_WATCH_MS ? 0 : this.#failures + 1;
      this.#log.debug({ error: errorMessage(error) }, "watch expired, listing again");
      return;
    }
    this.#failures += 1;
    if (this.#failures % RELIST_AFTER_FAILURES === 0 || (error instanceof ApiStatusError && !isRetryable(error)))
      this.#resourceVersion = undefined;
    this.#log.warn({ error: errorMessage(error), failures: this.#failures }, "list or watch failed, trying again");
  }

  /** Fills the cache; resolves with the version to watch from. */
  async #list(): Promise<string> {
    const { cluster, type } = this.#options;
    let list: ObjectList<T>;
    if (this.#pages) list = await this.#listPages();
    else {
      try {
        list = await cluster.list(type, this.#selection());
      } catch (error) {
        this.#pages = !(error instanceof ApiStatusError);
        throw error;
      }
    }
    this.#options.signal.throwIfAborted();
    await this.#listed(list.items, list.resourceVersion);
    return list.resourceVersion;
  }

  async #listPages(): Promise<ObjectList<T>> {
    const { cluster, type, signal } = this.#options;
    const items: T[] = [];
    for (let next: string | undefined; ;) {
      const page = await cluster.list(type, {
        ...this.#selection(),
        limit: PAGE_LIMIT,
        ...(next === undefined ? {} : { continue: next }),
      });
      signal.throwIfAborted();
      for (const item of page.items) items.push(item);
      next = page.continue;
      if (next === undefined || next === "") return { items, resourceVersion: page.resourceVersion };
    }
  }

  async #listed(objects: readonly T[], resourceVersion: string): Promise<void> {
    const { clock, signal } = this.#options;
    this.lastContactMs = clock.monotonic();
    await inSlices(this.#takeIn(objects), LISTED_SLICE_MS, clock, signal);
    this.#resourceVersion = resourceVersion;
    this.hasSynced = true;
    this.#resolveSynced();
  }

  /** First the whole cache becomes what was listed, then those who listen hear of it. */
  *#takeIn(objects: readonly T[]): Generator<void, void> {
    const events = yield* this.#store.replace(objects);
    // Who subscribes from here on is told what the cache holds, and so none of this.
    const listeners = [...this.#listeners];
    for (const event of events) {
      for (const listener of listeners) if (this.#listeners.has(listener)) this.#call(listener, event);
      yield;
    }
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { cluster, type, signal, random } = this.#options;
    const events = cluster.watch(
      type,
      {
        ...this.#selection(),
        resourceVersion,
        allowWatchBookmarks: true,
        timeoutSeconds: Math.round(jittered(random, WATCH_SECONDS, 0.2)),
      },
      signal,
    );
    for await (const event of events) {
      if (signal.aborted) return;
      this.#contact();
      if (event.type === "BOOKMARK") {
        this.#resourceVersion = event.resourceVersion;
        continue;
      }
      this.#resourceVersion = event.object.metadata.resourceVersion;
      const change = event.type === "DELETED" ? this.#store.remove(event.object) : this.#store.put(event.object);
      if (change !== undefined) this.#notify(change);
    }
  }

  #contact(): void {
    this.lastContactMs = this.#options.clock.monotonic();
    this.#failures = 0;
  }

  #selection(): { namespace?: string; labelSelector?: string; fieldSelector?: string } {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  #notify(event: CacheEvent<T>): void {
    for (const listener of this.#listeners) this.#call(listener, event);
  }

  #call(listener: (event: CacheEvent<T>) => void, event: CacheEvent<T>): void {
    try {
      listener(event);
    } catch (error) {
      // A listener's bug must not stop the cache that others read.
      this.#log.error({ error: errorMessage(error) }, "a cache listener threw");
    }
  }
}
