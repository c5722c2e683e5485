import type { Unstructured } from "../../../api/object.ts";

/** One stored object at one version. The object is frozen and shared by all readers. */
export interface Entry {
  readonly version: number;
  readonly object: Unstructured;
  /** Length of its JSON text. */
  readonly size: number;
}

/** A committed change, as watches see it. */
export interface StoreEvent {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly collection: string;
  readonly key: string;
  /** The new state; for DELETED the last one. Its resourceVersion is `version`. */
  readonly object: Unstructured;
  /** What the key held before. */
  readonly previous: Entry | undefined;
  readonly size: number;
}

/** Storage key: sorts as the API server lists. */
export function storageKey(namespace: string | undefined, name: string): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** Index of the first key that is not less than `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** All objects of one resource: the committed state, the accepted but not yet durable writes above it, and its history. */
export class Collection {
  readonly id: string;
  readonly #committed = new Map<string, Entry>();
  readonly #accepted = new Map<string, { readonly version: number; readonly entry: Entry | undefined }>();
  #keys: string[] = [];
  #history: StoreEvent[] = [];
  #historyStart = 0;

  constructor(id: string) {
    this.id = id;
  }

  get size(): number {
    return this.#committed.size;
  }

  /** What readers see. */
  get(key: string): Entry | undefined {
    return this.#committed.get(key);
  }

  /** What the next write builds on. */
  tip(key: string): Entry | undefined {
    const accepted = this.#accepted.get(key);
    return accepted ? accepted.entry : this.#committed.get(key);
  }

  accept(key: string, version: number, entry: Entry | undefined): void {
    this.#accepted.set(key, { version, entry });
  }

  /** Forgets accepted writes after a failed commit. */
  discardAccepted(): void {
    this.#accepted.clear();
  }

  /** Makes an event part of the committed state. */
  apply(event: StoreEvent): void {
    const { key } = event;
    if (event.type === "DELETED") {
      if (this.#committed.delete(key)) this.#keys.splice(lowerBound(this.#keys, key), 1);
    } else {
      if (!this.#committed.has(key)) this.#insertKey(key);
      this.#committed.set(key, { version: event.version, object: event.object, size: event.size });
    }
    if (this.#accepted.get(key)?.version === event.version) this.#accepted.delete(key);
    this.#history.push(event);
  }

  #insertKey(key: string): void {
    const last = this.#keys.at(-1);
    if (last === undefined || last < key) this.#keys.push(key);
    else this.#keys.splice(lowerBound(this.#keys, key), 0, key);
  }

  /** Drops the oldest event of the history. */
  shiftHistory(): void {
    this.#historyStart++;
    if (this.#historyStart > 1024 && this.#historyStart * 2 > this.#history.length) {
      this.#history = this.#history.slice(this.#historyStart);
      this.#historyStart = 0;
    }
  }

  /** Events after `version`, oldest first. */
  historyAfter(version: number): readonly StoreEvent[] {
    let low = this.#historyStart;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#history[middle]?.version ?? 0) <= version) low = middle + 1;
      else high = middle;
    }
    return this.#history.slice(low);
  }

  /** Committed entries in key order, of one namespace or of all. */
  *entries(namespace?: string): Generator<readonly [string, Entry]> {
    // A copy of the range: the caller may await between items while the collection changes.
    const prefix = namespace ? `${namespace}/` : "";
    const from = prefix ? lowerBound(this.#keys, prefix) : 0;
    const to = prefix ? lowerBound(this.#keys, `${namespace}0`) : this.#keys.length;
    for (const key of this.#keys.slice(from, to)) {
      const entry = this.#committed.get(key);
      if (entry) yield [key, entry];
    }
  }

  /** What the next writes build on, in no order. */
  *tipEntries(): Generator<Entry> {
    for (const [key, entry] of this.#committed) if (!this.#accepted.has(key)) yield entry;
    for (const { entry } of this.#accepted.values()) if (entry) yield entry;
  }

  /** Entries in key order as they were at `version`, which must not be compacted. */
  entriesAt(version: number, namespace?: string): readonly (readonly [string, Entry])[] {
    const later = this.historyAfter(version);
    if (later.length === 0) return [...this.entries(namespace)];
    const changed = new Map<string, Entry | undefined>();
    for (const event of later) {
      if (!changed.has(event.key)) changed.set(event.key, event.previous);
    }
    const state: (readonly [string, Entry])[] = [];
    for (const [key, entry] of this.entries(namespace)) {
      if (!changed.has(key)) state.push([key, entry]);
    }
    const prefix = namespace ? `${namespace}/` : "";
    for (const [key, entry] of changed) {
      if (entry && key.startsWith(prefix)) state.push([key, entry]);
    }
    return state.sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
