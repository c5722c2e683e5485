import type { DeployedResourceRef } from "../../api/kinds/deployed-resource-ref.ts";
import { groupOf } from "../artifact/pack-object.ts";
import { isCrd, isCustomResource, isNamespace, isWebhookOrApiService, kindRank, stageOf } from "./kind-rank.ts";

/** Waves of deletion (dispatcher §6.4 step 4). Each is gone before the next begins. */
export const REMOVAL_WAVES = 9;

/** Wave of an object, from 0. */
export function removalWave(ref: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
}): number {
  const group = groupOf(ref);
  if (isWebhookOrApiService(ref) || group === "admissionregistration.k8s.io") return 0;
  if (isCrd(ref)) return 7;
  if (isNamespace(ref)) return 8;
  if (isCustomResource(ref)) return 1;
  if (stageOf(ref) === "rbac") return 5;
  if (group === "" && (ref.kind === "ConfigMap" || ref.kind === "Secret")) return 3;
  if (group === "" && ref.kind === "PersistentVolumeClaim") return 4;
  return ref.namespace === undefined || ref.namespace === "" ? 6 : 2;
}

/** The inventory in waves of deletion; inside a wave in reverse apply order. */
export function removalOrder(inventory: readonly DeployedResourceRef[]): readonly (readonly DeployedResourceRef[])[] {
  const waves: DeployedResourceRef[][] = Array.from({ length: REMOVAL_WAVES }, () => []);
  for (const ref of inventory) waves[removalWave(ref)]?.push(ref);
  return waves
    .filter((wave) => wave.length > 0)
    .map((wave) => wave.sort((a, b) => (b.order ?? 0) - (a.order ?? 0) || kindRank(b) - kindRank(a)));
}
