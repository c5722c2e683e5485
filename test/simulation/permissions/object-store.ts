import type { KubeObject, ObjectKey } from "../../../src/api/object.ts";
import { type ResourceType, apiVersionOf, groupResource } from "../../../src/api/resource-type.ts";
import type { Condition } from "../../../src/api/kinds/condition.ts";
import { canonicalJson } from "../../../src/base/canonical-json.ts";
import { type JsonObject, isJsonObject } from "../../../src/base/json.ts";
import { ApiStatusError } from "../../../src/cluster/api-status-error.ts";
import type { Patch, WriteOptions } from "../../../src/cluster/cluster.ts";

/** What the store keeps of an object: JSON, never changed in place. */
type Stored = KubeObject & { readonly [field: string]: unknown };

/** What one field manager said last, so that what it leaves out now is removed. */
type Owned = ReadonlyMap<string, ReadonlySet<string>>;

/** Everything an API server has on its disk. */
export interface ObjectStoreCopy {
  readonly objects: ReadonlyMap<string, Stored>;
  readonly owned: Owned;
}

/**
 * The objects behind a simulated API server with what the permission plane rests on: conditional updates, create that never replaces,
 * server-side apply by field manager. Durable at once; the network and the processes around it are what fails (api-client.ts).
 */
export class ObjectStore {
  #objects: Map<string, Stored> = new Map();
  #owned: Map<string, ReadonlySet<string>> = new Map();
  #version = 0;
  readonly #watchers: ((key: string, object: KubeObject | undefined) => void)[] = [];

  /** Calls `watcher` with every object that changed; undefined: it is gone. */
  watch(watcher: (key: string, object: KubeObject | undefined) => void): void {
    this.#watchers.push(watcher);
  }

