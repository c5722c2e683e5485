import type { KubeObject, Unstructured } from "../../../api/object.ts";
import type { WriteOptions } from "../../cluster.ts";
import { trackUpdate } from "../apply/track-update.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import type { JsonMap } from "../json/mutable-json.ts";
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
  const id = managerOf(resource, options, "Update");
  return changeObject(context, resource, namespace ? { name, namespace } : { name }, options, {
    mutate: () => {
      const replacement = decoded ?? decodeWhole(resource, object);
      decoded = undefined; // the write path makes it its own
      return replacement;
    },
    track: (changed, current) => trackUpdate(resource, changed, current, id, nowText(context)),
    subresource: subresourceOf(resource, options.subresource),
  });
}
