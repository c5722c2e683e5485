import type { JobObject } from "../../../api/builtin.ts";
import { keyOf, type Unstructured } from "../../../api/object.ts";
import { DelayedQueue } from "../garbage-collection/delayed-queue.ts";
import { ignoringGone } from "../garbage-collection/system-writes.ts";
import { deleteObject } from "../requests/delete.ts";
import type { RequestContext } from "../requests/request-context.ts";
import { collectionId } from "../resources/served-resource.ts";

const JOBS = collectionId("batch", "jobs");

/** Stored Jobs passed the schema of their kind. */
export function asJob(object: Unstructured): JobObject {
  return object as unknown as JobObject;
}

/** Deletes finished Jobs with their pods when `ttlSecondsAfterFinished` is over (the ttl-after-finished controller). */
export class JobExpiry {
  readonly #context: RequestContext;
  readonly #queue: DelayedQueue;

  constructor(context: RequestContext, signal: AbortSignal) {
    this.#context = context;
    const { clock, random, log } = context;
    this.#queue = new DelayedQueue({
      name: "ttl-after-finished",
      clock,
      random,
      log,
      signal,
      reconcile: (key) => this.#reconcile(key),
    });
    for (const [key, { object }] of context.store.collection(JOBS).entries()) this.#look(key, object);
    context.store.subscribe((events) => {
      for (const event of events) {
        if (event.collection === JOBS && event.type !== "DELETED") this.#look(event.key, event.object);
      }
    });
  }

  #look(key: string, object: Unstructured): void {
    const expiresAt = expiryOf(asJob(object));
    if (expiresAt !== undefined) this.#queue.addAfter(key, expiresAt - this.#context.clock.now());
  }

  async idle(): Promise<void> {
    await this.#queue.idle();
  }

  async #reconcile(key: string): Promise<void> {
    const { store, registry, clock } = this.#context;
    const object = store.collection(JOBS).get(key)?.object;
    const resource = registry.preferred(JOBS);
    if (!object || !resource || object.metadata.deletionTimestamp !== undefined) return;
    const expiresAt = expiryOf(asJob(object));
    if (expiresAt === undefined) return;
    const left = expiresAt - clock.now();
    if (left > 0) {
      this.#queue.addAfter(key, left);
      return;
    }
    const { uid = "", resourceVersion = "" } = object.metadata;
    const options = { propagationPolicy: "Foreground", preconditions: { uid, resourceVersion } } as const;
    await ignoringGone(deleteObject(this.#context, resource, keyOf(object), options));
  }
}

/** When a finished Job is to go, Unix milliseconds; undefined when it stays. */
function expiryOf({ spec, status }: JobObject): number | undefined {
  const finished = status?.conditions?.find(
    ({ type, status: is }) => (type === "Complete" || type === "Failed") && is === "True",
  );
  const at = Date.parse(finished?.lastTransitionTime ?? "");
  if (spec.ttlSecondsAfterFinished === undefined || Number.isNaN(at)) return undefined;
  return at + spec.ttlSecondsAfterFinished * 1000;
}
