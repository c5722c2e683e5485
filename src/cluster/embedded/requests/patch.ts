import type { ObjectKey, Unstructured } from "../../../api/object.ts";
import { apiVersionOf } from "../../../api/resource-type.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import type { Patch, WriteOptions } from "../../cluster.ts";
import {
  applyConfiguration,
  type Applied,
  checkConfiguration,
  configurationFields,
  recordManagers,
} from "../apply/apply-configuration.ts";
import { managerKey } from "../apply/managers.ts";
import { trackUpdate } from "../apply/track-update.ts";
import { ensureMap, type JsonMap, memberText } from "../json/mutable-json.ts";
import { metadataOf } from "../metadata/validate-metadata.ts";
import { applyJsonPatch } from "../patch/json-patch.ts";
import { mergePatch } from "../patch/merge-patch.ts";
import { strategicMerge } from "../patch/strategic-merge.ts";
import { dropForbiddenNulls } from "../schema/defaulting.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { badRequest, conflict, MODIFIED_MESSAGE, notFound, required } from "../status-errors.ts";
import { storageKey } from "../store/collection.ts";
import { pruneUnknown } from "./admit.ts";
import { createObject } from "./create.ts";
import { decodeJson, decodeObject } from "./decode.ts";
import { managerOf } from "./field-manager.ts";
import { nowText, type RequestContext } from "./request-context.ts";
import { changeObject, subresourceOf } from "./update.ts";

/** Applies a patch of any type (see `Cluster.patch`). */
export function patchObject(
  context: RequestContext,
  resource: ServedResource,
  key: ObjectKey,
  patch: Patch,
  options: WriteOptions,
): Promise<Unstructured> {
  if (patch.type === "apply") return apply(context, resource, key, patch.body, options);
  const id = managerOf(resource, options, "Update");
  return changeObject(context, resource, key, options, {
    mutate: (current) => {
      const changed = patched(resource, current, patch);
      if (resource.custom) dropForbiddenNulls(changed, resource.schema);
      return changed;
    },
    track: (changed, current) => trackUpdate(resource, changed, current, id, nowText(context)),
    subresource: subresourceOf(resource, options.subresource),
  });
}

function patched(
  resource: ServedResource,
  current: JsonMap,
  patch: Exclude<Patch, { readonly type: "apply" }>,
): JsonMap {
  switch (patch.type) {
    case "merge":
      return mergePatch(current, decodeJson(patch.body));
    case "json":
      return applyJsonPatch(current, patch.body);
    case "strategic":
      if (resource.custom) {
        throw new ApiStatusError(
          415,
          "UnsupportedMediaType",
          "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        );
      }
      return strategicMerge(current, decodeJson(patch.body), resource.schema);
  }
}

/** Server-side apply; creates a missing object. */
async function apply(
  context: RequestContext,
  resource: ServedResource,
  key: ObjectKey,
  body: object,
  options: WriteOptions,
): Promise<Unstructured> {
  if (!options.fieldManager) {
    const error = required("fieldManager", "is required for apply patch");
    throw new ApiStatusError(422, "Invalid", `PatchOptions.meta.k8s.io "" is invalid: fieldManager: ${error.message}`, {
      group: "meta.k8s.io",
      kind: "PatchOptions",
      causes: [error],
    });
  }
  const config = decodeObject(resource, body);
  checkConfiguration(config);
  nameConfiguration(resource, config, key);
  const id = managerOf(resource, options, "Apply");
  const time = nowText(context);
  const application = { config, id, force: options.force === true, time };
  const subresource = subresourceOf(resource, options.subresource);
  pruneUnknown(resource, config, options);

  const stored = context.store
    .collection(resource.collection)
    .tip(storageKey(resource.namespaced ? key.namespace : undefined, key.name));
  if (!stored) {
    if (subresource !== "") throw notFound(resource, key.name);
    if (memberText(metadataOf(config), "uid") !== "" || memberText(metadataOf(config), "resourceVersion") !== "") {
      throw conflict(resource, key.name, MODIFIED_MESSAGE);
    }
    const fields = configurationFields(resource, application);
    return createObject(context, resource, config, options, (object) =>
      recordManagers(object, new Map([[managerKey(id), { ...id, time, fields }]])),
    );
  }
  let applied: Applied | undefined;
  return changeObject(context, resource, key, options, {
    mutate: (current) => {
      // Nobody owns it, so it is no part of what is applied; it is the condition under which.
      const version = memberText(metadataOf(config), "resourceVersion");
      if (version !== "" && version !== memberText(metadataOf(current), "resourceVersion"))
        throw conflict(resource, key.name, MODIFIED_MESSAGE);
      applied = applyConfiguration(resource, current, application);
      return structuredClone(applied.object);
    },
    track: (object) => {
      if (applied) recordManagers(object, applied.managers);
    },
    subresource,
  });
}

function nameConfiguration(resource: ServedResource, config: JsonMap, key: ObjectKey): void {
  const metadata = ensureMap(config, "metadata");
  const name = memberText(metadata, "name");
  if (name !== "" && name !== key.name) {
    throw badRequest(`name in URL does not match name in object: ${key.name} and ${name} of ${apiVersionOf(resource)}`);
  }
  metadata["name"] = key.name;
  if (!resource.namespaced || !key.namespace) return;
  const namespace = memberText(metadata, "namespace");
  if (namespace !== "" && namespace !== key.namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  metadata["namespace"] = key.namespace;
}
