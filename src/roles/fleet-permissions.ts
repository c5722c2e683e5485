import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { PermissionSettings } from "../governance/engine/permission-engine.ts";
import { followPermissions } from "../governance/live/follow-permissions.ts";
import { LiveFleet } from "../governance/live/live-fleet.ts";
import { fleetPermissionMethods } from "../permissions/fleet/fleet-methods.ts";
import { FleetPermissions } from "../permissions/fleet/fleet-permissions.ts";
import { type AuditLane, DecisionAudit } from "../permissions/service/decision-audit.ts";
import type { PermissionMethods } from "../permissions/service/permission-handlers.ts";
import { DEFAULT_FRESHNESS_WINDOW_SECONDS, DEFAULT_MAX_OFFLINE_SECONDS } from "../permissions/snapshot/limits.ts";
import { decisionLog } from "./decision-log.ts";
import { type Environment, positiveNumber } from "./environment.ts";

/** What every replica computes permissions by; replicas that differ would publish versions without end. @throws SeamError `EnvironmentInvalid` */
export function permissionSettings(env: Environment, clusterId: string): Required<PermissionSettings> {
  return {
    managementCluster: clusterId,
    freshnessWindowSeconds: positiveNumber(
      env,
      "PERMISSION_SNAPSHOT_FRESHNESS_WINDOW",
      DEFAULT_FRESHNESS_WINDOW_SECONDS,
    ),
    maxOfflineSeconds: positiveNumber(env, "PERMISSION_SNAPSHOT_MAX_OFFLINE", DEFAULT_MAX_OFFLINE_SECONDS),
  };
}

/** What {@link serveFleetPermissions} needs. */
export interface FleetPermissionOptions {
  readonly env: Environment;
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly settings: PermissionSettings;
  /** The hub's own audit log, for decisions. */
  readonly lane: AuditLane;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** The permissions of the fleet as this replica answers for them. */
export interface ServedFleetPermissions {
  /** Takes the signers' graph while they run here. */
  readonly live: LiveFleet;
  readonly methods: PermissionMethods;
  readonly closed: Promise<void>;
}

/** PermissionService for every registered cluster (permissions §11.4), on every replica. @throws SeamError for an audit policy that cannot be read */
export async function serveFleetPermissions(options: FleetPermissionOptions): Promise<ServedFleetPermissions> {
  const { env, clock, random, metrics, signal, settings, lane } = options;
  const log = options.log.child({ component: "fleet-permissions" });
  const live = new LiveFleet({
    follow: (ends) => followPermissions({ ...options, settings, log, signal: ends }),
    clock,
    signal,
  });
  const audit = new DecisionAudit({ lane, clock, random, log, ...renamed(await decisionLog(env)) });
  const fleet = new FleetPermissions({ live, audit, clock, random, metrics, log, signal });
  return { live, methods: fleetPermissionMethods(fleet), closed: live.closed };
}

function renamed({ decisionLog: policy }: Awaited<ReturnType<typeof decisionLog>>) {
  return policy === undefined ? {} : { policy };
}
