import type { ObjectKey, Unstructured } from "../../../api/object.ts";
import { apiVersionOf } from "../../../api/resource-type.ts";
import type { WriteOptions } from "../../cluster.ts";
import {
  cloneJson,
  cloneMap,
  ensureMap,
  isMap,
  type Json,
  jsonEqual,
  type JsonMap,
  member,
  memberMap,
  memberText,
} from "../json/mutable-json.ts";
import { admissionRequest } from "../admission/admission-request.ts";
import { finalizersOf, metadataOf } from "../metadata/validate-metadata.ts";
import { isRecordReset, readManagers } from "../apply/managers.ts";
import { inVersion, type ServedResource } from "../resources/served-resource.ts";
import { badRequest, conflict, MODIFIED_MESSAGE, notFound, notServed } from "../status-errors.ts";
import { storageKey } from "../store/collection.ts";
import { fillDefaults, pruneUnknown, tidyMetadata, validateObject } from "./admit.ts";
import { kindContext, type RequestContext } from "./request-context.ts";

/** How a change is made and recorded. */
export interface Change {
  /** The changed object from the stored one; gets a copy of its own, in the version of the request. May be asked again. */
  readonly mutate: (current: JsonMap) => JsonMap;
  /** Sets `metadata.managedFields` of the changed object, given the stored one. */
  readonly track: (changed: JsonMap, current: JsonMap) => void;
  /** Which part of the object may change. */
  readonly subresource: "" | "status" | "scale" | "finalize";
}

/** Times a change is made anew because somebody else wrote while webhooks were asked about it. */
const MAX_ATTEMPTS = 5;

/** Fields of metadata that only the server sets. */
const SERVER_FIELDS = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"];

/**
 * Changes one stored object: the way of update, status update and all patches.
 *
 * @throws ApiStatusError 400, 404, 409 Conflict, 422
 */
export async function changeObject(
  context: RequestContext,
  resource: ServedResource,
  key: ObjectKey,
  options: WriteOptions,
  change: Change,
): Promise<Unstructured> {
  const collection = context.store.collection(resource.collection);
  const place = storageKey(resource.namespaced ? key.namespace : undefined, key.name);
  for (let attempt = 1; ; attempt++) {
    const entry = collection.tip(place);
    if (!entry) throw notFound(resource, key.name);
    const { changed, current, same } = candidate(context, resource, key, options, change, entry.object);
    const asked = context.admission.ask(
      admissionRequest({
        operation: "UPDATE",
        resource,
        subresource: change.subresource,
        object: changed,
        oldObject: current,
        dryRun: options.dryRun === true,
        fieldManager: options.fieldManager,
        user: options.user,
      }),
      options.onWarning,
    );
    if (asked) {
      await asked;
      if (collection.tip(place)?.version !== entry.version) {
        if (attempt < MAX_ATTEMPTS) continue;
        throw conflict(resource, key.name, MODIFIED_MESSAGE);
      }
    }
    if (same) return inVersion(resource, entry.object);
    changed["apiVersion"] = apiVersionOf({ group: resource.group, version: resource.storageVersion });
    if (options.dryRun) return inVersion(resource, changed as unknown as Unstructured);
    const gone = isReleased(changed);
    return inVersion(
      resource,
      await (gone ? context.store.remove(collection, changed) : context.store.put(collection, changed)),
    );
  }
}

/** The object as it would be stored, complete and valid. `same` when that is no different. */
function candidate(
  context: RequestContext,
  resource: ServedResource,
  key: ObjectKey,
  options: WriteOptions,
  change: Change,
  stored: Unstructured,
): { readonly changed: JsonMap; readonly current: JsonMap; readonly same: boolean } {
  const current = cloneMap(inVersion(resource, stored));
  let changed = change.mutate(cloneMap(current));
  checkIdentity(resource, changed, current, key);
  pruneUnknown(context, resource, changed, options);
  tidyMetadata(resource, ensureMap(changed, "metadata"), options);
  changed = keepServerFields(resource, changed, current, change.subresource);
  if (change.subresource !== "status" && change.subresource !== "finalize")
    resource.rules.prepareUpdate?.(changed, current, kindContext(context));
  fillDefaults(context, resource, changed);
  countGeneration(resource, changed, current);
  if (jsonEqual(changed, current)) {
    // Nothing changed but perhaps who owns what: schemas and rules were satisfied before.
    change.track(changed, current);
    return { changed, current, same: jsonEqual(changed, current) };
  }
  options.admit?.(changed as unknown as Unstructured, current as unknown as Unstructured);
  validateObject(context, resource, changed, current);
  change.track(changed, current);
  return { changed, current, same: false };
}

