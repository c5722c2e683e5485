import type { JsonObject, JsonValue } from "../base/json.ts";
import type { KubeObject, ObjectKey } from "../api/object.ts";
import type { ResourceType } from "../api/resource-type.ts";
import type { RequestUser } from "./request-user.ts";

/**
 * One Kubernetes cluster, real or embedded, seen through one interface. All lasting control state of the system goes through it
 * (architecture §2.1). Semantics are those of a kube-apiserver; where an implementation differs, it is a bug of that
 * implementation. Every method rejects with {@link ApiStatusError} for what the API server refuses, and a write has resolved only
 * when it is durable.
 */
export interface Cluster {
  /** @throws ApiStatusError 404 NotFound */
  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T>;

  /** One page of a consistent snapshot. @throws ApiStatusError 410 Expired for an old `continue` or resourceVersion */
  list<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<ObjectList<T>>;

  /**
   * Events after `resourceVersion`, in order, until `signal` aborts (then the iteration ends without an error), the server's
   * `timeoutSeconds` passes (it ends as well; go on from the last resourceVersion seen) or it throws: ApiStatusError 410 Expired
   * when the version is compacted or this watcher was too slow (list again), anything else for a broken connection.
   */
  watch<T extends KubeObject>(
    type: ResourceType<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;

  /** @throws ApiStatusError 409 AlreadyExists, 422 Invalid, 404 for a missing namespace */
  create<T extends KubeObject>(type: ResourceType<T>, object: Draft<T>, options?: WriteOptions): Promise<T>;

  /** Replaces everything but status; conditional when the object carries a resourceVersion. @throws ApiStatusError 409 Conflict */
  update<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;

  /** Replaces only `status`. @throws ApiStatusError 409 Conflict */
  updateStatus<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<T>;

  /** Applies a patch. Server-side apply creates a missing object. @throws ApiStatusError 409 with causes for apply conflicts */
  patch<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<T>;

  /**
   * Deletes, or marks for deletion while finalizers or foreground dependents remain. Resolves with the object as it was left
   * (`deletionTimestamp` set) or undefined when it is gone. @throws ApiStatusError 404, 409 for a failed precondition
   */
  delete<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, options?: DeleteOptions): Promise<T | undefined>;

  /** What the cluster serves now, built-in kinds and established CRDs. */
  discover(): Promise<Discovery>;
}

/** What a client sends to create: the server fills in the rest; `generateName` may stand in for `name`. */
export type Draft<T extends KubeObject> = Omit<T, "metadata" | "status"> & {
  readonly metadata: Partial<T["metadata"]>;
};

/** Options of {@link Cluster.list}. */
export interface ListOptions {
  /** Absent lists all namespaces. */
  readonly namespace?: string;
  /** Kubernetes label selector syntax. */
  readonly labelSelector?: string;
  /** Kubernetes field selector syntax: metadata.name, metadata.namespace and the selectable fields of the type. */
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: "Exact" | "NotOlderThan";
}

/** A page of objects. */
export interface ObjectList<T extends KubeObject> {
  readonly items: readonly T[];
  /** Version of the snapshot; where a watch goes on. */
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/** Options of {@link Cluster.watch}. */
export interface WatchOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Events after this version; absent or "0" starts with synthetic ADDED events of what exists. */
  readonly resourceVersion?: string;
  /** Ask for BOOKMARK events about once a minute. */
  readonly allowWatchBookmarks?: boolean;
  /** Streaming list: ADDED for what exists, then a BOOKMARK annotated `k8s.io/initial-events-end`. */
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}

/** One event of a watch. A BOOKMARK carries only a resourceVersion. */
export type WatchEvent<T extends KubeObject> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string; readonly initialEventsEnd: boolean };

/** Options common to writes. */
export interface WriteOptions {
  /** Required for apply; recorded in managedFields for all writes. */
  readonly fieldManager?: string;
  /** Runs everything but the write. */
  readonly dryRun?: boolean;
  readonly fieldValidation?: "Strict" | "Warn" | "Ignore";
  /** Apply only: take over fields of other managers. */
  readonly force?: boolean;
  /** Writes through `/status`, `/scale` or, for namespaces, `/finalize`. */
  readonly subresource?: "status" | "scale" | "finalize";
  /** Hears what the server warns about (HTTP `Warning` headers): unknown and duplicate fields, deprecated versions. */
  readonly onWarning?: (warning: string) => void;
  /**
   * Embedded clusters: looks at what would be stored, with its defaults and not yet validated, and throws ApiStatusError to refuse it.
   * `old` is absent for a new object. A server elsewhere has its own admission.
   */
  readonly admit?: (object: KubeObject, old: KubeObject | undefined) => void;
  /** Embedded clusters: who writes, as policies and webhooks see it. A server elsewhere knows by the connection. */
  readonly user?: RequestUser;
}

/** A patch body with its kind. */
export type Patch =
  | { readonly type: "merge"; readonly body: JsonObject }
  | { readonly type: "strategic"; readonly body: JsonObject }
  | { readonly type: "json"; readonly body: readonly JsonPatchOperation[] }
  | { readonly type: "apply"; readonly body: JsonObject };

/** RFC 6902 operation. */
export interface JsonPatchOperation {
  readonly op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  readonly path: string;
  readonly from?: string;
  readonly value?: JsonValue;
}

/** Options of {@link Cluster.delete}. */
export interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly gracePeriodSeconds?: number;
  readonly dryRun?: boolean;
  /** Embedded clusters: who deletes, as policies and webhooks see it. */
  readonly user?: RequestUser;
  /** Hears what policies and webhooks warn about. */
  readonly onWarning?: (warning: string) => void;
}

/** Resolves kinds and resources to what the cluster serves. */
export interface Discovery {
  readonly resources: readonly DiscoveredResource[];
  /** Finds by kind, preferring the given version, else the group's preferred one. */
  byKind(group: string, version: string, kind: string): DiscoveredResource | undefined;
  /** Finds by plural name. */
  byResource(group: string, version: string, resource: string): DiscoveredResource | undefined;
}

/** One served resource with what can be done to it. */
export interface DiscoveredResource extends ResourceType {
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly subresources: readonly string[];
}
