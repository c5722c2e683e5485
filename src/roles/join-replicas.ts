import { uuidV4 } from "../base/ids.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { hubMembership } from "../federation/hub/membership/hub-membership.ts";
import { MEMBERSHIP_TIMES } from "../federation/hub/membership/membership-times.ts";
import { type ReplicaDirectory, startReplicaDirectory } from "../federation/hub/membership/replica-directory.ts";
import { type ReplicaMembership, startReplicaMembership } from "../federation/hub/membership/replica-membership.ts";
import { requireNoRival, requireSharedSink } from "../federation/hub/membership/require-shared-sink.ts";
import type { HubMembership } from "../federation/hub/ports.ts";
import type { Environment } from "./environment.ts";

/** What {@link joinReplicas} needs. */
export interface JoinOptions {
  readonly env: Environment;
  /** The management cluster. */
  readonly cluster: Cluster;
  /** Name of this replica. */
  readonly replica: string;
  /** Which audit sink this replica stores to: equal for replicas that share one. */
  readonly auditSink: string;
  /** Streams this replica carries now. */
  readonly sessions: () => number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** This replica among the replicas of the hub. */
export interface JoinedReplicas {
  readonly membership: ReplicaMembership;
  readonly replicas: ReplicaDirectory;
  readonly hub: HubMembership;
}

/**
 * Makes this process a member of the hub.
 *
 * @throws SeamError `AuditSinkNotShared` beside a replica with another audit sink; the signal's reason
 */
export async function joinReplicas(options: JoinOptions): Promise<JoinedReplicas> {
  const { env, replica, auditSink, sessions, clock, signal, metrics } = options;
  const replicas = await startReplicaDirectory(options);
  // A killed process of another name is a member until its membership ends: a rolling update waits for that.
  const waitMs = 2 * MEMBERSHIP_TIMES.durationMs;
  await requireSharedSink({ replica, auditSink }, replicas, waitMs, { clock, signal });
  const endpoint = env["FEDERATION_ADVERTISE_ADDR"] ?? "";
  const membership = await startReplicaMembership({
    ...options,
    process: uuidV4(options.random).slice(0, 8),
    facts: () => {
      // With each renewal, so that the gauges cost nothing of their own.
      metrics.gauge("federation_replicas", replicas.alive().length);
      return {
        endpoint,
        internalEndpoint: env["INTERNAL_ADVERTISE_ADDR"] ?? "",
        sessions: sessions(),
        auditSink,
      };
    },
  });
  await requireNoRival({ replica, auditSink, identity: membership.identity }, replicas, { clock, signal });
  metrics.gauge("federation_member", 1);
  membership.subscribe((valid) => metrics.gauge("federation_member", valid ? 1 : 0));
  return { membership, replicas, hub: hubMembership({ endpoint, membership, replicas }) };
}
