import type { RevocationTarget } from "../../revocation/revocation-body.ts";

/** What the bound of a revocation depends on. */
export interface BoundInputs {
  /** End of the newest index that was signed for the cluster, RFC 3339; undefined when there is none. */
  readonly indexExpiresAt: string | undefined;
  /** How long a tenant serves its permission snapshot without renewal, milliseconds. */
  readonly maxOfflineMs: number;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/**
 * Unix milliseconds by which what is revoked now has run out on an agent that never hears of it (lessons §8.2): a pack with the newest
 * index that was signed before, since an index that ran out starts nothing; a permission snapshot when it was served for as long as it
 * may be without a renewal. Content that is signed later does not count: it carries the floor.
 */
export function revocationBound(target: RevocationTarget, inputs: BoundInputs): number {
  const indexEndMs = inputs.indexExpiresAt === undefined ? 0 : Date.parse(inputs.indexExpiresAt);
  const snapshotEndMs = inputs.nowMs + inputs.maxOfflineMs;
  switch (target) {
    case "PackInstalled":
      return indexEndMs;
    case "PermissionSnapshot":
      return snapshotEndMs;
    case "Cluster":
      return Math.max(indexEndMs, snapshotEndMs);
  }
}
