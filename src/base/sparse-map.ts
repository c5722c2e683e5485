const NONE: ReadonlyMap<never, never> = new Map<never, never>();

/** A map that is empty most of the time, of which there are thousands: while it is, it holds nothing but itself. */
export class SparseMap<K, V> {
  #map: Map<K, V> | undefined = undefined;

  get size(): number {
    return this.#map?.size ?? 0;
  }

  /** The entries, to be read now: what comes after the last left is in another map. */
  get entries(): ReadonlyMap<K, V> {
    return this.#map ?? NONE;
  }

  get(key: K): V | undefined {
    return this.#map?.get(key);
  }

  has(key: K): boolean {
    return this.#map?.has(key) === true;
  }

  set(key: K, value: V): void {
    (this.#map ??= new Map()).set(key, value);
  }

  /** True when there was one. */
  delete(key: K): boolean {
    const had = this.#map?.delete(key) === true;
    if (this.#map?.size === 0) this.#map = undefined;
    return had;
  }

  clear(): void {
    this.#map = undefined;
  }

  keys(): MapIterator<K> {
    return this.entries.keys();
  }

  values(): MapIterator<V> {
    return this.entries.values();
  }
}
