import type { KubeObject, OwnerReference, Unstructured } from "../../../api/object.ts";
import { keyOf } from "../../../api/object.ts";
import { parseApiVersion } from "../../../api/resource-type.ts";
import { type JsonMap, memberText } from "../json/mutable-json.ts";
import { deleteObject, FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from "../requests/delete.ts";
import type { RequestContext } from "../requests/request-context.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { LifecycleQueue } from "./lifecycle-queue.ts";
import { dropFinalizer, editMetadata, ignoringGone } from "./system-writes.ts";
import { type ObjectPlace, OwnerIndex, parsePlace, placeText } from "./owner-index.ts";

/**
 * The garbage collector of the controller manager: deletes what lost its last owner, finishes foreground deletion and orphaning.
 * Level-based over the committed state; each object is looked at when it, its owner or one of its dependents changes.
 */
export class GarbageCollector {
  readonly #context: RequestContext;
  readonly #index: OwnerIndex;
  readonly #queue: LifecycleQueue;

  constructor(context: RequestContext, signal: AbortSignal) {
    this.#context = context;
    this.#index = new OwnerIndex(context.store);
    const { clock, random, log } = context;
    this.#queue = new LifecycleQueue({
      name: "garbage-collector",
      clock,
      random,
      log,
      signal,
      reconcile: (key) => this.#reconcile(parsePlace(key)),
    });
    for (const collection of context.store.collections()) {
      for (const [key, entry] of collection.entries()) {
        if (concerns(entry.object)) this.#queue.add(placeText({ collection: collection.id, key }));
      }
    }
    context.store.subscribe((events) => {
      for (const event of events) {
        this.#index.observe(event);
        const { uid } = event.object.metadata;
        if (event.type === "DELETED") {
          if (uid) for (const dependent of this.#index.dependentsOf(uid)) this.#queue.add(placeText(dependent));
          this.#lookAtOwners(event.object);
        } else if (concerns(event.object)) {
          this.#queue.add(placeText(event));
        }
        if (event.previous) this.#lookAtOwners(event.previous.object);
      }
    });
  }

  /** An owner in foreground deletion may be waiting for this dependent. */
  #lookAtOwners(object: KubeObject): void {
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const owner = this.#index.placeOf(uid);
      if (owner) this.#queue.add(placeText(owner));
    }
  }

  async idle(): Promise<void> {
    await this.#queue.idle();
  }

  async #reconcile(place: ObjectPlace): Promise<void> {
    const resource = this.#context.registry.preferred(place.collection);
    const object = this.#context.store.collection(place.collection).get(place.key)?.object;
    if (!resource || !object) return;
    if (object.metadata.deletionTimestamp !== undefined) {
      const finalizers = object.metadata.finalizers ?? [];
      if (finalizers.includes(ORPHAN_FINALIZER)) await this.#orphan(resource, object);
      else if (finalizers.includes(FOREGROUND_FINALIZER)) await this.#foreground(resource, object);
      return;
    }
    await this.#collect(resource, object);
  }

  /** Deletes an object none of whose owners exists; forgets single owners that do not. */
  async #collect(resource: ServedResource, object: Unstructured): Promise<void> {
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length === 0) return;
    const gone = owners.filter((owner) => !this.#exists(owner, object));
    if (gone.length === 0) return;
    if (gone.length === owners.length) {
      await this.#delete(resource, object, "Background");
      return;
    }
    const lost = new Set(gone.map((owner) => owner.uid));
    await this.#edit(resource, object, (metadata) => dropOwners(metadata, lost));
  }

  /** An owner must be of the dependent's namespace or cluster-scoped; any other reference points at nothing. */
  #exists(owner: OwnerReference, dependent: KubeObject): boolean {
    const place = this.#index.placeOf(owner.uid);
    if (!place) return !this.#isKnownKind(owner);
    const found = this.#context.store.collection(place.collection).get(place.key)?.object;
    if (!found) return false;
    const { namespace } = found.metadata;
    return namespace === undefined || namespace === dependent.metadata.namespace;
  }

  /** Owners of kinds that are not served cannot be looked up: their dependents are kept. */
  #isKnownKind(owner: OwnerReference): boolean {
    const { group, version } = parseApiVersion(owner.apiVersion);
    return this.#context.registry.byKind(group, owner.kind, version) !== undefined;
  }

  /** Deletes dependents first; the owner goes when none is left that blocks it. */
  async #foreground(resource: ServedResource, object: Unstructured): Promise<void> {
    const uid = object.metadata.uid ?? "";
    let blocked = false;
    for (const place of this.#index.dependentsOf(uid)) {
      const dependent = this.#context.store.collection(place.collection).get(place.key)?.object;
      const dependentResource = this.#context.registry.preferred(place.collection);
      if (!dependent || !dependentResource) continue;
      const reference = dependent.metadata.ownerReferences?.find((owner) => owner.uid === uid);
      if (reference?.blockOwnerDeletion) blocked = true;
      if (dependent.metadata.deletionTimestamp === undefined) {
        await this.#delete(dependentResource, dependent, "Foreground");
      }
    }
    if (!blocked) await this.#edit(resource, object, (metadata) => dropFinalizer(metadata, FOREGROUND_FINALIZER));
  }

  /** Takes the dependents' references to the owner away, then lets the owner go. */
  async #orphan(resource: ServedResource, object: Unstructured): Promise<void> {
    const uid = object.metadata.uid ?? "";
    for (const place of this.#index.dependentsOf(uid)) {
      const dependent = this.#context.store.collection(place.collection).get(place.key)?.object;
      const dependentResource = this.#context.registry.preferred(place.collection);
      if (!dependent || !dependentResource) continue;
      await this.#edit(dependentResource, dependent, (metadata) => dropOwners(metadata, new Set([uid])));
    }
    await this.#edit(resource, object, (metadata) => dropFinalizer(metadata, ORPHAN_FINALIZER));
  }

  async #delete(
    resource: ServedResource,
    object: Unstructured,
    propagationPolicy: "Background" | "Foreground",
  ): Promise<void> {
    const { uid } = object.metadata;
    // An object with its own finalizers for dependents keeps them: the collector does not change another's policy.
    const policy = propagationPolicy === "Background" ? {} : { propagationPolicy };
    await ignoringGone(
      deleteObject(this.#context, resource, keyOf(object), { ...policy, ...(uid ? { preconditions: { uid } } : {}) }),
    );
  }

  async #edit(resource: ServedResource, object: Unstructured, edit: (metadata: JsonMap) => void): Promise<void> {
    await ignoringGone(editMetadata(this.#context, resource, keyOf(object), object.metadata.uid, edit));
  }
}

/** Objects with owners, and objects waiting for the collector. */
function concerns(object: KubeObject): boolean {
  const { ownerReferences, deletionTimestamp, finalizers } = object.metadata;
  if (deletionTimestamp === undefined) return (ownerReferences?.length ?? 0) > 0;
  return finalizers?.some((name) => name === ORPHAN_FINALIZER || name === FOREGROUND_FINALIZER) ?? false;
}

function dropOwners(metadata: JsonMap, uids: ReadonlySet<string>): void {
  const owners = metadata["ownerReferences"];
  if (!Array.isArray(owners)) return;
  const rest = owners.filter(
    (owner) =>
      !(typeof owner === "object" && owner !== null && "uid" in owner && uids.has(memberText(owner as JsonMap, "uid"))),
  );
  if (rest.length > 0) metadata["ownerReferences"] = rest;
  else delete metadata["ownerReferences"];
}
