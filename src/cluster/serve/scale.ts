import fastJsonPatch from "fast-json-patch";
import type { Unstructured } from "../../api/object.ts";
import { errorMessage } from "../../base/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../base/json.ts";
import { ApiStatusError } from "../api-status-error.ts";
import type { Patch } from "../cluster.ts";
import type { ScalePaths } from "./served-cluster.ts";
import { badRequest } from "./api-errors.ts";
import { at, textAt } from "./table/table-column.ts";
import { selectorText } from "./table/selector-text.ts";

/** `autoscaling/v1 Scale` of an object, read through the paths of its scale subresource. */
export function scaleOf(object: Unstructured, paths: ScalePaths): JsonObject {
  const json = object as unknown as JsonObject;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.labelSelector === undefined ? undefined : at(json, ...paths.labelSelector);
  // Built-in workloads keep their selector in the spec and show it as text here.
  const shown = typeof selector === "string" ? selector : selectorText(at(json, "spec", "selector"));
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: replicasAt(json, paths.specReplicas) },
    status: {
      replicas: replicasAt(json, paths.statusReplicas),
      ...(shown === "<none>" ? {} : { selector: shown }),
    },
  };
}

/** A Scale after a patch. Merge, strategic and apply are the same on an object without lists. @throws ApiStatusError 422, 400 */
export function patchedScale(scale: JsonObject, patch: Patch): JsonObject {
  if (patch.type !== "json") return mergePatched(scale, patch.body);
  try {
    const document = structuredClone(scale) as object;
    const operations = structuredClone(patch.body) as unknown as fastJsonPatch.Operation[];
    const result: unknown = fastJsonPatch.applyPatch(document, operations, true).newDocument;
    if (!isJsonObject(result)) throw badRequest("the patch leaves no object");
    return result;
  } catch (error) {
    if (error instanceof ApiStatusError) throw error;
    throw new ApiStatusError(
      422,
      "Invalid",
      `the server rejected our request due to an error in our request: ${errorMessage(error)}`,
    );
  }
}

/** The merge patch that a new Scale asks of the object itself. @throws ApiStatusError 422 for replicas that are no count */
export function scaleChange(scale: JsonObject, paths: ScalePaths): JsonObject {
  const replicas = at(scale, "spec", "replicas") ?? 0;
  if (typeof replicas !== "number" || !Number.isInteger(replicas) || replicas < 0) {
    const name = textAt(scale, "metadata", "name");
    const message = `Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`;
    throw new ApiStatusError(
      422,
      "Invalid",
      `Scale.autoscaling ${JSON.stringify(name)} is invalid: spec.replicas: ${message}`,
      {
        name,
        group: "autoscaling",
        kind: "Scale",
        causes: [{ reason: "FieldValueInvalid", field: "spec.replicas", message }],
      },
    );
  }
  const version = textAt(scale, "metadata", "resourceVersion");
  const change = paths.specReplicas.reduceRight<JsonValue>((inner, name) => ({ [name]: inner }), replicas);
  return {
    ...(isJsonObject(change) ? change : {}),
    // A Scale that carries a version is a conditional write.
    ...(version === "" ? {} : { metadata: { resourceVersion: version } }),
  };
}

function replicasAt(object: JsonObject, path: readonly string[]): number {
  const value = at(object, ...path);
  return typeof value === "number" ? value : 0;
}

/** RFC 7386. */
function mergePatched(target: JsonObject, patch: JsonObject): JsonObject {
  const out: Record<string, JsonValue | undefined> = { ...target };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || value === undefined) delete out[name];
    else if (isJsonObject(value)) {
      const old = out[name];
      out[name] = mergePatched(isJsonObject(old) ? old : {}, value);
    } else out[name] = value;
  }
  return out;
}
