import type { Unstructured } from "../../../api/object.ts";
import { errorMessage, SeamError } from "../../../base/errors.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import { deepFreeze, ensureMap, type JsonMap } from "../json/mutable-json.ts";
import { internalError } from "../status-errors.ts";
import { Collection, type Entry, storageKey, type StoreEvent } from "./collection.ts";
import type { Compaction, Revision } from "./revision.ts";
import { RevisionLog } from "./revision-log.ts";

/** Largest object, as etcd's default request limit. */
export const MAX_OBJECT_BYTES = 1536 * 1024;
/** Largest database file; beyond it writes are refused as on a full disk. */
export const MAX_STATE_BYTES = 8 * 1024 * 1024 * 1024;
/** Accepted writes that are not durable yet; more are refused with 429. */
const MAX_PENDING_WRITES = 20_000;
/** Writes and bytes in one transaction. */
const MAX_COMMIT_REVISIONS = 1_000;
const MAX_COMMIT_BYTES = 16 * 1024 * 1024;
/** History kept for watches that resume; the older tail is compacted. */
const MAX_HISTORY_EVENTS = 20_000;
const MAX_HISTORY_BYTES = 48 * 1024 * 1024;
/** When a writer that met a full disk may try again. */
const DISK_FULL_RETRY_SECONDS = 5;
/** Compaction works in steps of this share, so that it does not run for every write. */
const HISTORY_KEEP = 0.75;

interface Pending {
  readonly event: StoreEvent;
  readonly revision: Revision;
  readonly resolve: (object: Unstructured) => void;
  readonly reject: (error: Error) => void;
}

/** Called with committed events in order of version, before the writers' promises resolve. */
export type StoreListener = (events: readonly StoreEvent[]) => void;

/** Checked here once: everything that enters the store has passed the write path. */
function asObject(map: JsonMap): Unstructured {
  return map as unknown as Unstructured;
}

/**
 * The cluster's objects. Reads are answered from memory and see only what is durable; writes are accepted in order on this thread
 * (so a check and its write cannot be separated), committed in groups by the worker, then published to readers and watches.
 */
export class ObjectStore {
  readonly #log: RevisionLog;
  readonly #collections: Map<string, Collection>;
  readonly #listeners: StoreListener[] = [];
  readonly #history: StoreEvent[];
  #historyStart = 0;
  #historyBytes = 0;
  #pending: Pending[] = [];
  #flushing: Promise<void> | undefined;
  #compaction: Compaction | undefined;
  #accepted: number;
  #committed: number;
  #compacted: number;
  #closed = false;
  #lastFailure: string | undefined;

  private constructor(log: RevisionLog, collections: Map<string, Collection>, history: StoreEvent[]) {
    this.#log = log;
    this.#collections = collections;
    this.#history = history;
    this.#accepted = log.version;
    this.#committed = log.version;
    this.#compacted = log.compacted;
  }

  /** Opens the directory and loads its state. @throws SeamError naming the directory (see {@link RevisionLog.open}) */
  static async open(directory: string, maxBytes = MAX_STATE_BYTES): Promise<ObjectStore> {
    const collections = new Map<string, Collection>();
    const history: StoreEvent[] = [];
    const log = await RevisionLog.open({
      directory,
      maxBytes,
      onLoad: (revisions) => {
        for (const revision of revisions) {
          let collection = collections.get(revision.collection);
          if (!collection) collections.set(revision.collection, (collection = new Collection(revision.collection)));
          const key = storageKey(revision.namespace, revision.name);
          const previous = collection.get(key);
          const event: StoreEvent = {
            version: revision.version,
            type: revision.deleted ? "DELETED" : previous ? "MODIFIED" : "ADDED",
            collection: revision.collection,
            key,
            object: deepFreeze(JSON.parse(revision.body) as Unstructured),
            previous,
            size: revision.body.length,
          };
          collection.apply(event);
          history.push(event);
        }
      },
    });
    const store = new ObjectStore(log, collections, history);
    for (const event of history) store.#historyBytes += event.size;
    store.#forgetThrough(log.compacted);
    return store;
  }

