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
import { unknownMembers } from "./admit.ts";
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
  const id = managerOf(resource, options, "Update", "PatchOptions");
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
  checkConfigurationType(resource, body);
  const config = decodeObject(resource, body);
  checkConfiguration(config);
  nameConfiguration(resource, config, key);
  const id = managerOf(resource, options, "Apply", "PatchOptions");
  const time = nowText(context);
  const application = { config, id, force: options.force === true, time };
  const subresource = subresourceOf(resource, options.subresource);
  refuseUnknown(context, resource, config, key);

  const stored = context.store
    .collection(resource.collection)
    .tip(storageKey(resource.namespaced ? key.namespace : undefined, key.name));
  if (!stored) {
    if (subresource !== "") throw notFound(resource, key.name);
    const uid = memberText(metadataOf(config), "uid");
    if (uid !== "") {
      const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
      throw conflict(resource, key.name, why);
    }
    delete metadataOf(config)["resourceVersion"];
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

/** An applied configuration says what it is: nothing is taken from the path. @throws ApiStatusError 400 */
function checkConfigurationType(resource: ServedResource, body: object): void {
  const said = (field: "apiVersion" | "kind"): string => {
    const value: unknown = field in body ? (body as Readonly<Record<string, unknown>>)[field] : "";
    return typeof value === "string" ? value : "";
  };
  const [apiVersion, kind] = [said("apiVersion"), said("kind")];
  if (apiVersion === apiVersionOf(resource) && kind === resource.kind) return;
  const groupVersion = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
  throw badRequest(`invalid object type: ${groupVersion}, Kind=${kind}`);
}

/** Nobody can own a field that the schema does not have, whatever field validation is asked for. @throws ApiStatusError 400 */
function refuseUnknown(context: RequestContext, resource: ServedResource, config: JsonMap, key: ObjectKey): void {
  const [unknown] = unknownMembers(context, resource, config);
  if (unknown === undefined) return;
  const groupVersion = resource.group === "" ? `/${resource.version}` : apiVersionOf(resource);
  throw badRequest(
    `failed to create typed patch object (${key.namespace ?? ""}/${key.name}; ${groupVersion}, Kind=${resource.kind}): .${unknown}: field not declared in schema`,
  );
}

function nameConfiguration(resource: ServedResource, config: JsonMap, key: ObjectKey): void {
  const metadata = ensureMap(config, "metadata");
  const name = memberText(metadata, "name");
  if (name !== "" && name !== key.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${key.name})`);
  }
  metadata["name"] = key.name;
  if (!resource.namespaced || !key.namespace) return;
  const namespace = memberText(metadata, "namespace");
  if (namespace !== "" && namespace !== key.namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  metadata["namespace"] = key.namespace;
}
