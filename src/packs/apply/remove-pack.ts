import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import type { LifecyclePolicies } from "../../api/kinds/lifecycle-policies.ts";
import type { Unstructured } from "../../api/object.ts";
import { isJsonObject } from "../../base/json.ts";
import { objectText } from "../artifact/pack-object.ts";
import { removalOrder } from "../order/removal-order.ts";
import { deleteOwned, findLive } from "./delete-owned.ts";
import { namespaceContent } from "./namespace-content.ts";
import type { ApplyParts } from "./pack-application.ts";
import type { Kept } from "./prune.ts";
import { ResourceMapper } from "./resource-mapper.ts";

/** What a removal did. */
export interface RemovalResult {
  readonly deleted: number;
  /** Objects that policies or their owners keep. */
  readonly kept: readonly Kept[];
  /** Objects that could not be removed: try again. */
  readonly failures: readonly Kept[];
}

/** Pause between deletions: at most 20 per second. */
const DELETE_PAUSE_MS = 50;
/** How long a wave may take to be gone before the next begins. */
const WAVE_WAIT_MS = 60_000;
/** Pause between looks at objects that are being deleted. */
const POLL_MS = 250;

/**
 * Removes everything a pack deployed, in the order of dispatcher §6.4, only what still carries its label. Claims, volumes and
 * CRDs stay unless the policy says Delete; a namespace goes only when the pack created it and nothing is left in it.
 */
export async function removePack(
  parts: ApplyParts,
  packInstalled: string,
  policies: LifecyclePolicies,
  inventory: readonly DeployedResourceRef[],
): Promise<RemovalResult> {
  const kept: Kept[] = [];
  const failures: Kept[] = [];
  let deleted = 0;
  if (policies.deletionPolicy === "Orphan")
    return { deleted, kept: inventory.map((ref) => ({ object: objectText(ref), reason: "Orphaned" })), failures };
  const mapper = new ResourceMapper(parts.cluster);
  for (const wave of removalOrder(inventory)) {
    const leaving: DeployedResourceRef[] = [];
    for (const ref of wave) {
      parts.signal.throwIfAborted();
      const reason = await keepOnRemoval(parts, mapper, ref, policies);
      const result = await deleteOwned(parts, mapper, packInstalled, ref, () => reason);
      if (result.outcome === "gone" || result.outcome === "deleting") deleted++;
      if (result.outcome === "deleting") leaving.push(ref);
      if (result.outcome === "kept") kept.push({ object: objectText(ref), reason: result.reason });
      if (result.outcome === "failed") failures.push({ object: objectText(ref), reason: result.reason });
      await parts.clock.sleep(DELETE_PAUSE_MS, parts.signal);
    }
    for (const ref of await stillThere(parts, mapper, leaving))
      failures.push({ object: objectText(ref), reason: `is still being deleted after ${WAVE_WAIT_MS / 1000} s` });
    mapper.refresh();
  }
  return { deleted, kept, failures };
}

async function keepOnRemoval(
  parts: ApplyParts,
  mapper: ResourceMapper,
  ref: DeployedResourceRef,
  policies: LifecyclePolicies,
): Promise<string | undefined> {
  switch (ref.kind) {
    case "PersistentVolumeClaim":
    case "PersistentVolume":
      return policies.persistentVolumeClaims === "Delete" ? undefined : "Retained";
    case "CustomResourceDefinition":
      if (policies.customResourceDefinitions !== "Delete") return "Retained";
      return (await hasInstances(parts, mapper, ref)) ? "InstancesRemain" : undefined;
    case "Namespace":
      return keepNamespace(parts, ref, policies);
    default:
      return undefined;
  }
}

async function keepNamespace(
  parts: ApplyParts,
  ref: DeployedResourceRef,
  policies: LifecyclePolicies,
): Promise<string | undefined> {
  if (policies.namespaces === "Retain") return "Retained";
  if (ref.created !== true) return "NotCreatedByPack";
  if (ref.name === "default" || ref.name.startsWith("kube-")) return "Protected";
  const content = await namespaceContent(parts, ref.name);
  return content === undefined ? undefined : `NotEmpty: ${content}`;
}

async function hasInstances(parts: ApplyParts, mapper: ResourceMapper, ref: DeployedResourceRef): Promise<boolean> {
  const crd = await findLive(parts, mapper, ref);
  const spec: unknown = crd?.object["spec"];
  if (!isJsonObject(spec)) return false;
  const names: unknown = spec["names"];
  const kind = isJsonObject(names) ? names["kind"] : undefined;
  const { group } = spec;
  if (typeof group !== "string" || typeof kind !== "string") return false;
  const type = await mapper.findAnyVersion({ apiVersion: `${group}/v1`, kind });
  return type !== undefined && (await parts.cluster.list(type, { limit: 1 })).items.length > 0;
}

async function stillThere(
  parts: ApplyParts,
  mapper: ResourceMapper,
  refs: readonly DeployedResourceRef[],
): Promise<readonly DeployedResourceRef[]> {
  const deadline = parts.clock.monotonic() + WAVE_WAIT_MS;
  let left = refs;
  while (left.length > 0) {
    const there: DeployedResourceRef[] = [];
    for (const ref of left) if (isLeaving(await findLive(parts, mapper, ref))) there.push(ref);
    left = there;
    if (left.length === 0 || parts.clock.monotonic() >= deadline) return left;
    parts.waitingFor?.(`${left.length} objects are still being deleted`);
    await parts.clock.sleep(POLL_MS, parts.signal);
  }
  return left;
}

/** True while the object that was deleted is there; one without a deletion time was created anew by somebody else. */
function isLeaving(live: { readonly object: Unstructured } | undefined): boolean {
  return live?.object.metadata.deletionTimestamp !== undefined;
}