/** True when a deleted object has nothing left that holds it. */
export function isReleased(object: JsonMap): boolean {
  const metadata = metadataOf(object);
  if (member(metadata, "deletionTimestamp") === undefined || finalizersOf(metadata).length > 0) return false;
  const spec = member(object, "spec");
  const held =
    object["kind"] === "Namespace" &&
    typeof spec === "object" &&
    spec !== null &&
    !Array.isArray(spec) &&
    Array.isArray(spec["finalizers"]) &&
    spec["finalizers"].length > 0;
  return !held;
}

function checkIdentity(resource: ServedResource, changed: JsonMap, current: JsonMap, key: ObjectKey): void {
  const metadata = ensureMap(changed, "metadata");
  const before = metadataOf(current);
  const version = member(metadata, "resourceVersion");
  if (version !== undefined && version !== "" && version !== "0" && version !== before["resourceVersion"]) {
    throw conflict(resource, key.name, MODIFIED_MESSAGE);
  }
  const uid = member(metadata, "uid");
  if (uid !== undefined && uid !== "" && uid !== before["uid"]) {
    throw conflict(
      resource,
      key.name,
      `Precondition failed: UID in precondition: ${memberText(metadata, "uid")}, UID in object meta: ${memberText(before, "uid")}`,
    );
  }
  const name = member(metadata, "name");
  if (name !== undefined && name !== key.name) {
    throw badRequest(
      `the name of the object (${memberText(metadata, "name")}) does not match the name on the URL (${key.name})`,
    );
  }
  metadata["name"] = key.name;
  const namespace = member(metadata, "namespace");
  if (resource.namespaced) {
    if (namespace !== undefined && namespace !== "" && namespace !== before["namespace"]) {
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
    }
    metadata["namespace"] = before["namespace"] ?? "";
  } else if (namespace === "") {
    delete metadata["namespace"];
  }
}

/** Puts back what the request may not change: server fields always, and everything but status (or status) by subresource. */
function keepServerFields(
  resource: ServedResource,
  changed: JsonMap,
  current: JsonMap,
  subresource: Change["subresource"],
): JsonMap {
  if (subresource === "scale") return withReplicas(resource, cloneMap(current), changed);
  if (subresource === "finalize") {
    const kept = cloneMap(current);
    const finalizers = member(memberMap(changed, "spec") ?? {}, "finalizers");
    if (finalizers === undefined) delete ensureMap(kept, "spec")["finalizers"];
    else ensureMap(kept, "spec")["finalizers"] = finalizers;
    return kept;
  }
  if (subresource === "status") {
    const kept = cloneMap(current);
    if (changed["status"] === undefined) delete kept["status"];
    else kept["status"] = changed["status"];
    return kept;
  }
  const metadata = ensureMap(changed, "metadata");
  const before = metadataOf(current);
  for (const field of [...SERVER_FIELDS, "resourceVersion"]) restore(metadata, before, field);
  // A record that can be read is taken as it is: kubectl moves owners from client-side to server-side apply by patching it.
  if (!isRecordReset(metadata) && readManagers(metadata).size === 0) restore(metadata, before, "managedFields");
  delete metadata["selfLink"];
  if (resource.statusSubresource) restore(changed, current, "status");
  return changed;
}

function restore(target: JsonMap, source: JsonMap, field: string): void {
  const value = member(source, field);
  if (value === undefined) delete target[field];
  else target[field] = cloneJson(value); // a copy: kind rules change the target in place
}

/** `metadata.generation` counts changes outside metadata and status. */
function countGeneration(resource: ServedResource, changed: JsonMap, current: JsonMap): void {
  if (resource.generation === "none") return;
  for (const field of new Set([...Object.keys(changed), ...Object.keys(current)])) {
    if (field === "metadata" || (field === "status" && resource.statusSubresource)) continue;
    if (jsonEqual(changed[field], current[field])) continue;
    const metadata = ensureMap(changed, "metadata");
    metadata["generation"] = Number(metadata["generation"] ?? 0) + 1;
    return;
  }
}

/** A scale write changes the replica count and nothing else. */
function withReplicas(resource: ServedResource, kept: JsonMap, changed: JsonMap): JsonMap {
  const path = resource.scale?.specReplicas ?? [];
  let from: Json | undefined = changed;
  for (const name of path) from = isMap(from) ? member(from, name) : undefined;
  if (typeof from !== "number") return kept;
  let target = kept;
  for (const name of path.slice(0, -1)) target = ensureMap(target, name);
  target[path.at(-1) ?? ""] = from;
  return kept;
}

/** Which part a request addresses. @throws ApiStatusError 404 when the resource has no such subresource */
export function subresourceOf(
  resource: ServedResource,
  subresource: WriteOptions["subresource"],
): Change["subresource"] {
  if (subresource === "status" && !resource.statusSubresource) throw notServed();
  if (subresource === "scale" && !resource.scale) throw notServed();
  if (subresource === "finalize" && !resource.subresources.includes(subresource)) throw notServed();
  return subresource ?? "";
}
