import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import { identityOf } from "../artifact/pack-object.ts";

/** Refs by identity: an API version that moved on is still the same object (dispatcher §8.6). */
export function inventoryMap(refs: readonly DeployedResourceRef[]): Map<string, DeployedResourceRef> {
  return new Map(refs.map((ref) => [identityOf(ref), ref]));
}

/**
 * What may exist while a new version replaces an old one: everything of both. Facts about an object that stays (uid, whether the pack
 * created it) are carried over, and what leaves stands after what comes.
 */
export function unionInventory(
  old: readonly DeployedResourceRef[],
  next: readonly DeployedResourceRef[],
): readonly DeployedResourceRef[] {
  const before = inventoryMap(old);
  const union = next.map((ref) => {
    const known = before.get(identityOf(ref));
    before.delete(identityOf(ref));
    return known === undefined ? ref : carriedOver(ref, known);
  });
  return [...union, ...before.values()];
}

/** Refs of `old` that `next` does not hold. */
export function leftBehind(
  old: readonly DeployedResourceRef[],
  next: readonly DeployedResourceRef[],
): readonly DeployedResourceRef[] {
  const kept = inventoryMap(next);
  return old.filter((ref) => !kept.has(identityOf(ref)));
}

function carriedOver(ref: DeployedResourceRef, known: DeployedResourceRef): DeployedResourceRef {
  const { uid, created } = known;
  return { ...ref, ...(uid === undefined ? {} : { uid }), ...(created === undefined ? {} : { created }) };
}
