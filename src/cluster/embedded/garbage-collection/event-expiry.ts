import { Event } from "../../../api/builtin.ts";
import { keyOf, type Unstructured } from "../../../api/object.ts";
import { deleteObject } from "../requests/delete.ts";
import type { RequestContext } from "../requests/request-context.ts";
import { collectionId } from "../resources/served-resource.ts";
import { ignoringGone } from "./system-writes.ts";

/** How long an Event is kept after it was last seen (kube-apiserver `--event-ttl`). */
export const EVENT_TTL_MS = 60 * 60 * 1000;
const SWEEP_INTERVAL_MS = 60_000;
const EVENTS = collectionId(Event.group, Event.resource);

function lastSeenMs(event: Unstructured): number {
  const times = [event["lastTimestamp"], event["eventTime"], event.metadata.creationTimestamp];
  const known = times.map((time) => (typeof time === "string" ? Date.parse(time) : Number.NaN));
  return Math.max(...known.filter((time) => !Number.isNaN(time)), 0);
}

/** Deletes old Events until `signal` aborts: they are the one kind that nobody else removes. */
export async function expireEvents(context: RequestContext, signal: AbortSignal): Promise<void> {
  const { clock, registry, store } = context;
  for (;;) {
    try {
      await clock.sleep(SWEEP_INTERVAL_MS, signal);
    } catch {
      return; // closing: that is how the loop ends
    }
    const resource = registry.preferred(EVENTS);
    if (!resource) continue;
    const oldest = clock.now() - EVENT_TTL_MS;
    const expired = [...store.collection(EVENTS).entries()].filter(([, { object }]) => lastSeenMs(object) < oldest);
    const deletions = expired.map(([, { object }]) => ignoringGone(deleteObject(context, resource, keyOf(object), {})));
    for (const result of await Promise.allSettled(deletions)) {
      if (result.status === "rejected")
        context.log.warn({ error: String(result.reason) }, "an old Event was not deleted");
    }
  }
}
