import { keyOf } from "../../../api/object.ts";
import { dropFinalizer, editMetadata, ignoringGone } from "../garbage-collection/system-writes.ts";
import { LifecycleQueue } from "../garbage-collection/lifecycle-queue.ts";
import { deleteObject } from "../requests/delete.ts";
import type { RequestContext } from "../requests/request-context.ts";
import { CRD_FINALIZER } from "../resources/rules/custom-resource-definition.ts";
import { collectionId } from "../resources/served-resource.ts";
import type { StoreEvent } from "../store/collection.ts";
import { asCrd, CRD_COLLECTION } from "./crd-controller.ts";
import { isEstablished } from "./custom-resources.ts";

/** Deletes the objects of CRDs that are being deleted, then lets the CRDs go (the finalizing controller of apiextensions). */
export class CrdLifecycle {
  readonly #context: RequestContext;
  readonly #queue: LifecycleQueue;
  /** CRD name by collection, while it is being deleted. */
  readonly #terminating = new Map<string, string>();

  constructor(context: RequestContext, signal: AbortSignal) {
    this.#context = context;
    const { clock, random, log } = context;
    this.#queue = new LifecycleQueue({
      name: "crd-finalizer",
      clock,
      random,
      log,
      signal,
      reconcile: (name) => this.#reconcile(name),
    });
    for (const [name, entry] of context.store.collection(CRD_COLLECTION).entries()) {
      if (entry.object.metadata.deletionTimestamp !== undefined) this.#start(name, collectionOf(entry.object));
    }
    context.store.subscribe((events) => {
      for (const event of events) this.#observe(event);
    });
  }

  #start(name: string, collection: string): void {
    this.#terminating.set(collection, name);
    this.#queue.add(name);
  }

  #observe(event: StoreEvent): void {
    if (event.collection === CRD_COLLECTION) {
      const collection = collectionOf(event.object);
      if (event.type === "DELETED") {
        this.#terminating.delete(collection);
        this.#recheckNames();
      } else if (event.object.metadata.deletionTimestamp !== undefined) this.#start(event.key, collection);
      return;
    }
    const crd = event.type === "DELETED" ? this.#terminating.get(event.collection) : undefined;
    if (crd !== undefined) this.#queue.add(crd);
  }

  /** Names that a deleted CRD held may be free for another one that waits for them. */
  #recheckNames(): void {
    for (const [name, entry] of this.#context.store.collection(CRD_COLLECTION).entries()) {
      if (!isEstablished(asCrd(entry.object))) this.#queue.add(name);
    }
  }

  async idle(): Promise<void> {
    await this.#queue.idle();
  }

  async #reconcile(name: string): Promise<void> {
    const { store, registry } = this.#context;
    const crd = store.collection(CRD_COLLECTION).get(name)?.object;
    const crds = registry.preferred(CRD_COLLECTION);
    if (!crds || !crd) return;
    if (crd.metadata.deletionTimestamp === undefined) {
      // Any write of a CRD decides about its names anew.
      await ignoringGone(editMetadata(this.#context, crds, { name }, crd.metadata.uid, () => {}));
      return;
    }
    const collection = store.collection(collectionOf(crd));
    const served = registry.preferred(collection.id);
    if (collection.size > 0 && served) {
      const deletions: Promise<void>[] = [];
      for (const [, { object }] of collection.entries()) {
        if (object.metadata.deletionTimestamp === undefined) {
          deletions.push(
            ignoringGone(deleteObject(this.#context, served, keyOf(object), { propagationPolicy: "Background" })),
          );
        }
      }
      await Promise.all(deletions);
      // Removals bring the CRD back into the queue; what is left waits for its own finalizers.
      return;
    }
    await ignoringGone(
      editMetadata(this.#context, crds, { name }, crd.metadata.uid, (metadata) =>
        dropFinalizer(metadata, CRD_FINALIZER),
      ),
    );
  }
}

function collectionOf(object: Parameters<typeof asCrd>[0]): string {
  const { group, names } = asCrd(object).spec;
  return collectionId(group, names.plural);
}
