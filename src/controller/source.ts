import { findCondition } from "../api/conditions.ts";
import type { Condition } from "../api/kinds/condition.ts";
import { type KubeObject, type ObjectKey, keyOf } from "../api/object.ts";
import type { CacheEvent } from "./cache/indexed-store.ts";
import type { Informer } from "./cache/informer.ts";

/** Where a controller's keys come from. */
export interface Source {
  /** Resolves when the source has said everything it knows at the start. */
  readonly synced: Promise<void>;
  /** Calls `enqueue` for every key that may need work, now or after a while. Returns the way to stop. */
  subscribe(enqueue: (key: ObjectKey, afterMs?: number) => void): () => void;
}

/** Turns a change of one object into the keys to reconcile. Pure. */
export type MapFunction<T extends KubeObject> = (object: T) => readonly ObjectKey[];

/** Says whether a change is worth a reconcile. */
export type Predicate<T extends KubeObject> = (event: CacheEvent<T>) => boolean;

/** Options of {@link watchSource}. */
export interface WatchSourceOptions<T extends KubeObject> {
  /** Default: the object's own key. Called for the old and the new state, so that a moved reference wakes both ends. */
  readonly map?: MapFunction<T>;
  readonly predicate?: Predicate<T>;
  /** Waits this long, milliseconds, so that a burst of changes becomes one reconcile of a key many objects map to. Default 0. */
  readonly gatherMs?: number;
}

/** A source over an informer. */
export function watchSource<T extends KubeObject>(informer: Informer<T>, options: WatchSourceOptions<T> = {}): Source {
  const map = options.map ?? ((object: T) => [keyOf(object)]);
  return {
    synced: informer.synced,
    subscribe: (enqueue) =>
      informer.subscribe((event) => {
        if (options.predicate?.(event) === false) return;
        for (const key of map(event.object)) enqueue(key, options.gatherMs);
        if (event.type === "MODIFIED") for (const key of map(event.old)) enqueue(key, options.gatherMs);
      }),
  };
}

/** Passes changes of spec, labels, annotations or deletion; drops writes to status alone. */
export function ignoreStatusChanges<T extends KubeObject>(event: CacheEvent<T>): boolean {
  if (event.type !== "MODIFIED") return true;
  const { metadata: now } = event.object;
  const { metadata: then } = event.old;
  return (
    now.generation !== then.generation ||
    now.deletionTimestamp !== then.deletionTimestamp ||
    JSON.stringify(now.labels) !== JSON.stringify(then.labels) ||
    JSON.stringify(now.annotations) !== JSON.stringify(then.annotations) ||
    JSON.stringify(now.finalizers) !== JSON.stringify(then.finalizers)
  );
}

/**
 * Passes what {@link ignoreStatusChanges} passes and flips of the named conditions: for dependents of an object whose status changes
 * much more often than what they depend on.
 */
export function onConditionFlips<T extends KubeObject & { readonly status?: WithConditions }>(
  ...types: readonly string[]
): Predicate<T> {
  return (event) => {
    if (event.type !== "MODIFIED" || ignoreStatusChanges(event)) return true;
    const { object, old } = event;
    return types.some(
      (type) =>
        findCondition(object.status?.conditions, type)?.status !== findCondition(old.status?.conditions, type)?.status,
    );
  };
}

interface WithConditions {
  readonly conditions?: readonly Condition[];
}
