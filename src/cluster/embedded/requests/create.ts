import type { Unstructured } from "../../../api/object.ts";
import { Namespace } from "../../../api/builtin.ts";
import { uuidV4 } from "../../../base/ids.ts";
import { apiVersionOf } from "../../../api/resource-type.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import type { WriteOptions } from "../../cluster.ts";
import { admissionRequest } from "../admission/admission-request.ts";
import { cloneJson, ensureMap, type JsonMap, member, memberText } from "../json/mutable-json.ts";
import { collectionId, inVersion, type ServedResource } from "../resources/served-resource.ts";
import { alreadyExists, forbidden, methodNotAllowed, notFound } from "../status-errors.ts";
import { storageKey } from "../store/collection.ts";
import { fillDefaults, pruneUnknown, tidyMetadata, validateObject } from "./admit.ts";
import { kindContext, nowText, type RequestContext } from "./request-context.ts";

/** Characters of generated name suffixes (apimachinery `rand.String`): no vowels, no look-alikes. */
const SUFFIX_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;
/** A generated name is cut so that the suffix still fits into a label. */
const MAX_GENERATED_BASE = 58;
/** Tries before a clash of generated names is reported. */
const GENERATE_ATTEMPTS = 8;

/** Records who owns the fields of a new object, in `metadata.managedFields`. */
export type TrackCreate = (object: JsonMap) => void;

/**
 * Creates `object`, which the caller has decoded and owns no more. `track` runs last, when the object has its final form.
 *
 * @throws ApiStatusError 400, 403 (namespace terminating), 404 (namespace), 405, 409 AlreadyExists, 422
 */
export async function createObject(
  context: RequestContext,
  resource: ServedResource,
  object: JsonMap,
  options: WriteOptions,
  track: TrackCreate,
): Promise<Unstructured> {
  if (resource.terminating) {
    throw methodNotAllowed(resource, "create", "create not allowed while custom resource definition is terminating");
  }
  const metadata = ensureMap(object, "metadata");
  if (member(metadata, "resourceVersion")) {
    throw new ApiStatusError(500, "InternalError", "resourceVersion should not be set on objects to be created");
  }
  pruneUnknown(context, resource, object, options);
  tidyMetadata(resource, metadata, options);
  if (resource.statusSubresource) delete object["status"];
  if (resource.initialStatus) object["status"] = cloneJson(resource.initialStatus);
  startMetadata(context, resource, metadata);
  const collection = context.store.collection(resource.collection);
  const generated = generateName(context, resource, metadata, (key) => collection.tip(key) !== undefined);
  resource.rules.prepareCreate?.(object, kindContext(context));
  fillDefaults(context, resource, object);
  options.admit?.(object as unknown as Unstructured, undefined);
  validateObject(context, resource, object, undefined);
  checkNamespace(context, resource, metadata);
  const name = memberText(metadata, "name");
  const key = storageKey(namespaceOf(metadata), name);
  if (collection.tip(key) !== undefined) {
    throw generated ? alreadyExists(resource, `${name} (generated)`) : alreadyExists(resource, name);
  }
  track(object);
  const asked = context.admission.ask(
    admissionRequest({
      operation: "CREATE",
      resource,
      subresource: "",
      object,
      oldObject: undefined,
      dryRun: options.dryRun === true,
      fieldManager: options.fieldManager,
      user: options.user,
    }),
    options.onWarning,
  );
  if (asked) {
    await asked;
    checkNamespace(context, resource, metadata);
    if (collection.tip(key) !== undefined) throw alreadyExists(resource, name);
  }
  object["apiVersion"] = apiVersionOf({ group: resource.group, version: resource.storageVersion });
  if (options.dryRun) return inVersion(resource, object as unknown as Unstructured);
  return inVersion(resource, await context.store.put(collection, object));
}

function namespaceOf(metadata: JsonMap): string | undefined {
  const namespace = member(metadata, "namespace");
  return typeof namespace === "string" ? namespace : undefined;
}

function startMetadata(context: RequestContext, resource: ServedResource, metadata: JsonMap): void {
  for (const field of [
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "resourceVersion",
  ]) {
    delete metadata[field];
  }
  if (!resource.namespaced && metadata["namespace"] === "") delete metadata["namespace"];
  metadata["uid"] = uuidV4(context.random);
  metadata["creationTimestamp"] = nowText(context);
  if (resource.generation !== "none") metadata["generation"] = 1;
}

function generateName(
  context: RequestContext,
  resource: ServedResource,
  metadata: JsonMap,
  taken: (key: string) => boolean,
): boolean {
  const base = member(metadata, "generateName");
  if (typeof base !== "string" || base === "" || member(metadata, "name")) return false;
  for (let attempt = 0; attempt < GENERATE_ATTEMPTS; attempt++) {
    let suffix = "";
    for (let i = 0; i < SUFFIX_LENGTH; i++) {
      suffix += SUFFIX_CHARACTERS.charAt(Math.floor(context.random.next() * SUFFIX_CHARACTERS.length));
    }
    const name = base.slice(0, MAX_GENERATED_BASE) + suffix;
    metadata["name"] = name;
    const key = storageKey(resource.namespaced ? namespaceOf(metadata) : undefined, name);
    if (!taken(key)) return true;
  }
  return true;
}

/** New objects need a namespace that exists and is not going away (admission plugin NamespaceLifecycle). */
function checkNamespace(context: RequestContext, resource: ServedResource, metadata: JsonMap): void {
  if (!resource.namespaced) return;
  const namespace = namespaceOf(metadata) ?? "";
  const entry = context.store.collection(collectionId("", "namespaces")).tip(namespace);
  if (!entry) throw notFound(Namespace, namespace);
  if (entry.object.metadata.deletionTimestamp !== undefined) {
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw forbidden(resource, memberText(metadata, "name"), why, [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${namespace} is being terminated`,
        field: "metadata.namespace",
      },
    ]);
  }
}
