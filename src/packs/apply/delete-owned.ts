import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import type { ObjectKey, Unstructured } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { errorMessage } from "../../base/errors.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import { ownerOf } from "./ownership.ts";
import type { ApplyParts } from "./pack-application.ts";
import type { ResourceMapper } from "./resource-mapper.ts";

/** What became of an object that should go. */
export type Deletion =
  | { readonly outcome: "gone" }
  /** Marked for deletion; finalizers or dependents hold it. */
  | { readonly outcome: "deleting" }
  | { readonly outcome: "kept"; readonly reason: string }
  | { readonly outcome: "failed"; readonly reason: string };

/** Finds the object behind an inventory entry; undefined when it, or its whole kind, is not there. */
export async function findLive(
  parts: ApplyParts,
  mapper: ResourceMapper,
  ref: DeployedResourceRef,
): Promise<{ readonly type: ResourceType; readonly key: ObjectKey; readonly object: Unstructured } | undefined> {
  const type = await mapper.findAnyVersion(ref);
  if (type === undefined) return undefined;
  const key = type.namespaced && ref.namespace ? { namespace: ref.namespace, name: ref.name } : { name: ref.name };
  const object = await ifPresent(parts.cluster.get(type, key));
  return object === undefined ? undefined : { type, key, object };
}

/**
 * Deletes an object only while it carries our label, and only the very object that was looked at: a foreign or recreated one
 * is never touched.
 */
export async function deleteOwned(
  parts: ApplyParts,
  mapper: ResourceMapper,
  packInstalled: string,
  ref: DeployedResourceRef,
  keepBecause: (object: Unstructured) => string | undefined = () => undefined,
): Promise<Deletion> {
  try {
    const live = await findLive(parts, mapper, ref);
    if (live === undefined) return { outcome: "gone" };
    if (ownerOf(live.object, packInstalled) === "foreign") return { outcome: "kept", reason: "NotOwned" };
    const reason = keepBecause(live.object);
    if (reason !== undefined) return { outcome: "kept", reason };
    const { uid } = live.object.metadata;
    const left = await parts.cluster.delete(live.type, live.key, {
      propagationPolicy: ref.kind === "Job" || ref.kind === "StatefulSet" ? "Foreground" : "Background",
      ...(uid === undefined ? {} : { preconditions: { uid } }),
    });
    return { outcome: left === undefined ? "gone" : "deleting" };
  } catch (error) {
    if (parts.signal.aborted) throw error;
    if (isStatus(error, "NotFound")) return { outcome: "gone" };
    return { outcome: "failed", reason: errorMessage(error) };
  }
}
