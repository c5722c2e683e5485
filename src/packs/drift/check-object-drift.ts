import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import type { ObjectKey, Unstructured } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { errorMessage } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import { ApiStatusError, isRetryable, isStatus } from "../../cluster/api-status-error.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import { ADOPTED, desiredObject, ownerOf, PACK_FIELD_MANAGER } from "../apply/ownership.ts";
import type { ApplyParts, PackApplication } from "../apply/pack-application.ts";
import type { ResourceMapper } from "../apply/resource-mapper.ts";
import { INJECTED_NAMESPACE } from "../artifact/assemble.ts";
import type { PackDocument } from "../artifact/pack-object.ts";
import { compareOwned } from "./compare-owned.ts";
import { jsonDifference } from "./json-difference.ts";
import { jsonPointer } from "./json-pointer.ts";
import { lastManager } from "./last-manager.ts";

/** How one object differs from what was applied. */
export type ObjectDrift =
  | { readonly state: "InSync" }
  | { readonly state: "Missing" }
  | { readonly state: "NotOwned"; readonly lastManager: string }
  | { readonly state: "Modified"; readonly paths: readonly string[]; readonly lastManager: string }
  /** On its way out with its namespace or by itself: judged when that has ended. */
  | { readonly state: "Deferred" }
  /** The cluster did not say: never drift. */
  | { readonly state: "Unknown"; readonly reason: string };

/** Most paths reported per object. */
export const MAX_PATHS = 10;

/**
 * Compares one object of a pack with the target. The pure comparison comes first and settles the ordinary case without a request; when
 * it finds something, a dry run of our own apply decides, because only the server knows its defaulting and conversion. Drift is what
 * that apply would change.
 */
export async function checkObjectDrift(
  parts: ApplyParts,
  mapper: ResourceMapper,
  application: PackApplication,
  document: PackDocument,
  ref: DeployedResourceRef,
): Promise<ObjectDrift> {
  try {
    const type = await mapper.find(document.object);
    if (type === undefined) return { state: "Missing" };
    const key = type.namespaced && ref.namespace ? { namespace: ref.namespace, name: ref.name } : { name: ref.name };
    const live = await getOrUndefined(parts, type, key);
    if (live === undefined) return { state: "Missing" };
    if (live.metadata.deletionTimestamp !== undefined) return { state: "Deferred" };
    if (ownerOf(live, application.packInstalled) === "foreign") {
      // A namespace that the packer added only has to exist, whoever owns it.
      if (isInjected(document)) return { state: "InSync" };
      return { state: "NotOwned", lastManager: lastManager(live, [["metadata", "labels"]]) };
    }
    const desired = desiredObject(document, application, live.metadata.annotations?.[ADOPTED] === "true");
    const suspects = compareOwned(desired, live, MAX_PATHS);
    if (suspects.length === 0) return { state: "InSync" };
    return await confirmed(parts, type, key, desired, live, suspects);
  } catch (error) {
    if (parts.signal.aborted) throw error;
    return { state: "Unknown", reason: errorMessage(error) };
  }
}

async function confirmed(
  parts: ApplyParts,
  type: ResourceType,
  key: ObjectKey,
  desired: JsonObject,
  live: Unstructured,
  suspects: readonly (readonly string[])[],
): Promise<ObjectDrift> {
  let paths = suspects;
  try {
    const wouldBe = await parts.cluster.patch(
      type,
      key,
      { type: "apply", body: desired },
      { fieldManager: PACK_FIELD_MANAGER, force: true, dryRun: true },
    );
    paths = jsonDifference(content(live), content(wouldBe), MAX_PATHS);
    if (paths.length === 0) return { state: "InSync" };
  } catch (error) {
    if (isStatus(error, "NotFound")) return { state: "Missing" };
    // A refusal of the content itself (an immutable field was changed) confirms the suspicion; anything else says nothing.
    const judged =
      error instanceof ApiStatusError && (error.code === 422 || /does not support dry run/i.test(error.message));
    if (isRetryable(error) || !judged) return { state: "Unknown", reason: errorMessage(error) };
  }
  return { state: "Modified", paths: paths.map(jsonPointer), lastManager: lastManager(live, paths) };
}

/** What may differ between two reads of an unchanged object is left out. */
function content(object: Unstructured): JsonObject {
  const { metadata, status: _status, ...rest } = object as unknown as JsonObject & { readonly metadata: JsonObject };
  const { managedFields: _fields, resourceVersion: _version, generation: _generation, ...meta } = metadata;
  return { ...rest, metadata: meta };
}

function isInjected(document: PackDocument): boolean {
  return document.object.metadata.annotations?.[INJECTED_NAMESPACE] === "true";
}

async function getOrUndefined(
  parts: ApplyParts,
  type: ResourceType,
  key: ObjectKey,
): Promise<Unstructured | undefined> {
  return ifPresent(parts.cluster.get(type, key));
}
