import { createHash } from "node:crypto";

/**
 * Orders replicas for one cluster by highest random weight (Thaler and Ravishankar): every replica computes the same order, clusters
 * of a replica that goes spread evenly over the others, and a replica that comes takes only its own share. Pure.
 */
export function rendezvousOrder<T extends { readonly replica: string }>(
  cluster: string,
  replicas: readonly T[],
): readonly T[] {
  return replicas
    .map((each) => ({ each, weight: weight(cluster, each.replica) }))
    .sort((a, b) => (a.weight === b.weight ? (a.each.replica < b.each.replica ? -1 : 1) : a.weight > b.weight ? -1 : 1))
    .map(({ each }) => each);
}

function weight(cluster: string, replica: string): bigint {
  return createHash("sha256").update(`${cluster}\0${replica}`).digest().readBigUInt64BE(0);
}
