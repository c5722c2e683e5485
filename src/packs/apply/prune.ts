import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import type { LifecyclePolicies } from "../../api/kinds/lifecycle-policies.ts";
import type { Unstructured } from "../../api/object.ts";
import { errorMessage } from "../../base/errors.ts";
import { objectText } from "../artifact/pack-object.ts";
import { leftBehind } from "../inventory/inventory.ts";
import { removalOrder } from "../order/removal-order.ts";
import { deleteOwned, findLive } from "./delete-owned.ts";
import { PACK_FIELD_MANAGER, PROTECTED, PRUNE } from "./ownership.ts";
import type { ApplyParts } from "./pack-application.ts";
import { ResourceMapper } from "./resource-mapper.ts";

/** One object that left the pack and was not deleted. */
export interface Kept {
  readonly object: string;
  /** `NotOwned`, `Disabled`, `Retained`, or an error's text. */
  readonly reason: string;
}

/** What pruning did. It never fails a delivery (dispatcher §8.6). */
export interface PruneResult {
  /** What the pack still answers for: its own objects, and those whose deletion failed or has not ended. */
  readonly inventory: readonly DeployedResourceRef[];
  readonly deleted: number;
  readonly skipped: readonly Kept[];
  readonly failures: readonly Kept[];
}

/**
 * Removes what an older version deployed and the new one does not hold, after the new one is ready.
 *
 * @param inventory as recorded: the union of old and new
 * @param next identities of the new version
 */
export async function prune(
  parts: ApplyParts,
  packInstalled: string,
  policies: LifecyclePolicies,
  inventory: readonly DeployedResourceRef[],
  next: readonly DeployedResourceRef[],
): Promise<PruneResult> {
  const candidates = leftBehind(inventory, next);
  const kept = new Set(candidates);
  const own = inventory.filter((ref) => !kept.has(ref));
  if (candidates.length === 0 || policies.prune === false) return { inventory, deleted: 0, skipped: [], failures: [] };
  const mapper = new ResourceMapper(parts.cluster);
  const still: DeployedResourceRef[] = [];
  const skipped: Kept[] = [];
  const failures: Kept[] = [];
  let deleted = 0;
  for (const ref of removalOrder(candidates).flat()) {
    parts.signal.throwIfAborted();
    if (ref.kind === "StatefulSet" && policies.statefulSets !== "Delete") await protect(parts, mapper, ref);
    const result = await deleteOwned(parts, mapper, packInstalled, ref, (live) => keepOnPrune(ref, live, policies));
    const object = objectText(ref);
    if (result.outcome === "gone" || result.outcome === "deleting") deleted++;
    else if (result.outcome === "failed") {
      still.push(ref);
      failures.push({ object, reason: result.reason });
    } else {
      skipped.push({ object, reason: result.reason });
      // What a policy or its owner keeps leaves the inventory; what is retained by default stays known to the pack.
      if (result.reason === "Retained") still.push(ref);
    }
  }
  return { inventory: [...own, ...still], deleted, skipped, failures };
}

function keepOnPrune(ref: DeployedResourceRef, live: Unstructured, policies: LifecyclePolicies): string | undefined {
  if (live.metadata.annotations?.[PRUNE] === "disabled") return "Disabled";
  switch (ref.kind) {
    case "PersistentVolumeClaim":
    case "PersistentVolume":
      return policies.persistentVolumeClaims === "Delete" ? undefined : "Retained";
    case "CustomResourceDefinition":
      return policies.customResourceDefinitions === "Delete" ? undefined : "Retained";
    case "StatefulSet":
      return policies.statefulSets === "Delete" ? undefined : "Retained";
    case "Namespace":
      // An upgrade never deletes a namespace: only the removal of the pack may, when nothing foreign is left in it.
      return "Retained";
    default:
      return undefined;
  }
}

/** Marks a kept StatefulSet, so that a person sees why it is still there. */
async function protect(parts: ApplyParts, mapper: ResourceMapper, ref: DeployedResourceRef): Promise<void> {
  try {
    const live = await findLive(parts, mapper, ref);
    if (live === undefined || live.object.metadata.annotations?.[PROTECTED] === "true") return;
    await parts.cluster.patch(
      live.type,
      live.key,
      { type: "merge", body: { metadata: { annotations: { [PROTECTED]: "true" } } } },
      { fieldManager: PACK_FIELD_MANAGER },
    );
  } catch (error) {
    parts.log.warn({ object: objectText(ref), error: errorMessage(error) }, "a kept StatefulSet could not be marked");
  }
}
