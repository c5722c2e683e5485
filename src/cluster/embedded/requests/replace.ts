import type { KubeObject, Unstructured } from "../../../api/object.ts";
import type { ApiStatusError } from "../../api-status-error.ts";
import type { WriteOptions } from "../../cluster.ts";
import { trackUpdate } from "../apply/track-update.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { type JsonMap, memberText } from "../json/mutable-json.ts";
import { metadataOf } from "../metadata/validate-metadata.ts";
import { invalidObject, invalidValue } from "../status-errors.ts";
import { decodeWhole } from "./decode.ts";
import { managerOf } from "./field-manager.ts";
import { nowText, type RequestContext } from "./request-context.ts";
import { changeObject, subresourceOf } from "./update.ts";

/** Replaces an object, or only its status (see `Cluster.update` and `Cluster.updateStatus`). */
export function replaceObject(
  context: RequestContext,
  resource: ServedResource,
  object: KubeObject,
  options: WriteOptions,
): Promise<Unstructured> {
  let decoded: JsonMap | undefined = decodeWhole(resource, object);
  const { name, namespace } = object.metadata;
  const id = managerOf(resource, options, "Update", "UpdateOptions");
  return changeObject(context, resource, namespace ? { name, namespace } : { name }, options, {
    mutate: () => {
      const replacement = decoded ?? decodeWhole(resource, object);
      decoded = undefined; // the write path makes it its own
      const version = memberText(metadataOf(replacement), "resourceVersion");
      // Custom resources may not be replaced blindly; built-in kinds may.
      if (resource.custom && (version === "" || version === "0")) throw unversioned(resource, name);
      return replacement;
    },
    track: (changed, current) => trackUpdate(resource, changed, current, id, nowText(context)),
    subresource: subresourceOf(resource, options.subresource),
  });
}

/** 422 in which the resource stands for the kind, as the storage layer of the API server words it. */
function unversioned(resource: ServedResource, name: string): ApiStatusError {
  return invalidObject({ ...resource, kind: resource.resource }, name, [
    invalidValue("metadata.resourceVersion", 0, "must be specified for an update"),
  ]);
}
