import type { KubeObject, Unstructured } from "../../../src/api/object.ts";
import type { ResourceType } from "../../../src/api/resource-type.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../../src/base/json.ts";
import { ApiStatusError } from "../../../src/cluster/api-status-error.ts";
import type {
  Cluster,
  DeleteOptions,
  Draft,
  ListOptions,
  Patch,
  WatchOptions,
  WriteOptions,
} from "../../../src/cluster/cluster.ts";

/** Conversations with a cluster by name. Every answer is part of what is compared. */
export type AnswerCases = Readonly<Record<string, (probe: Probe) => Promise<void>>>;

/** One case for each entry: the entry says what is tried. */
export function casesOf<T>(
  title: string,
  entries: Readonly<Record<string, T>>,
  run: (probe: Probe, entry: T) => Promise<void>,
): AnswerCases {
  return Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => [`${title}: ${name}`, (probe: Probe) => run(probe, entry)]),
  );
}

/** A type without the shape of its objects: probes send wrong ones on purpose. */
export function anyShape({ group, version, resource, kind, namespaced }: ResourceType<KubeObject>): ResourceType {
  return { group, version, resource, kind, namespaced };
}

type Sent = object;

/** Asks a cluster and keeps what it answered, without what differs from run to run. */
export class Probe {
  readonly #cluster: Cluster;
  readonly namespace: string;
  /** A custom resource with every kind of field ({@link widgetCrd}). */
  readonly widget: ResourceType;
  /** Set by a case that is about who owns which field. */
  showManagers = false;
  readonly answers: JsonValue[] = [];

  constructor(cluster: Cluster, namespace: string, widget: ResourceType) {
    this.#cluster = cluster;
    this.namespace = namespace;
    this.widget = widget;
  }

  create(type: ResourceType<KubeObject>, object: Sent, options: WriteOptions = {}): Promise<Unstructured | undefined> {
    return this.#write(options, (heard) =>
      this.#cluster.create(anyShape(type), this.#placed(type, object) as Draft<Unstructured>, heard),
    );
  }

  update(type: ResourceType<KubeObject>, object: Sent, options: WriteOptions = {}): Promise<Unstructured | undefined> {
    return this.#write(options, (heard) =>
      this.#cluster.update(anyShape(type), this.#placed(type, object) as Unstructured, heard),
    );
  }

  updateStatus(
    type: ResourceType<KubeObject>,
    object: Sent,
    options: WriteOptions = {},
  ): Promise<Unstructured | undefined> {
    return this.#write(options, (heard) =>
      this.#cluster.updateStatus(anyShape(type), this.#placed(type, object) as Unstructured, heard),
    );
  }

  patch(
    type: ResourceType<KubeObject>,
    name: string,
    patch: Sent,
    options: WriteOptions = {},
  ): Promise<Unstructured | undefined> {
    return this.#write(options, (heard) =>
      this.#cluster.patch(anyShape(type), this.#key(type, name), patch as Patch, heard),
    );
  }

  async delete(type: ResourceType<KubeObject>, name: string, options: DeleteOptions = {}): Promise<void> {
    await this.#record(this.#cluster.delete(anyShape(type), this.#key(type, name), options), (left) => left ?? "gone");
  }

  async get(type: ResourceType<KubeObject>, name: string): Promise<Unstructured | undefined> {
    return this.#record(this.#cluster.get(anyShape(type), this.#key(type, name)), (object) => object);
  }

  /** Names of what is listed, and whether there is more. */
  async list(type: ResourceType<KubeObject>, options: ListOptions): Promise<void> {
    const scoped = type.namespaced ? { namespace: this.namespace, ...options } : options;
    await this.#record(this.#cluster.list(anyShape(type), scoped), (list) => ({
      names: list.items.map((item) => item.metadata.name),
      more: list.continue !== undefined,
      remaining: list.remainingItemCount ?? null,
    }));
  }

  /** The first event of a watch, or its refusal. */
  async watch(type: ResourceType<KubeObject>, options: WatchOptions): Promise<void> {
    const stop = new AbortController();
    const first = async (): Promise<unknown> => {
      const scoped = type.namespaced ? { namespace: this.namespace, ...options } : options;
      for await (const event of this.#cluster.watch(anyShape(type), scoped, stop.signal)) {
        stop.abort();
        return event.type === "BOOKMARK" ? { type: event.type, end: event.initialEventsEnd } : event;
      }
      return "ended";
    };
    await this.#record(first(), (event) => event);
    stop.abort();
  }

  #key(type: ResourceType<KubeObject>, name: string): { readonly name: string; readonly namespace?: string } {
    return type.namespaced ? { namespace: this.namespace, name } : { name };
  }

  /** With the namespace of the case, where the object names none. */
  #placed(type: ResourceType<KubeObject>, object: Sent): Sent {
    const base = {
      apiVersion: type.group === "" ? type.version : `${type.group}/${type.version}`,
      kind: type.kind,
      ...object,
    };
    const metadata: unknown = "metadata" in object ? object.metadata : {};
    if (!type.namespaced || !isJsonObject(metadata) || "namespace" in metadata) return base;
    return { ...base, metadata: { ...metadata, namespace: this.namespace } };
  }

  async #write(
    options: WriteOptions,
    run: (options: WriteOptions) => Promise<Unstructured>,
  ): Promise<Unstructured | undefined> {
    const warnings: string[] = [];
    const answer = await this.#record(
      run({ fieldManager: "probe", ...options, onWarning: (text) => warnings.push(text) }),
      (object) => object,
    );
    if (warnings.length > 0) this.answers.push(this.#plain({ warnings: warnings.toSorted() }));
    return answer;
  }

  async #record<T>(call: Promise<T>, shown: (value: T) => unknown): Promise<T | undefined> {
    try {
      const value = await call;
      this.answers.push(this.#plain(shown(value)));
      return value;
    } catch (error) {
      if (!(error instanceof ApiStatusError)) throw error;
      this.answers.push(this.#plain(refusalOf(error)));
      return undefined;
    }
  }

  /** Plain JSON without versions, times, identities and the name of the namespace. */
  #plain(value: unknown): JsonValue {
    const text = JSON.stringify(value)
      .replaceAll(this.namespace, "<namespace>")
      .replaceAll(/\b(A_|a\.)[bcdfghjklmnpqrstvwxz2456789]{5}\b/g, "$1<generated>");
    const json = JSON.parse(text) as JsonValue;
    // The conditions of a CRD come from controllers, at their own pace.
    if (isJsonObject(json) && json["kind"] === "CustomResourceDefinition")
      return neutral({ ...json, status: undefined }, this.showManagers);
    return neutral(json, this.showManagers);
  }
}

