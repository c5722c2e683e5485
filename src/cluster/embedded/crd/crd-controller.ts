import type { CustomResourceDefinitionObject } from "../../../api/builtin.ts";
import type { KubeObject } from "../../../api/object.ts";
import type { ResourceRegistry } from "../resources/registry.ts";
import { collectionId } from "../resources/served-resource.ts";
import type { StoreEvent } from "../store/collection.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { WatchCache } from "../watch/watch-cache.ts";
import { customResources } from "./custom-resources.ts";

/** Collection of the CRDs themselves. */
export const CRD_COLLECTION = collectionId("apiextensions.k8s.io", "customresourcedefinitions");

/** Stored under {@link CRD_COLLECTION}, so validated as a CRD when it was written. */
export function asCrd(object: KubeObject): CustomResourceDefinitionObject {
  return object as CustomResourceDefinitionObject;
}

/** Keeps the registry equal to the committed CRDs, before any writer of a CRD sees its call resolved. */
export function serveCustomResources(store: ObjectStore, registry: ResourceRegistry, watches: WatchCache): void {
  /** Served state per CRD name: a status write must not throw compiled schemas away. */
  const served = new Map<string, string>();

  const serve = (crd: CustomResourceDefinitionObject): void => {
    const { name, uid, generation, deletionTimestamp } = crd.metadata;
    const accepted = JSON.stringify(crd.status?.acceptedNames ?? {});
    const state = `${uid}/${generation}/${deletionTimestamp ?? ""}/${accepted}`;
    if (served.get(name) === state) return;
    served.set(name, state);
    registry.replace(collectionId(crd.spec.group, crd.spec.names.plural), customResources(crd));
  };

  const observe = (event: StoreEvent): void => {
    const crd = asCrd(event.object);
    if (event.type !== "DELETED") {
      serve(crd);
      return;
    }
    const collection = collectionId(crd.spec.group, crd.spec.names.plural);
    served.delete(crd.metadata.name);
    registry.replace(collection, []);
    watches.endCollection(collection);
  };

  for (const [, entry] of store.collection(CRD_COLLECTION).entries()) serve(asCrd(entry.object));
  store.subscribe((events) => {
    for (const event of events) if (event.collection === CRD_COLLECTION) observe(event);
  });
}
