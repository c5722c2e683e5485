import type { ObjectKey, Unstructured } from "../../../api/object.ts";
import type { DeleteOptions } from "../../cluster.ts";
import { admissionRequest } from "../admission/admission-request.ts";
import { cloneMap, ensureMap, type JsonMap } from "../json/mutable-json.ts";
import { finalizersOf } from "../metadata/validate-metadata.ts";
import { CRD_FINALIZER } from "../resources/rules/custom-resource-definition.ts";
import { inVersion, type ServedResource } from "../resources/served-resource.ts";
import { conflict, forbidden, MODIFIED_MESSAGE, notFound } from "../status-errors.ts";
import { type Collection, type Entry, storageKey } from "../store/collection.ts";
import { nowText, type RequestContext } from "./request-context.ts";
import { isReleased } from "./update.ts";

export const FOREGROUND_FINALIZER = "foregroundDeletion";
export const ORPHAN_FINALIZER = "orphan";

/** Times a deletion is looked at anew because somebody else wrote while webhooks were asked about it. */
const MAX_ATTEMPTS = 5;

/** Namespaces the cluster cannot be without. */
const IMMORTAL_NAMESPACES = new Set(["default", "kube-system", "kube-public"]);

/**
 * Deletes an object or marks it for deletion (see `Cluster.delete`).
 *
 * @throws ApiStatusError 403, 404, 409 for a failed precondition
 */
export async function deleteObject(
  context: RequestContext,
  resource: ServedResource,
  key: ObjectKey,
  options: DeleteOptions,
): Promise<Unstructured | undefined> {
  const collection = context.store.collection(resource.collection);
  const place = storageKey(resource.namespaced ? key.namespace : undefined, key.name);
  for (let attempt = 1; ; attempt++) {
    const entry = collection.tip(place);
    if (!entry) throw notFound(resource, key.name);
    checkPreconditions(resource, entry.object, options);
    if (resource.kind === "Namespace" && resource.group === "" && IMMORTAL_NAMESPACES.has(key.name)) {
      throw forbidden(resource, key.name, "this namespace may not be deleted");
    }
    const asked = context.admission.ask(
      admissionRequest({
        operation: "DELETE",
        resource,
        subresource: "",
        object: undefined,
        // Only read and put into text there: the stored object stays as it is.
        oldObject: entry.object as unknown as JsonMap,
        dryRun: options.dryRun === true,
        fieldManager: undefined,
        user: options.user,
      }),
      options.onWarning,
    );
    if (!asked) return remove(context, resource, collection, entry, options);
    await asked;
    if (collection.tip(place)?.version === entry.version) return remove(context, resource, collection, entry, options);
    if (attempt >= MAX_ATTEMPTS) throw conflict(resource, key.name, MODIFIED_MESSAGE);
  }
}

async function remove(
  context: RequestContext,
  resource: ServedResource,
  collection: Collection,
  entry: Entry,
  options: DeleteOptions,
): Promise<Unstructured | undefined> {
  const object = cloneMap(entry.object);
  const metadata = ensureMap(object, "metadata");
  const finalizers = finalizersFor(resource, metadata, options);
  if (finalizers.length > 0) metadata["finalizers"] = finalizers;
  else delete metadata["finalizers"];
  const marked = metadata["deletionTimestamp"] !== undefined;
  if (!marked) {
    metadata["deletionTimestamp"] = nowText(context);
    metadata["deletionGracePeriodSeconds"] = 0;
    if (resource.generation !== "none") metadata["generation"] = Number(metadata["generation"] ?? 0) + 1;
    if (resource.kind === "Namespace" && resource.group === "") ensureMap(object, "status")["phase"] = "Terminating";
    if (resource.kind === "CustomResourceDefinition") markTerminating(object, nowText(context));
  } else if (finalizers.length === finalizersOf(ensureMap(cloneMap(entry.object), "metadata")).length) {
    // A second delete of an object that is already going away changes nothing.
    if (!isReleased(object)) return inVersion(resource, entry.object);
  }
  if (isReleased(object)) {
    if (!marked) {
      // Watches of a plain deletion see the last stored state, without marks.
      delete metadata["deletionTimestamp"];
      delete metadata["deletionGracePeriodSeconds"];
      if (resource.generation !== "none") metadata["generation"] = entry.object.metadata.generation ?? 1;
    }
    if (!options.dryRun) await context.store.remove(collection, object);
    return undefined;
  }
  if (options.dryRun) return inVersion(resource, object as unknown as Unstructured);
  return inVersion(resource, await context.store.put(collection, object));
}

function checkPreconditions(resource: ServedResource, object: Unstructured, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  const { metadata } = object;
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
    throw conflict({ ...resource, resource: resource.kind }, metadata.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`;
    throw conflict({ ...resource, resource: resource.kind }, metadata.name, why);
  }
}

/** Finalizers after the propagation policy is written into them (garbage collection of the API server). */
function finalizersFor(resource: ServedResource, metadata: JsonMap, options: DeleteOptions): string[] {
  const finalizers = new Set(finalizersOf(metadata));
  if (options.propagationPolicy !== undefined) {
    finalizers.delete(FOREGROUND_FINALIZER);
    finalizers.delete(ORPHAN_FINALIZER);
  }
  if (options.propagationPolicy === "Foreground") finalizers.add(FOREGROUND_FINALIZER);
  if (options.propagationPolicy === "Orphan") finalizers.add(ORPHAN_FINALIZER);
  // Objects of a CRD go first; the CRD's life cycle removes this again.
  if (resource.kind === "CustomResourceDefinition" && metadata["deletionTimestamp"] === undefined) {
    finalizers.add(CRD_FINALIZER);
  }
  return [...finalizers];
}

function markTerminating(crd: JsonMap, time: string): void {
  const status = ensureMap(crd, "status");
  const conditions = Array.isArray(status["conditions"]) ? status["conditions"] : [];
  conditions.push({
    type: "Terminating",
    status: "True",
    lastTransitionTime: time,
    reason: "InstanceDeletionPending",
    message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
  });
  status["conditions"] = conditions;
}