/** Without the versions that some messages quote. */
function versions(text: string): string {
  return text.replaceAll(
    /(ResourceVersion in (?:the precondition|record)|ResourceVersion:) \(?\d+\)?/g,
    "$1 <version>",
  );
}

function refusalOf(error: ApiStatusError): JsonObject {
  const { name, kind, group, causes = [] } = error.details;
  // A real server checks some metadata twice on update, and says so twice.
  const texts = causes.map((cause) => `${cause.reason ?? ""} ${cause.field ?? ""}: ${cause.message}`);
  const sorted = [...new Set(texts)].toSorted();
  // Several causes come in the random order of a Go map.
  const message =
    sorted.length > 1 ? error.message.replace(/ is invalid: \[.*\]$/s, " is invalid: [causes]") : error.message;
  return {
    code: error.code,
    reason: error.reason,
    message: versions(message),
    of: [group ?? "", kind ?? "", name ?? ""],
    causes: sorted,
  };
}

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
/** The version of an object that the server quotes in an error, as Go quotes it. */
const QUOTED_VERSION = /(\\"resourceVersion\\":\\")\d+/g;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const CLUSTER_IP = /^10\.96\.\d+\.\d+$/;

function entriesInOrder(entries: readonly JsonValue[]): JsonValue[] {
  return entries
    .map((entry) => neutral(isJsonObject(entry) ? { ...entry, time: undefined } : entry, true))
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function neutral(value: JsonValue, managers: boolean): JsonValue {
  if (typeof value === "string") {
    if (CLUSTER_IP.test(value)) return "<ip>";
    return value.replaceAll(UUID, "<uid>").replaceAll(TIME, "<time>").replaceAll(QUOTED_VERSION, "$1<version>");
  }
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map((item) => neutral(item, managers));
  if (!isJsonObject(value)) return value;
  const out: Record<string, JsonValue> = {};
  for (const name of Object.keys(value).toSorted()) {
    const member = value[name];
    if (member === undefined || (name === "managedFields" && !managers)) continue;
    // Who wrote when decides the order of entries: the clock, not the rules.
    if (name === "managedFields" && Array.isArray(member)) {
      out[name] = entriesInOrder(member as readonly JsonValue[]);
      continue;
    }
    if (name === "resourceVersion") out[name] = "<version>";
    else if (name === "name" && typeof value["generateName"] === "string" && typeof member === "string")
      out[name] = `${value["generateName"]}<${member.length - value["generateName"].length} characters>`;
    else out[name] = neutral(member, managers);
  }
  return out;
}
