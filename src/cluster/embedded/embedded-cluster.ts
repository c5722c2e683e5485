import { setFlagsFromString } from "node:v8";
import { Namespace } from "../../api/builtin.ts";
import type { PrinterColumn } from "../../api/builtin.ts";
import type { KubeObject, ObjectKey, Unstructured } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import type { Clock } from "../../base/clock.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { isStatus } from "../api-status-error.ts";
import type {
  Cluster,
  DeleteOptions,
  Discovery,
  Draft,
  ListOptions,
  ObjectList,
  Patch,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "../cluster.ts";
import { AdmissionCel } from "./admission/admission-cel.ts";
import { NO_ADMISSION, storedAdmission } from "./admission/admission.ts";
import { NamespaceDefaults } from "./accounts/namespace-defaults.ts";
import { trackUpdate } from "./apply/track-update.ts";
import { serveCustomResources } from "./crd/crd-controller.ts";
import { CrdLifecycle } from "./crd/crd-lifecycle.ts";
import { createObject } from "./requests/create.ts";
import { decodeWhole } from "./requests/decode.ts";
import { deleteObject } from "./requests/delete.ts";
import { listObjects } from "./requests/list.ts";
import { expireEvents } from "./garbage-collection/event-expiry.ts";
import { GarbageCollector } from "./garbage-collection/garbage-collector.ts";
import { NamespaceLifecycle } from "./namespaces/namespace-lifecycle.ts";
import { JobExpiry } from "./jobs/job-expiry.ts";
import { JobController, type JobControllerOptions } from "./jobs/runner/job-controller.ts";
import { PodAgent, type PodAgentOptions } from "./jobs/runner/pod-agent.ts";
import { managerOf } from "./requests/field-manager.ts";
import { patchObject } from "./requests/patch.ts";
import { replaceObject } from "./requests/replace.ts";
import { nowText, type RequestContext } from "./requests/request-context.ts";
import { BuiltinMembers } from "./resources/builtin-members.ts";
import { builtinResources } from "./resources/builtin-table.ts";
import { ResourceRegistry } from "./resources/registry.ts";
import { ClusterRoleAggregation } from "./rbac/cluster-role-aggregation.ts";
import { inVersion, type ScalePaths } from "./resources/served-resource.ts";
import { CelEngine } from "./schema/cel/cel-engine.ts";
import { compileSelector } from "./selectors/selector.ts";
import { notFound, notServed } from "./status-errors.ts";
import { storageKey } from "./store/collection.ts";
import { compactByAge } from "./store/compact-by-age.ts";
import { ObjectStore } from "./store/object-store.ts";
import { WatchCache } from "./watch/watch-cache.ts";

/** Where and with what an embedded cluster runs. */
export interface EmbeddedClusterOptions {
  /** Folder of this cluster alone; created with mode 0700 when missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Size limit of the state on disk, bytes; default 8 GiB. */
  readonly maxStateBytes?: number;
  /** PEM of the CA that signs the certificate of the cluster's API; published to every namespace as `kube-root-ca.crt`. */
  readonly rootCa?: string;
  /** Runs Jobs of our own programs as child processes; without it Jobs are only stored. */
  readonly jobs?: Omit<PodAgentOptions, "directory"> & Pick<JobControllerOptions, "others">;
  /** Closes the cluster when it aborts. */
  readonly signal?: AbortSignal;
}

/** What the REST layer needs to know about a served resource beyond discovery. */
export interface ResourceDetails {
  readonly namespaced: boolean;
  readonly printerColumns: readonly PrinterColumn[];
  /** OpenAPI v3 schema of the object; built-in kinds only keep unknown fields. */
  readonly openApiSchema: JsonObject;
  readonly statusSubresource: boolean;
  readonly scaleSubresource: boolean;
  /** Member names on the way to the replica counts; undefined without a scale subresource. */
  readonly scale: ScalePaths | undefined;
}

/** A Kubernetes cluster in one folder: the semantics of a kube-apiserver on SQLite (architecture §7). */
export interface EmbeddedCluster extends Cluster {
  readonly directory: string;
  /** Resolves when everything is released, after {@link close} or the signal. */
  readonly closed: Promise<void>;
  /** Ends watches, finishes accepted writes and closes the database. */
  close(): Promise<void>;
  /** @throws ApiStatusError 404 when it is not served */
  resourceDetails(group: string, version: string, resource: string): ResourceDetails;
  /** Version of the newest durable write. */
  currentResourceVersion(): string;
  /** Why the last write was not stored; undefined when it was. */
  storageFailure(): string | undefined;
  /** How many objects of each resource are stored. */
  objectCounts(): Iterable<{ readonly group: string; readonly resource: string; readonly count: number }>;
  /** Drops watch history, as etcd's compaction does: older watches and lists answer 410. */
  compactHistory(): Promise<void>;
  /**
   * Copies the whole state into `file`, which must not exist, consistent at one version, while writes go on. The copy is made beside the
   * others' writes; it holds Secrets and has mode 0400.
   *
   * @throws SeamError
   */
  backup(file: string): Promise<void>;
}

/** Namespaces that every cluster has; the UID of kube-system is the cluster's identity. */
const INITIAL_NAMESPACES = ["kube-system", "default", "kube-public", "kube-node-lease"];

/** Stored objects have the shape of their kind: the write path validated them. Only the compiler cannot see it. */
function typed<T extends KubeObject>(_type: ResourceType<T>, object: Unstructured): T {
  return object as unknown as T;
}

class SqliteCluster implements EmbeddedCluster {
  readonly directory: string;
  readonly closed: Promise<void>;
  readonly #context: RequestContext;
  readonly #store: ObjectStore;
  readonly #registry: ResourceRegistry;
  readonly #watches: WatchCache;
  readonly #sweeps: Promise<unknown>;
  readonly #controllers: readonly { idle(): Promise<void> }[];
  readonly #stop = new AbortController();

  constructor(options: EmbeddedClusterOptions, store: ObjectStore) {
    this.directory = options.directory;
    this.#store = store;
    this.#registry = new ResourceRegistry(builtinResources());
    const { clock, random, log } = options;
    const closing = this.#stop.signal;
    const admissionCel = new AdmissionCel();
    const parts = {
      store,
      registry: this.#registry,
      cel: new CelEngine(),
      builtinMembers: new BuiltinMembers(),
      admissionCel,
      clock,
      random,
      log,
    };
    const system: RequestContext = { ...parts, admission: NO_ADMISSION };
    this.#context = { ...parts, admission: storedAdmission({ ...parts, closing }, admissionCel) };
    this.#watches = new WatchCache(store, clock, this.#stop.signal);
    serveCustomResources(store, this.#registry, this.#watches);
    this.#controllers = [
      new GarbageCollector(system, closing),
      new NamespaceLifecycle(system, closing),
      new CrdLifecycle(system, closing),
      new ClusterRoleAggregation(system, closing),
      new NamespaceDefaults(system, closing, options.rootCa),
      new JobExpiry(system, closing),
      ...(options.jobs
        ? [
            new JobController(system, options.jobs, closing),
            new PodAgent(system, { ...options.jobs, directory: options.directory }, closing),
          ]
        : []),
    ];
    this.#sweeps = Promise.all([expireEvents(system, closing), compactByAge(store, clock, log, closing)]);
    this.closed = this.#run();
    const { signal } = options;
    if (signal) {
      const onAbort = (): void => this.#stop.abort();
      signal.addEventListener("abort", onAbort, { once: true });
      this.#stop.signal.addEventListener("abort", () => signal.removeEventListener("abort", onAbort), { once: true });
      if (signal.aborted) this.#stop.abort();
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
    await this.#watches.closed;
    await this.#sweeps;
    await Promise.all(this.#controllers.map((controller) => controller.idle()));
    await this.#store.close();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.closed;
  }

  /** Creates what every cluster has. */
  async bootstrap(): Promise<void> {
    for (const name of INITIAL_NAMESPACES) {
      try {
        await this.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
      } catch (error) {
        if (!isStatus(error, "AlreadyExists")) throw error;
      }
    }
  }

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T> {
    const resource = this.#registry.require(type);
    const entry = this.#store
      .collection(resource.collection)
      .get(storageKey(resource.namespaced ? key.namespace : undefined, key.name));
    if (!entry) throw notFound(resource, key.name);
    return typed(type, inVersion(resource, entry.object));
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<ObjectList<T>> {
    const page = listObjects(this.#context, this.#registry.require(type), options);
    return { ...page, items: page.items.map((object) => typed(type, object)) };
  }

  async *watch<T extends KubeObject>(
    type: ResourceType<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>> {
    const resource = this.#registry.require(type);
    const events = this.#watches.watch(
      {
        collection: resource.collection,
        namespace: options.namespace,
        selector: compileSelector(options, resource.selectableFields, resource.custom),
        present: (object) => inVersion(resource, object),
        bookmarks: options.allowWatchBookmarks === true,
        resourceVersion: options.resourceVersion,
        sendInitialEvents: options.sendInitialEvents,
        timeoutMs: options.timeoutSeconds === undefined ? undefined : options.timeoutSeconds * 1000,
      },
      signal,
    );
    for await (const event of events) {
      yield event.type === "BOOKMARK" ? event : { type: event.type, object: typed(type, event.object) };
    }
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: Draft<T>, options: WriteOptions = {}): Promise<T> {
    const resource = this.#registry.require(type);
    const id = managerOf(resource, options, "Update", "CreateOptions");
    const time = nowText(this.#context);
    const created = await this.#answered(
      createObject(this.#context, resource, decodeWhole(resource, object), options, (final) =>
        trackUpdate(resource, final, undefined, id, time),
      ),
    );
    return typed(type, created);
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const resource = this.#registry.require(type);
    return typed(type, await this.#answered(replaceObject(this.#context, resource, object, options)));
  }

  async updateStatus<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const resource = this.#registry.require(type);
    if (!resource.statusSubresource) throw notServed();
    return typed(
      type,
      await this.#answered(replaceObject(this.#context, resource, object, { ...options, subresource: "status" })),
    );
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    const resource = this.#registry.require(type);
    return typed(type, await this.#answered(patchObject(this.#context, resource, key, patch, options)));
  }

  async delete<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const left = await this.#answered(deleteObject(this.#context, this.#registry.require(type), key, options));
    return left === undefined ? undefined : typed(type, left);
  }

  /**
   * A write is judged against the newest accepted state, which may not be durable and readable yet. A refusal waits for that, so that
   * a caller who reads again after a conflict sees what it conflicted with, as with a real API server; else it would try again and
   * again without ever letting the commit finish.
   */
  async #answered<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      await this.#store.settled();
      throw error;
    }
  }

  async discover(): Promise<Discovery> {
    return this.#registry.discover();
  }

  resourceDetails(group: string, version: string, resource: string): ResourceDetails {
    const found = this.#registry.find(group, version, resource);
    if (!found) throw notServed();
    return {
      namespaced: found.namespaced,
      printerColumns: found.printerColumns,
      openApiSchema: found.openApiSchema,
      statusSubresource: found.statusSubresource,
      scaleSubresource: found.scale !== undefined,
      scale: found.scale,
    };
  }

  currentResourceVersion(): string {
    return String(this.#store.version);
  }

  storageFailure(): string | undefined {
    return this.#store.lastFailure;
  }

  *objectCounts(): Generator<{ readonly group: string; readonly resource: string; readonly count: number }> {
    for (const { group, resource, collection } of this.#registry.collections())
      yield { group, resource, count: this.#store.collection(collection).size };
  }

  compactHistory(): Promise<void> {
    return this.#store.compact();
  }

  backup(file: string): Promise<void> {
    return this.#store.backup(file);
  }
}

/**
 * Opens the cluster stored in `directory`, creating it when it is new.
 *
 * @throws SeamError `AlreadyOpen` (names the other pid), `NewerVersion`, `NotWritable`, `DiskFull`, `Corrupt`
 */
export async function openEmbeddedCluster(options: EmbeddedClusterOptions): Promise<EmbeddedCluster> {
  // Patterns and rules come from CRDs, which anybody may bring: one that backtracks without end continues on the linear engine.
  setFlagsFromString("--enable-experimental-regexp-engine-on-excessive-backtracks");
  const cluster = new SqliteCluster(options, await ObjectStore.open(options.directory, options.maxStateBytes));
  try {
    await cluster.bootstrap();
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}
