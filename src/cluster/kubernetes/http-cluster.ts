import type { Clock } from "../../base/clock.ts";
import { isJsonObject, type JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import { integerBetween, type Random } from "../../base/random.ts";
import type { KubeObject, ObjectKey } from "../../api/object.ts";
import { apiVersionOf, type ResourceType } from "../../api/resource-type.ts";
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
import { isStatusDocument } from "../status-document.ts";
import type { Endpoint } from "./credentials.ts";
import { jsonLines } from "./json-lines.ts";
import { readListItems } from "./list-items.ts";
import { type Query, queryText, resourcePath } from "./resource-path.ts";
import { ServedResources } from "./served-resources.ts";
import { SharedParts } from "./shared-parts.ts";
import { type ApiAnswer, type ApiRequest, Transport } from "./transport.ts";
import { typed, watchEventOf } from "./watch-events.ts";
import { warningTexts } from "./warning-header.ts";

/** One object of a list, or one watch event, at most; etcd holds objects of 1.5 MiB. */
const MAX_OBJECT_BYTES = 16 * 1024 * 1024;
/** A watch without a timeout of its own asks the server to end it after 5 to 10 minutes, as client-go does. */
const WATCH_TIMEOUT_SECONDS = { min: 300, max: 600 };
/** A watch that is silent for this long past its timeout has lost its connection. */
const WATCH_GRACE_MS = 30_000;

const PATCH_CONTENT_TYPE = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

/** What {@link httpCluster} needs. */
export interface HttpClusterOptions {
  /** Base address, for example `https://127.0.0.1:6443`. */
  readonly server: string;
  /** PEM of the CA that signed the server's certificate; absent trusts the machine's roots. */
  readonly caPem?: string;
  readonly clientCertPem?: string;
  readonly clientKeyPem?: string;
  /** Bearer token, when there is no client certificate. */
  readonly token?: string;
  /** Name in the server's certificate when it is not the host of `server`. */
  readonly serverName?: string;
  /** First part of the User-Agent: the default field manager. */
  readonly userAgent?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A {@link Cluster} that holds connections. */
export type ConnectedCluster = Cluster & {
  /** Reads a path that is no object, as it is sent. @throws ApiStatusError; Error for a broken connection */
  read(path: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Ends every call and watch and releases the connections. Idempotent. */
  close(): Promise<void>;
};

/**
 * A cluster over its REST API with fixed credentials: what `seamctl` uses, without loading a Kubernetes client library. Nothing is
 * sent before the first call.
 */
export function httpCluster(options: HttpClusterOptions): ConnectedCluster {
  const credentials = Promise.resolve({
    caPem: options.caPem,
    clientCertPem: options.clientCertPem,
    clientKeyPem: options.clientKeyPem,
    headers: options.token === undefined ? {} : { authorization: `Bearer ${options.token}` },
  } as const);
  return clusterOver({
    endpoint: {
      server: options.server,
      ...(options.serverName === undefined ? {} : { serverName: options.serverName }),
      verifyServer: true,
      credentials: () => credentials,
      forget: () => {
        // fixed credentials: there is nothing else to present
      },
    },
    userAgent: options.userAgent ?? "seam",
    clock: options.clock,
    random: options.random,
    log: options.log,
  });
}

/** A cluster over an endpoint whose credentials may change. */
export function clusterOver(parts: {
  readonly endpoint: Endpoint;
  readonly userAgent: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): ConnectedCluster {
  return new HttpCluster(new Transport(parts), parts.clock, parts.random);
}

class HttpCluster implements ConnectedCluster {
  readonly #transport: Transport;
  readonly #resources: ServedResources;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(transport: Transport, clock: Clock, random: Random) {
    this.#transport = transport;
    this.#resources = new ServedResources(transport);
    this.#clock = clock;
    this.#random = random;
  }

  read(path: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return this.#transport.stream({ method: "GET", path }, signal);
  }

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T> {
    return typed(type, parsed(await this.#transport.call({ method: "GET", path: resourcePath(type, key) })));
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<ObjectList<T>> {
    if (options.limit !== undefined || options.continue !== undefined || options.resourceVersion !== undefined)
      return this.#page(type, options);
    const items: T[] = [];
    const shared = new SharedParts();
    const { body } = await this.#transport.callReading(this.#listRequest(type, options), (chunks) =>
      readListItems(
        chunks,
        (some) => {
          for (const item of some) items.push(typed(type, item, shared));
        },
        MAX_OBJECT_BYTES,
      ),
    );
    return { items, resourceVersion: textOf(body.metadata["resourceVersion"]) };
  }

  async *watch<T extends KubeObject>(
    type: ResourceType<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const timeoutSeconds =
      options.timeoutSeconds ?? integerBetween(this.#random, WATCH_TIMEOUT_SECONDS.min, WATCH_TIMEOUT_SECONDS.max);
    const path = `${resourcePath(type, { namespace: options.namespace })}${queryText({
      watch: true,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      resourceVersion: options.resourceVersion,
      allowWatchBookmarks: options.allowWatchBookmarks === true || options.sendInitialEvents === true,
      timeoutSeconds,
      ...(options.sendInitialEvents === true ? { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" } : {}),
    })}`;
    const over = new AbortController();
    const lost = new AbortController();
    void this.#clock.sleep(timeoutSeconds * 1000 + WATCH_GRACE_MS, over.signal).then(
      () => lost.abort(new Error(`the watch of ${type.resource} did not end in time: the connection is lost`)),
      () => undefined, // the watch ended first
    );
    const shared = new SharedParts();
    try {
      const body = await this.#transport.stream({ method: "GET", path }, AbortSignal.any([signal, lost.signal]));
      try {
        for await (const line of jsonLines(body, MAX_OBJECT_BYTES)) {
          if (signal.aborted) return;
          yield watchEventOf(type, line, shared);
        }
      } finally {
        body.destroy();
      }
    } catch (error) {
      if (signal.aborted) return;
      throw lost.signal.aborted ? lost.signal.reason : error;
    } finally {
      over.abort();
    }
  }

  create<T extends KubeObject>(type: ResourceType<T>, object: Draft<T>, options: WriteOptions = {}): Promise<T> {
    const { namespace } = object.metadata;
    return this.#write("POST", type, { namespace }, object, options);
  }

  update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write("PUT", type, object.metadata, object, options);
  }

  updateStatus<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write("PUT", type, object.metadata, object, { ...options, subresource: "status" });
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    // JSON is YAML: apply bodies need no other writer.
    const answer = await this.#transport.call({
      method: "PATCH",
      path: `${resourcePath(type, { ...key, subresource: options.subresource })}${queryText(writeQuery(options))}`,
      headers: { "content-type": PATCH_CONTENT_TYPE[patch.type] },
      body: JSON.stringify(patch.body),
    });
    warn(answer, options);
    return typed(type, parsed(answer));
  }

  async delete<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const body: JsonObject = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      propagationPolicy: options.propagationPolicy,
      gracePeriodSeconds: options.gracePeriodSeconds,
      preconditions: options.preconditions === undefined ? undefined : { ...options.preconditions },
      dryRun: options.dryRun === true ? ["All"] : undefined,
    };
    const answer = await this.#transport.call({
      method: "DELETE",
      path: resourcePath(type, key),
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    warn(answer, options);
    const value = parsed(answer);
    return isStatusDocument(value) || !remains(value) ? undefined : typed(type, value);
  }

  discover(): Promise<Discovery> {
    return this.#resources.discover();
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #page<T extends KubeObject>(type: ResourceType<T>, options: ListOptions): Promise<ObjectList<T>> {
    const list = parsed(await this.#transport.call(this.#listRequest(type, options)));
    if (!isJsonObject(list) || !isJsonObject(list["metadata"]))
      throw new Error("the API server sent something that is no list");
    const metadata = list["metadata"];
    const items = Array.isArray(list["items"]) ? (list["items"] as readonly unknown[]) : [];
    const shared = new SharedParts();
    const continued = textOf(metadata["continue"]);
    return {
      items: items.map((item) => typed(type, item, shared)),
      resourceVersion: textOf(metadata["resourceVersion"]),
      ...(continued === "" ? {} : { continue: continued }),
      ...(typeof metadata["remainingItemCount"] === "number"
        ? { remainingItemCount: metadata["remainingItemCount"] }
        : {}),
    };
  }

  #listRequest<T extends KubeObject>(type: ResourceType<T>, { namespace, ...query }: ListOptions): ApiRequest {
    return { method: "GET", path: `${resourcePath(type, { namespace })}${queryText(query)}` };
  }

  async #write<T extends KubeObject>(
    method: "POST" | "PUT",
    type: ResourceType<T>,
    metadata: { readonly namespace?: string | undefined; readonly name?: string | undefined },
    object: object,
    options: WriteOptions,
  ): Promise<T> {
    const at =
      method === "POST"
        ? { namespace: metadata.namespace }
        : { namespace: metadata.namespace, name: metadata.name ?? "", subresource: options.subresource };
    const answer = await this.#transport.call({
      method,
      path: `${resourcePath(type, at)}${queryText(writeQuery(options))}`,
      headers: { "content-type": "application/json" },
      // The type already says what the object is; a caller may leave apiVersion and kind to it.
      body: JSON.stringify({ apiVersion: apiVersionOf(type), kind: type.kind, ...object }),
    });
    warn(answer, options);
    return typed(type, parsed(answer));
  }
}

function writeQuery(options: WriteOptions): Query {
  return {
    fieldManager: options.fieldManager,
    fieldValidation: options.fieldValidation,
    force: options.force,
    dryRun: options.dryRun === true ? "All" : undefined,
  };
}

function warn(answer: ApiAnswer, { onWarning }: Pick<WriteOptions, "onWarning">): void {
  if (onWarning) for (const text of warningTexts(answer.warnings)) onWarning(text);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function parsed(answer: ApiAnswer): unknown {
  return JSON.parse(answer.body);
}

/** True when a deletion left the object there: it waits for a finalizer, for a namespace's content or for its grace period. */
function remains(value: unknown): boolean {
  if (!isJsonObject(value) || !isJsonObject(value["metadata"])) return false;
  const metadata = value["metadata"];
  if (metadata["deletionTimestamp"] === undefined) return false;
  const spec = isJsonObject(value["spec"]) ? value["spec"] : {};
  const waits = (list: unknown): boolean => Array.isArray(list) && list.length > 0;
  const grace = metadata["deletionGracePeriodSeconds"];
  return waits(metadata["finalizers"]) || waits(spec["finalizers"]) || (typeof grace === "number" && grace > 0);
}
