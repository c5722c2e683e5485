import { type KubeObject, type ObjectKey, keyOf, keyText } from "../../api/object.ts";

/** Computes the index values of an object; an object may stand under several values or none. */
export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[];

/** One change of the cache, with both sides where they exist. */
export type CacheEvent<T extends KubeObject> =
  | { readonly type: "ADDED"; readonly object: T }
  | { readonly type: "MODIFIED"; readonly object: T; readonly old: T }
  | { readonly type: "DELETED"; readonly object: T };

/** Objects by key with secondary indexes. As large as what the cluster holds of one type and namespace; no other bound. */
export class IndexedStore<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #functions: ReadonlyMap<string, IndexFunction<T>>;
  readonly #indexes = new Map<string, Map<string, Set<string>>>();

  constructor(functions: Readonly<Record<string, IndexFunction<T>>>) {
    this.#functions = new Map(Object.entries(functions));
    for (const name of this.#functions.keys()) this.#indexes.set(name, new Map());
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(keyText(key));
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  /** Objects under `value` of an index, in no particular order. @throws Error for an index that was not declared */
  byIndex(index: string, value: string): readonly T[] {
    const values = this.#indexes.get(index);
    if (values === undefined) throw new Error(`no index ${index}`);
    const found: T[] = [];
    for (const key of values.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** Stores one object; undefined when it is the version already held. */
  put(object: T): CacheEvent<T> | undefined {
    const key = keyText(keyOf(object));
    const old = this.#objects.get(key);
    if (
      old !== undefined &&
      old.metadata.uid === object.metadata.uid &&
      old.metadata.resourceVersion === object.metadata.resourceVersion
    )
      return undefined;
    if (old !== undefined) this.#unindex(key, old);
    this.#objects.set(key, object);
    this.#index(key, object);
    return old === undefined ? { type: "ADDED", object } : { type: "MODIFIED", object, old };
  }

  /** Removes one object; undefined when it was not held. The event carries `last`, the object's final state. */
  remove(last: T): CacheEvent<T> | undefined {
    const key = keyText(keyOf(last));
    const old = this.#objects.get(key);
    if (old === undefined) return undefined;
    this.#unindex(key, old);
    this.#objects.delete(key);
    return { type: "DELETED", object: last };
  }

  /** Makes the store equal to a listed snapshot and says what that changed. */
  replace(objects: readonly T[]): readonly CacheEvent<T>[] {
    const events: CacheEvent<T>[] = [];
    const present = new Set(objects.map((object) => keyText(keyOf(object))));
    for (const [key, object] of this.#objects) {
      if (present.has(key)) continue;
      const event = this.remove(object);
      if (event !== undefined) events.push(event);
    }
    for (const object of objects) {
      const event = this.put(object);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  #index(key: string, object: T): void {
    for (const [name, compute] of this.#functions) {
      const values = this.#indexes.get(name);
      for (const value of compute(object)) {
        const keys = values?.get(value);
        if (keys === undefined) values?.set(value, new Set([key]));
        else keys.add(key);
      }
    }
  }

  #unindex(key: string, object: T): void {
    for (const [name, compute] of this.#functions) {
      const values = this.#indexes.get(name);
      for (const value of compute(object)) {
        const keys = values?.get(value);
        keys?.delete(key);
        if (keys?.size === 0) values?.delete(value);
      }
    }
  }
}
