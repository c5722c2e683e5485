import type { KubeObject } from "../../../api/object.ts";
import type { StoreEvent } from "../store/collection.ts";
import type { ObjectStore } from "../store/object-store.ts";

/** Where an object is stored. */
export interface ObjectPlace {
  readonly collection: string;
  readonly key: string;
}

/** Text form of a place, for maps and queues. */
export function placeText(place: ObjectPlace): string {
  return `${place.collection} ${place.key}`;
}

export function parsePlace(text: string): ObjectPlace {
  const space = text.indexOf(" ");
  return { collection: text.slice(0, space), key: text.slice(space + 1) };
}

/** Who exists, and who depends on whom, by uid; follows the store's commits. */
export class OwnerIndex {
  readonly #places = new Map<string, string>();
  readonly #dependents = new Map<string, Set<string>>();

  constructor(store: ObjectStore) {
    for (const collection of store.collections()) {
      for (const [key, entry] of collection.entries())
        this.#add(placeText({ collection: collection.id, key }), entry.object);
    }
  }

  /** Takes one commit. */
  observe(event: StoreEvent): void {
    const place = placeText(event);
    if (event.previous) this.#remove(place, event.previous.object);
    if (event.type !== "DELETED") this.#add(place, event.object);
  }

  #add(place: string, object: KubeObject): void {
    const { uid, ownerReferences } = object.metadata;
    if (uid) this.#places.set(uid, place);
    for (const owner of ownerReferences ?? []) {
      let dependents = this.#dependents.get(owner.uid);
      if (!dependents) this.#dependents.set(owner.uid, (dependents = new Set()));
      dependents.add(place);
    }
  }

  #remove(place: string, object: KubeObject): void {
    const { uid, ownerReferences } = object.metadata;
    if (uid) this.#places.delete(uid);
    for (const owner of ownerReferences ?? []) {
      const dependents = this.#dependents.get(owner.uid);
      dependents?.delete(place);
      if (dependents?.size === 0) this.#dependents.delete(owner.uid);
    }
  }

  /** Where the object with this uid is, if it exists. */
  placeOf(uid: string): ObjectPlace | undefined {
    const place = this.#places.get(uid);
    return place === undefined ? undefined : parsePlace(place);
  }

  dependentsOf(uid: string): readonly ObjectPlace[] {
    return [...(this.#dependents.get(uid) ?? [])].map(parsePlace);
  }
}
