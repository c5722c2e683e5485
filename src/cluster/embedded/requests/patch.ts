import type { Patch } from "../../cluster.ts";
import type { JsonMap } from "../json/mutable-json.ts";
import { applyJsonPatch } from "../patch/json-patch.ts";
import { mergePatch } from "../patch/merge-patch.ts";
import type { ServedResource } from "../resources/served-resource.ts";
import { ApiStatusError } from "../../api-status-error.ts";
import { decodeJson } from "./decode.ts";

/** The object that a merge or JSON patch makes of `current`. @throws ApiStatusError 400, 415, 422 */
export function applyPatch(_resource: ServedResource, current: JsonMap, patch: Patch): JsonMap {
  switch (patch.type) {
    case "merge":
      return mergePatch(current, decodeJson(patch.body));
    case "json":
      return applyJsonPatch(current, patch.body);
    case "apply":
    case "strategic":
      throw new ApiStatusError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
      );
  }
}
