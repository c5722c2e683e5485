import type { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import { CONTROLS } from "../../api/names.ts";
import { clusterList } from "../pack-delivery/target-set.ts";

/**
 * The nonce of the redeploy annotation where it concerns `cluster`: `nonce` for every target, `nonce@clusterA,clusterB` for some
 * (dispatcher §5.6). A value that was not seen before asks for a new attempt.
 */
export function redeployNonce(delivery: PackDelivery, cluster: string): string | undefined {
  const value = delivery.metadata.annotations?.[CONTROLS.redeploy];
  if (value === undefined || value === "") return undefined;
  const at = value.indexOf("@");
  if (at < 0) return value.slice(0, MAX_NONCE);
  return clusterList(value.slice(at + 1)).has(cluster) ? value.slice(0, Math.min(at, MAX_NONCE)) : undefined;
}

/** Longest nonce that is kept. */
const MAX_NONCE = 253;
