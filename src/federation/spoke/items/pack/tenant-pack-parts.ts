import type { Clock } from "../../../../base/clock.ts";
import type { Log } from "../../../../base/log.ts";
import type { Random } from "../../../../base/random.ts";
import type { Cluster } from "../../../../cluster/cluster.ts";
import type { KeyLookup } from "../../../../trust/dsse.ts";
import type { FloorFile } from "../../../../trust/floors/floor-file.ts";
import type { FactOutbox } from "../../ports.ts";
import type { HeldPacks } from "./held-packs.ts";
import type { PackAttempts } from "./pack-attempts.ts";
import type { PackReceipts } from "./pack-receipts.ts";

/** Ordering floors that survive restarts; names are `PackInstalled/{name}`. */
export type PackFloors = Pick<FloorFile, "get" | "accept" | "revokeBelow" | "revoked">;

/** What the pack rooms of an agent share. */
export interface TenantPackParts {
  /** Cluster id of this tenant. */
  readonly clusterId: string;
  /** The tenant's own cluster. */
  readonly cluster: Cluster;
  readonly keys: KeyLookup;
  readonly floors: PackFloors;
  readonly facts: FactOutbox;
  readonly held: HeldPacks;
  readonly receipts: PackReceipts;
  readonly attempts: PackAttempts;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const FLOOR_PREFIX = "PackInstalled/";

/** Name under which the floors of a pack are kept. */
export function floorName(packInstalled: string): string {
  return FLOOR_PREFIX + packInstalled;
}

/** Packs among the names of floors. */
export function packOfFloor(name: string): string | undefined {
  return name.startsWith(FLOOR_PREFIX) ? name.slice(FLOOR_PREFIX.length) : undefined;
}

/** Packs are ordered by serial alone, so their floors have one epoch. */
export const PACK_EPOCH = 1;

/** Budget of a delivery unless its manifest says otherwise, seconds (dispatcher §8.5). */
export const DEFAULT_DEPLOY_TIMEOUT_SECONDS = 1800;