  /** Version of the newest durable write. */
  get version(): number {
    return this.#committed;
  }

  /** Reads and watches from before this version answer 410. */
  get compacted(): number {
    return this.#compacted;
  }

  /** Why the last commit failed; undefined when it did not. */
  get lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  /** Calls `listener` with every commit from now on. */
  subscribe(listener: StoreListener): void {
    this.#listeners.push(listener);
  }

  collection(id: string): Collection {
    let collection = this.#collections.get(id);
    if (!collection) this.#collections.set(id, (collection = new Collection(id)));
    return collection;
  }

  /** Collections that hold or held objects. */
  collections(): IterableIterator<Collection> {
    return this.#collections.values();
  }

  /** Stores `object` under its namespace and name; takes ownership of it. Resolves when durable. @throws ApiStatusError 413, 429, 500 */
  put(collection: Collection, object: JsonMap): Promise<Unstructured> {
    return this.#write(collection, object, false);
  }

  /** Removes the key of `object`, whose content is the last state that watches see. */
  remove(collection: Collection, object: JsonMap): Promise<Unstructured> {
    return this.#write(collection, object, true);
  }

  #write(collection: Collection, object: JsonMap, deleted: boolean): Promise<Unstructured> {
    if (this.#closed) return Promise.reject(new ApiStatusError(503, "ServiceUnavailable", "the cluster is closed"));
    if (this.#pending.length >= MAX_PENDING_WRITES) {
      return Promise.reject(
        new ApiStatusError(429, "TooManyRequests", "too many writes are waiting for the disk", {
          retryAfterSeconds: 1,
        }),
      );
    }
    const version = this.#accepted + 1;
    const metadata = ensureMap(object, "metadata");
    metadata["resourceVersion"] = String(version);
    const body = JSON.stringify(object);
    if (body.length * 3 > MAX_OBJECT_BYTES && Buffer.byteLength(body) > MAX_OBJECT_BYTES) {
      return Promise.reject(
        new ApiStatusError(
          413,
          "RequestEntityTooLarge",
          `Request entity too large: the object is larger than the limit of ${MAX_OBJECT_BYTES} bytes`,
        ),
      );
    }
    this.#accepted = version;
    const stored = asObject(deepFreeze(object));
    const namespace = stored.metadata.namespace ?? "";
    const { name } = stored.metadata;
    const key = storageKey(namespace, name);
    const previous = collection.tip(key);
    const event: StoreEvent = {
      version,
      type: deleted ? "DELETED" : previous ? "MODIFIED" : "ADDED",
      collection: collection.id,
      key,
      object: stored,
      previous,
      size: body.length,
    };
    const entry: Entry | undefined = deleted ? undefined : { version, object: stored, size: body.length };
    collection.accept(key, version, entry);
    return new Promise((resolve, reject) => {
      this.#pending.push({
        event,
        revision: { version, collection: collection.id, namespace, name, deleted, body },
        resolve,
        reject,
      });
      this.#flushing ??= this.#flush();
    });
  }

  async #flush(): Promise<void> {
    // Writers of the same turn of the event loop share the first commit; later ones gather while it runs.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0 || this.#compaction) {
      const group = this.#takeGroup();
      const compaction = this.#compaction;
      this.#compaction = undefined;
      try {
        await this.#log.commit(
          group.map((pending) => pending.revision),
          compaction,
        );
      } catch (error) {
        if (compaction) this.#compaction = mergeCompactions(compaction, this.#compaction);
        this.#fail(group, error);
        break;
      }
      this.#lastFailure = undefined;
      this.#publish(group);
    }
    this.#flushing = undefined;
  }

  #takeGroup(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const pending of this.#pending) {
      if (count >= MAX_COMMIT_REVISIONS || (count > 0 && bytes + pending.revision.body.length > MAX_COMMIT_BYTES))
        break;
      bytes += pending.revision.body.length;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  #publish(group: readonly Pending[]): void {
    const events: StoreEvent[] = [];
    for (const { event } of group) {
      this.collection(event.collection).apply(event);
      this.#history.push(event);
      this.#historyBytes += event.size;
      this.#committed = event.version;
      events.push(event);
    }
    this.#compactIfLarge();
    if (events.length > 0) for (const listener of this.#listeners) listener(events);
    for (const pending of group) pending.resolve(pending.event.object);
  }

  /** Nothing of the group is durable, and what was accepted after it was built on it: all of it is refused. */
  #fail(group: readonly Pending[], error: unknown): void {
    const refused = [...group, ...this.#pending.splice(0)];
    for (const collection of this.#collections.values()) collection.discardAccepted();
    this.#accepted = this.#committed;
    const failure = refusalOf(error);
    this.#lastFailure = failure.message;
    for (const pending of refused) pending.reject(failure);
  }

  #compactIfLarge(): void {
    const count = this.#history.length - this.#historyStart;
    if (count <= MAX_HISTORY_EVENTS && this.#historyBytes <= MAX_HISTORY_BYTES) return;
    let index = this.#historyStart;
    let keep = count;
    let bytes = this.#historyBytes;
    while (keep > MAX_HISTORY_EVENTS * HISTORY_KEEP || bytes > MAX_HISTORY_BYTES * HISTORY_KEEP) {
      bytes -= this.#history[index]?.size ?? 0;
      keep--;
      index++;
    }
    this.#scheduleCompaction(this.#history[index - 1]?.version ?? this.#compacted);
  }

  #scheduleCompaction(through: number): void {
    const drop = this.#forgetThrough(through);
    this.#compacted = Math.max(this.#compacted, through);
    this.#compaction = mergeCompactions(this.#compaction, { through: this.#compacted, drop });
  }

  /** Removes events up to `version` from memory; answers the rows that nothing can reach any more. */
  #forgetThrough(version: number): number[] {
    const drop: number[] = [];
    for (;;) {
      const event = this.#history[this.#historyStart];
      if (event === undefined || event.version > version) break;
      if (event.previous) drop.push(event.previous.version);
      if (event.type === "DELETED") drop.push(event.version);
      this.collection(event.collection).shiftHistory();
      this.#historyBytes -= event.size;
      this.#historyStart++;
    }
    if (this.#historyStart > 4096 && this.#historyStart * 2 > this.#history.length) {
      this.#history.splice(0, this.#historyStart);
      this.#historyStart = 0;
    }
    return drop;
  }

  /** Drops the history up to `version`, by default all of it, as etcd's periodic compaction does. Resolves when that is durable. */
  async compact(version = this.#committed): Promise<void> {
    if (this.#closed || version <= this.#compacted) return;
    this.#scheduleCompaction(version);
    this.#flushing ??= this.#flush();
    await this.#flushing;
  }

  /** Copies the state into `file`, consistent at one version, while writes go on. @throws SeamError */
  async backup(file: string): Promise<void> {
    await this.#log.backup(file);
  }

  /** Resolves when every write accepted so far is durable and published, or has failed. */
  async settled(): Promise<void> {
    await this.#flushing;
  }

  /** Finishes accepted writes, then closes the database. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#flushing;
    await this.#log.close();
  }
}

/** What a writer hears when its write could not be stored. A full disk has a status of its own: it is the operator's to mend. */
function refusalOf(error: unknown): ApiStatusError {
  if (!(error instanceof SeamError)) return internalError(`the write was not stored: ${errorMessage(error)}`);
  if (error.reason !== "DiskFull") return internalError(error.message);
  return new ApiStatusError(507, "InsufficientStorage", `the write was not stored: ${error.message}`, {
    retryAfterSeconds: DISK_FULL_RETRY_SECONDS,
  });
}

function mergeCompactions(first: Compaction | undefined, second: Compaction | undefined): Compaction | undefined {
  if (!first) return second;
  if (!second) return first;
  return { through: Math.max(first.through, second.through), drop: [...first.drop, ...second.drop] };
}
