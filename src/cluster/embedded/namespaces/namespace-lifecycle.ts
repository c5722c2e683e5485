import { keyOf } from "../../../api/object.ts";
import { ignoringGone } from "../garbage-collection/system-writes.ts";
import { LifecycleQueue } from "../garbage-collection/lifecycle-queue.ts";
import { memberMap } from "../json/mutable-json.ts";
import { deleteObject } from "../requests/delete.ts";
import type { RequestContext } from "../requests/request-context.ts";
import { changeObject } from "../requests/update.ts";
import { NAMESPACE_FINALIZER } from "../resources/rules/namespace.ts";
import { collectionId } from "../resources/served-resource.ts";
import type { StoreEvent } from "../store/collection.ts";

const NAMESPACES = collectionId("", "namespaces");

/** Empties namespaces that are being deleted, then lets them go (the namespace controller). */
export class NamespaceLifecycle {
  readonly #context: RequestContext;
  readonly #queue: LifecycleQueue;
  /** Namespaces being deleted: removals in them are worth a look. */
  readonly #terminating = new Set<string>();

  constructor(context: RequestContext, signal: AbortSignal) {
    this.#context = context;
    const { clock, random, log } = context;
    this.#queue = new LifecycleQueue({
      name: "namespace",
      clock,
      random,
      log,
      signal,
      reconcile: (name) => this.#reconcile(name),
    });
    for (const [name, entry] of context.store.collection(NAMESPACES).entries()) {
      if (entry.object.metadata.deletionTimestamp !== undefined) this.#start(name);
    }
    context.store.subscribe((events) => {
      for (const event of events) this.#observe(event);
    });
  }

  #start(name: string): void {
    this.#terminating.add(name);
    this.#queue.add(name);
  }

  #observe(event: StoreEvent): void {
    if (event.collection === NAMESPACES) {
      if (event.type === "DELETED") this.#terminating.delete(event.key);
      else if (event.object.metadata.deletionTimestamp !== undefined) this.#start(event.key);
      return;
    }
    if (event.type !== "DELETED" || this.#terminating.size === 0) return;
    const { namespace } = event.object.metadata;
    if (namespace !== undefined && this.#terminating.has(namespace)) this.#queue.add(namespace);
  }

  async idle(): Promise<void> {
    await this.#queue.idle();
  }

  async #reconcile(name: string): Promise<void> {
    const namespace = this.#context.store.collection(NAMESPACES).get(name)?.object;
    const resource = this.#context.registry.preferred(NAMESPACES);
    if (!resource || namespace?.metadata.deletionTimestamp === undefined) return;
    let remaining = 0;
    const deletions: Promise<void>[] = [];
    for (const served of this.#context.registry.collections()) {
      if (!served.namespaced) continue;
      for (const [, { object }] of this.#context.store.collection(served.collection).entries(name)) {
        remaining++;
        if (object.metadata.deletionTimestamp !== undefined) continue;
        deletions.push(
          ignoringGone(deleteObject(this.#context, served, keyOf(object), { propagationPolicy: "Background" })),
        );
      }
    }
    await Promise.all(deletions);
    if (remaining > 0) {
      // Removals bring the namespace back into the queue; what is left waits for its own finalizers.
      return;
    }
    await ignoringGone(
      changeObject(
        this.#context,
        resource,
        { name },
        {},
        {
          // Only its own: a finalizer of somebody else holds the namespace until that one takes it away.
          mutate: (current) => {
            const spec = memberMap(current, "spec");
            const finalizers = spec?.["finalizers"];
            if (spec && Array.isArray(finalizers)) {
              spec["finalizers"] = finalizers.filter((finalizer) => finalizer !== NAMESPACE_FINALIZER);
            }
            return current;
          },
          track: () => {},
          subresource: "finalize",
        },
      ),
    );
  }
}
