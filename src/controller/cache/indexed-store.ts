import { type KubeObject, type ObjectKey, keyOf, keyText } from "../../api/object.ts";

/** Computes the index values of an object; an object may stand under several values or none. */
export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[];

/** One change of the cache, with both sides where they exist. */
export type CacheEvent<T extends KubeObject> =
  | { readonly type: "ADDED"; readonly object: T }
  | { readonly type: "MODIFIED"; readonly object: T; readonly old: T }
  | { readonly type: "DELETED"; readonly object: T };

/** Keys by value, by the name of the index. */
type Indexes = ReadonlyMap<string, Map<string, Set<string>>>;

/** Objects by key with secondary indexes. As large as what the cluster holds of one type and namespace; no other bound. */
export class IndexedStore<T extends KubeObject> {
  #objects = new Map<string, T>();
  readonly #functions: ReadonlyMap<string, IndexFunction<T>>;
  #indexes: Indexes;

  constructor(functions: Readonly<Record<string, IndexFunction<T>>>) {
    this.#functions = new Map(Object.entries(functions));
    this.#indexes = this.#emptyIndexes();
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
    if (old !== undefined && isSameVersion(old, object)) return undefined;
    if (old !== undefined) this.#unindex(this.#indexes, key, old);
    this.#objects.set(key, object);
    this.#index(this.#indexes, key, object);
    return changed(object, old);
  }

  /** Removes one object; undefined when it was not held. The event carries `last`, the object's final state. */
  remove(last: T): CacheEvent<T> | undefined {
    const key = keyText(keyOf(last));
    const old = this.#objects.get(key);
    if (old === undefined) return undefined;
    this.#unindex(this.#indexes, key, old);
    this.#objects.delete(key);
    return { type: "DELETED", object: last };
  }

  /**
   * Makes the store equal to a listed snapshot and says what that changed, removals first. Yields after each object, since there may be
   * hundreds of thousands; until it is through, readers see what was held before, and nothing else may be stored.
   */
  *replace(objects: readonly T[]): Generator<void, readonly CacheEvent<T>[]> {
    const events: CacheEvent<T>[] = [];
    const next = new Map<string, T>();
    const indexes = this.#emptyIndexes();
    for (const listed of objects) {
      const key = keyText(keyOf(listed));
      const twice = next.get(key);
      const old = twice ?? this.#objects.get(key);
      const object = old !== undefined && isSameVersion(old, listed) ? old : listed;
      if (twice !== undefined) this.#unindex(indexes, key, twice);
      next.set(key, object);
      this.#index(indexes, key, object);
      if (object !== old) events.push(changed(object, old));
      yield;
    }
    const gone: CacheEvent<T>[] = [];
    for (const [key, object] of this.#objects) {
      if (!next.has(key)) gone.push({ type: "DELETED", object });
      yield;
    }
    this.#objects = next;
    this.#indexes = indexes;
    return gone.concat(events);
  }

  #emptyIndexes(): Indexes {
    return new Map([...this.#functions.keys()].map((name) => [name, new Map<string, Set<string>>()]));
  }

  #index(indexes: Indexes, key: string, object: T): void {
    for (const [name, compute] of this.#functions) {
      const values = indexes.get(name);
      for (const value of compute(object)) {
        const keys = values?.get(value);
        if (keys === undefined) values?.set(value, new Set([key]));
        else keys.add(key);
      }
    }
  }

  #unindex(indexes: Indexes, key: string, object: T): void {
    for (const [name, compute] of this.#functions) {
      const values = indexes.get(name);
      for (const value of compute(object)) {
        const keys = values?.get(value);
        keys?.delete(key);
        if (keys?.size === 0) values?.delete(value);
      }
    }
  }
}

function isSameVersion({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  return a.uid === b.uid && a.resourceVersion === b.resourceVersion;
}

function changed<T extends KubeObject>(object: T, old: T | undefined): CacheEvent<T> {
  return old === undefined ? { type: "ADDED", object } : { type: "MODIFIED", object, old };
}
