import { PermissionService } from "../../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { HealthRegistry, ServingStatus, healthService } from "../../api/grpc/health.ts";
import { reflectionService } from "../../api/grpc/reflection.ts";
import { Health } from "../../api/gen/grpc/health/v1/health_pb.ts";
import type { Clock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type Metrics, silentMetrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from "../../trust/tls/grpc-server.ts";
import type { TlsSource } from "../../trust/tls/tls-material.ts";
import type { SnapshotStore } from "../store/snapshot-store.ts";
import { authenticateCaller } from "./caller.ts";
import { type AuditLane, DecisionAudit } from "./decision-audit.ts";
import type { DecisionLogPolicy } from "./decision-log-policy.ts";
import type { ServiceFacts } from "./status-answer.ts";
import { orUnreviewed } from "./unreviewed-caller.ts";
import { type PermissionMethods, permissionMethods, permissionService } from "./permission-handlers.ts";

/** Options of {@link startPermissionService}. */
export interface PermissionServiceOptions {
  /** Interface to listen on. */
  readonly address: string;
  /** 0 picks a free one; 50051 by convention. */
  readonly port: number;
  /** Serving certificate, and the CA of callers' client certificates. */
  readonly tls: TlsSource;
  readonly store: SnapshotStore;
  /** Cluster id that is served; must be the store's. */
  readonly cluster: string;
  readonly audit: AuditLane;
  /** What of the decisions is logged; absent: {@link DEFAULT_DECISION_LOG_POLICY}. */
  readonly decisionLog?: DecisionLogPolicy;
  /** Takes service-account tokens as well, when given. */
  readonly authenticateToken?: GrpcServerOptions["authenticateToken"];
  /** Path of a Unix socket to serve as well, to callers with a token; needs {@link authenticateToken}. */
  readonly socket?: string;
  /** What GetStatus says of the process around the service. */
  readonly facts?: ServiceFacts;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics?: Metrics;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A running PermissionService. */
export interface RunningPermissionService {
  readonly port: number;
  /** What it serves, for the HTTP forms: one decision, one audit, whichever way the question came. */
  readonly methods: PermissionMethods;
  /** Serving status per service: SERVING while decisions are possible. */
  readonly health: HealthRegistry;
  /** Resolves when the signal has aborted and everything is released. */
  readonly closed: Promise<void>;
}

/**
 * Serves `ontai.security.v1alpha1.PermissionService` with reflection and health behind mutual TLS.
 *
 * @throws SeamError `ListenFailed`; `EnvironmentInvalid` for a socket without tokens; `WrongCluster` when the store is another cluster's
 */
export async function startPermissionService(options: PermissionServiceOptions): Promise<RunningPermissionService> {
  const { store, clock, random, log, signal } = options;
  const metrics = options.metrics ?? silentMetrics;
  if (store.cluster !== options.cluster)
    throw new SeamError({
      reason: "WrongCluster",
      object: "PermissionService",
      field: "cluster",
      expected: `the store's cluster ${store.cluster}, found ${options.cluster}`,
    });
  const { authenticateToken } = options;
  if (options.socket !== undefined && authenticateToken === undefined)
    throw new SeamError({
      reason: "EnvironmentInvalid",
      object: "PermissionService",
      field: "socket",
      expected: "a cluster that issues tokens: callers on a Unix socket are known by nothing else",
      remedy: "leave the socket out (PERMISSION_SERVICE_SOCKET) and ask on the port, with a certificate",
    });
  const audit = new DecisionAudit({
    lane: options.audit,
    clock,
    random,
    log,
    ...(options.decisionLog !== undefined && { policy: options.decisionLog }),
  });
  const health = new HealthRegistry();
  const show = (): void => {
    const { freshness, ageMs } = store.state();
    const serving = freshness === "FRESH" || freshness === "STALE";
    health.set(PermissionService.typeName, serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
    metrics.gauge("snapshot_age_seconds", ageMs / 1000);
    metrics.gauge("snapshot_sequence", store.current?.statement.sequence ?? 0);
    metrics.gauge("snapshot_index_bytes", store.current?.index.sizes.tableBytes ?? 0);
  };
  show();
  const stop = store.subscribe((event) => {
    if (event.type === "refused")
      metrics.count("verify_failures_total", { kind: "PermissionSnapshot", reason: event.rejection.code });
    show();
  });
  const methods = permissionMethods({
    store,
    audit,
    clock,
    random,
    metrics,
    ...(options.facts !== undefined && { facts: options.facts }),
  });
  const services = [permissionService(methods), healthService(health), reflectionService([PermissionService, Health])];
  const server: GrpcServer = await startGrpcServer({
    address: options.address,
    port: options.port,
    tls: options.tls,
    services,
    authenticate: (certificate) => authenticateCaller(certificate, clock.now()),
    ...(authenticateToken !== undefined && { authenticateToken: orUnreviewed(authenticateToken) }),
    clock,
    log: log.child({ service: "permission" }),
    metrics,
    signal,
  });
  const closing = [server.closed];
  if (options.socket !== undefined && authenticateToken !== undefined) {
    const { startGrpcSocket } = await import("../../trust/tls/grpc-socket.ts");
    const socket = await startGrpcSocket({
      path: options.socket,
      services,
      authenticateToken: orUnreviewed(authenticateToken),
      clock,
      log: log.child({ service: "permission" }),
      signal,
    });
    closing.push(socket.closed);
  }
  const closed = Promise.all(closing).then(() => {});
  return { port: server.port, methods, health, closed: closed.finally(stop) };
}
