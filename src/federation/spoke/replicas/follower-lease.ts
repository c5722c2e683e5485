import { Lease, type LeaseObject } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import type { JsonObject } from "../../../base/json.ts";
import { microTime } from "../../../controller/lease.ts";

/** Label of the Leases of replicas that follow; its value is the cluster. */
export const FOLLOWER_LABEL = "seam.ontai.dev/snapshot-follower";
const FLOOR = "seam.ontai.dev/revocation-floor";
const VERSION = "seam.ontai.dev/snapshot-version";
/** How long a follower counts after its last word, milliseconds. */
export const FOLLOWER_DURATION_MS = 15_000;
/** How often a follower says that it is there, milliseconds. */
export const FOLLOWER_RENEW_MS = 5_000;

/** What a follower says of itself. */
export interface FollowerWord {
  readonly name: string;
  /** Revocation floor that is durable on it. */
  readonly floor: number;
  /** Version that it answers from; empty when it has none. */
  readonly version: string;
}

/** Object of a follower's word; server-side apply. */
export function followerLease(cluster: string, { name, floor, version }: FollowerWord, nowMs: number): JsonObject {
  return {
    apiVersion: `${Lease.group}/${Lease.version}`,
    kind: "Lease",
    metadata: {
      namespace: NAMESPACES.ont,
      name: followerLeaseName(name),
      labels: { [FOLLOWER_LABEL]: cluster },
      annotations: { [FLOOR]: String(floor), [VERSION]: version },
    },
    spec: {
      holderIdentity: name,
      leaseDurationSeconds: FOLLOWER_DURATION_MS / 1000,
      renewTime: microTime(nowMs),
    },
  };
}

/** Name of a follower's Lease. */
export function followerLeaseName(name: string): string {
  return `conductor-follower-${name}`;
}

/** Reads it; a floor that is none counts as 0, which confirms nothing. */
export function followerWord({ metadata, spec }: LeaseObject): FollowerWord {
  const floor = Number(metadata.annotations?.[FLOOR] ?? "0");
  return {
    name: spec?.holderIdentity ?? metadata.name,
    floor: Number.isSafeInteger(floor) && floor > 0 ? floor : 0,
    version: metadata.annotations?.[VERSION] ?? "",
  };
}
