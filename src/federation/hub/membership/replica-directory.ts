import { Lease, type LeaseObject } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { type Random, jittered } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import { MEMBERSHIP_TIMES, type MembershipTimes } from "./membership-times.ts";
import { REPLICA_LABEL, type ReplicaRecord, readReplica } from "./replica-record.ts";

/** Options of {@link startReplicaDirectory}. */
export interface ReplicaDirectoryOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** Own name: never listed among the peers, never forgotten. */
  readonly replica: string;
  readonly times?: MembershipTimes;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The replicas of the hub, as their memberships show them. */
export interface ReplicaDirectory {
  /** Replicas whose membership is valid, own one included when it is, sorted by name. */
  alive(): readonly ReplicaRecord[];
  /** The other ones among them that are not stopping. */
  peers(): readonly ReplicaRecord[];
  /** The valid membership of an identity; undefined when it ended or never was. */
  byIdentity(identity: string): ReplicaRecord | undefined;
  /** Resolves when the watch is closed. */
  readonly closed: Promise<void>;
}

interface Seen {
  readonly resourceVersion: string;
  readonly atMs: number;
}

/**
 * Follows the membership Leases by one watch. A membership is valid until its duration has passed since this process saw its last
 * renewal, by this process's monotonic clock: the wall clocks of the replicas need not agree. Memberships that ended long ago are
 * deleted.
 *
 * @throws the signal's reason when stopped before the first list
 */
export async function startReplicaDirectory(options: ReplicaDirectoryOptions): Promise<ReplicaDirectory> {
  const { cluster, clock, random, log, signal } = options;
  const leases = startInformer({
    cluster,
    type: Lease,
    namespace: NAMESPACES.ont,
    labelSelector: `${REPLICA_LABEL}=true`,
    clock,
    random,
    log,
    signal,
  });
  const seen = new Map<string, Seen>();
  leases.subscribe(({ type, object }) => {
    const { name, resourceVersion = "" } = object.metadata;
    if (type === "DELETED") seen.delete(name);
    else if (seen.get(name)?.resourceVersion !== resourceVersion)
      seen.set(name, { resourceVersion, atMs: clock.monotonic() });
  });
  await leases.synced;

  const silentMs = (lease: LeaseObject): number => clock.monotonic() - (seen.get(lease.metadata.name)?.atMs ?? 0);
  const alive = (): readonly ReplicaRecord[] =>
    leases
      .list()
      .flatMap((lease) => {
        const record = readReplica(lease);
        return record !== undefined && silentMs(lease) < record.durationMs ? [record] : [];
      })
      .sort((a, b) => (a.replica < b.replica ? -1 : 1));
  return {
    alive,
    peers: () => alive().filter(({ replica, draining }) => replica !== options.replica && !draining),
    byIdentity: (identity) => alive().find((record) => record.identity === identity),
    closed: forgetEnded(options, leases, silentMs),
  };
}

/** Deletes memberships that ended long ago. The delete is conditional: one that was renewed meanwhile stays. */
async function forgetEnded(
  options: ReplicaDirectoryOptions,
  leases: Informer<LeaseObject>,
  silentMs: (lease: LeaseObject) => number,
): Promise<void> {
  const { cluster, clock, random, log, signal, times = MEMBERSHIP_TIMES } = options;
  while (!signal.aborted) {
    try {
      // Jittered, so that replicas take turns.
      await clock.sleep(jittered(random, times.forgetMs / 2, 0.3), signal);
    } catch {
      break; // aborted while waiting: that is the way to stop
    }
    for (const lease of leases.list()) {
      const record = readReplica(lease);
      if (record?.replica === options.replica || silentMs(lease) < times.forgetMs) continue;
      const { name, uid, resourceVersion } = lease.metadata;
      if (uid === undefined || resourceVersion === undefined) continue;
      try {
        await cluster.delete(Lease, { namespace: NAMESPACES.ont, name }, { preconditions: { uid, resourceVersion } });
        log.info({ replica: record?.replica ?? name }, "a replica is gone; its membership is removed");
      } catch (error) {
        // Another replica was quicker, or it came back. Anything else is tried again at the next turn.
        if (!isStatus(error, "NotFound", "Conflict"))
          log.warn({ lease: name, error: errorMessage(error) }, "an ended membership could not be removed");
      }
    }
  }
  await leases.closed;
}