  /** All objects by key. */
  list(): ReadonlyMap<string, KubeObject> {
    return this.#objects;
  }

  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): T {
    return typed(type, this.#held(type, key));
  }

  create<T extends KubeObject>(type: ResourceType<T>, object: object & { metadata: object }): T {
    const draft = object as unknown as Stored;
    if (this.#objects.has(pathOf(type, draft.metadata)))
      throw new ApiStatusError(409, "AlreadyExists", `${draft.metadata.name} already exists`);
    return this.#put<T>(type, { ...draft, metadata: { ...draft.metadata, generation: 1 } });
  }

  update<T extends KubeObject>(type: ResourceType<T>, object: T): T {
    const { resourceVersion } = object.metadata;
    const held = this.#held(type, object.metadata);
    if (resourceVersion !== undefined && resourceVersion !== held.metadata.resourceVersion)
      throw new ApiStatusError(409, "Conflict", `${object.metadata.name} was changed`);
    const wanted = object as unknown as Stored;
    const status = held["status"] === undefined ? {} : { status: held["status"] };
    return this.#put<T>(type, { ...wanted, ...status });
  }

  delete<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): void {
    this.#held(type, key);
    const path = pathOf(type, key);
    this.#objects.delete(path);
    this.#version++;
    for (const watcher of this.#watchers) watcher(path, undefined);
  }

  /** Server-side apply of metadata, spec and status, by top-level fields and by condition. */
  apply<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, patch: Patch, options: WriteOptions): T {
    if (patch.type !== "apply") throw new ApiStatusError(415, "UnsupportedMediaType", `no patch ${patch.type} here`);
    const { body } = patch;
    const path = pathOf(type, key);
    const held = this.#objects.get(path);
    if (held === undefined && options.subresource === "status") throw notFound(type, key);
    const { resourceVersion } = body["metadata"] as { readonly resourceVersion?: string };
    if (resourceVersion !== undefined && resourceVersion !== held?.metadata.resourceVersion)
      throw new ApiStatusError(409, "Conflict", `${key.name} was changed`);
    const before: Stored = held ?? {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: { ...key, generation: 0 },
    };
    const section = options.subresource === "status" ? "status" : "spec";
    const mine = `${path} ${options.fieldManager ?? ""} ${section}`;
    const said = fieldsOf(body[section]);
    const next = merged(fieldsOf(before[section]), said, this.#owned.get(mine) ?? new Set());
    this.#owned.set(mine, new Set(namesIn(said)));
    const metadata = { ...before.metadata, ...(section === "spec" ? metadataOf(before, body) : {}) };
    return this.#put<T>(type, { ...before, metadata, [section]: next });
  }

  copy(): ObjectStoreCopy {
    return { objects: new Map(this.#objects), owned: new Map(this.#owned) };
  }

  /** The server is what a backup held; versions go on. */
  restore({ objects, owned }: ObjectStoreCopy): void {
    const gone = [...this.#objects.keys()].filter((path) => !objects.has(path));
    this.#objects = new Map(objects);
    this.#owned = new Map(owned);
    this.#version++;
    for (const watcher of this.#watchers) {
      for (const path of gone) watcher(path, undefined);
      for (const [path, object] of objects) watcher(path, object);
    }
  }

  #held<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Stored {
    const held = this.#objects.get(pathOf(type, key));
    if (held === undefined) throw notFound(type, key);
    return held;
  }

  #put<T extends KubeObject>(type: ResourceType<T>, object: Stored): T {
    const path = pathOf(type, object.metadata);
    const held = this.#objects.get(path);
    if (held !== undefined && sameContent(held, object)) return typed(type, held);
    const generation = (held?.metadata.generation ?? 0) + (same(held?.["spec"], object["spec"]) ? 0 : 1);
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version), generation };
    const stored = { ...object, metadata };
    this.#objects.set(path, stored);
    for (const watcher of this.#watchers) watcher(path, stored);
    return typed(type, stored);
  }
}

/** Key of an object in the store. */
export function pathOf(type: { readonly group: string; readonly resource: string }, key: ObjectKey): string {
  return `${groupResource(type)}/${key.namespace ?? ""}/${key.name}`;
}

/** What stands under a type's path was written as that type: the server has no other way in. */
function typed<T extends KubeObject>(_: ResourceType<T>, stored: Stored): T {
  return stored as KubeObject as T;
}

function notFound(type: ResourceType<KubeObject>, key: ObjectKey): ApiStatusError {
  return new ApiStatusError(404, "NotFound", `${groupResource(type)} ${key.name} not found`);
}

function fieldsOf(section: unknown): Record<string, unknown> {
  return isJsonObject(section) ? { ...section } : {};
}

function conditionsOf(fields: Record<string, unknown>): readonly Condition[] {
  return (fields["conditions"] ?? []) as readonly Condition[];
}

function namesIn(fields: Record<string, unknown>): readonly string[] {
  const conditions = conditionsOf(fields).map(({ type }) => `conditions/${type}`);
  return [...Object.keys(fields).filter((name) => name !== "conditions"), ...conditions];
}

function merged(
  held: Record<string, unknown>,
  said: Record<string, unknown>,
  owned: ReadonlySet<string>,
): Record<string, unknown> {
  const next = { ...held };
  const now = new Set(namesIn(said));
  for (const name of owned) if (!now.has(name) && !name.startsWith("conditions/")) delete next[name];
  const conditions = new Map(conditionsOf(held).map((condition) => [condition.type, condition]));
  for (const type of conditions.keys())
    if (owned.has(`conditions/${type}`) && !now.has(`conditions/${type}`)) conditions.delete(type);
  for (const condition of conditionsOf(said)) conditions.set(condition.type, condition);
  Object.assign(next, said);
  if (conditions.size > 0) next["conditions"] = [...conditions.values()];
  return next;
}

function metadataOf({ metadata }: KubeObject, body: JsonObject) {
  const said = fieldsOf(body["metadata"]);
  return {
    labels: { ...metadata.labels, ...fieldsOf(said["labels"]) } as Record<string, string>,
    annotations: { ...metadata.annotations, ...fieldsOf(said["annotations"]) } as Record<string, string>,
  };
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson((a ?? null) as JsonObject) === canonicalJson((b ?? null) as JsonObject);
}

function sameContent(held: Stored, object: Stored): boolean {
  const shown = ({ metadata, ...rest }: Stored): unknown => ({
    ...rest,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
  });
  return same(shown(held), shown(object));
}
