import type { DescService } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { AuditTrail } from "../api/audit-record.ts";
import { AuditService } from "../api/gen/conductor/fleet/v1alpha1/audit_pb.ts";
import { FleetService, ReceiptService, RevocationService } from "../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { PermissionService } from "../api/gen/ontai/security/v1alpha1/permission_pb.ts";
import { Health } from "../api/gen/grpc/health/v1/health_pb.ts";
import { HealthRegistry, ServingStatus, healthService } from "../api/grpc/health.ts";
import { reflectionService } from "../api/grpc/reflection.ts";
import { clusterOfNamespace } from "../api/names.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { HubView } from "../federation/hub/hub-view.ts";
import type { DesiredStates, TenantDirectory } from "../federation/hub/ports.ts";
import type { RunningRetryOrders } from "../federation/hub/retries/retry-orders.ts";
import type { RunningRevocationOutbox } from "../federation/hub/revocations/revocation-outbox.ts";
import { type PermissionMethods, permissionService } from "../permissions/service/permission-handlers.ts";
import { normalizeSerial } from "../trust/identity/certificate-serial.ts";
import { operatorIdentity } from "../trust/identity/operator-identity.ts";
import { type GrpcServer, startGrpcServer } from "../trust/tls/grpc-server.ts";
import type { Authentication } from "../trust/tls/tls-listener.ts";
import type { TlsSource } from "../trust/tls/tls-material.ts";
import type { AuditLogReader } from "../federation/audit/audit-log-reader.ts";
import type { AuditQuarantine } from "../federation/audit/quarantine.ts";
import { AuditQueries } from "./audit/audit-queries.ts";
import { auditService } from "./audit/audit-service.ts";
import { QuarantineQueries } from "./audit/quarantine-queries.ts";
import { FleetAnswers } from "./fleet/fleet-answers.ts";
import { FleetQueries } from "./fleet/fleet-queries.ts";
import { fleetService } from "./fleet/fleet-service.ts";
import { type FleetSources, startFleetSources } from "./fleet/fleet-sources.ts";
import { PeerFleets, type PeerFleetsParts } from "./fleet/peer-fleets.ts";
import { connectRoutes } from "./http/connect-routes.ts";
import { type HttpHandler, startOpsHttpServer } from "./http/ops-http-server.ts";
import type { ReadinessCheck } from "./http/readiness.ts";
import { statusPage } from "./http/status-page.ts";
import { DeliveryObserver } from "./metrics/delivery-observer.ts";
import { collectFleetMetrics } from "./metrics/fleet-metrics.ts";
import { collectProcessMetrics } from "./metrics/process-metrics.ts";
import type { PrometheusMetrics } from "./metrics/prometheus-metrics.ts";
import { ReceiptQueries } from "./receipts/receipt-queries.ts";
import { receiptService } from "./receipts/receipt-service.ts";
import { RevocationQueries } from "./revocations/revocation-queries.ts";
import { revocationService } from "./revocations/revocation-service.ts";

/** An interface and a port; 0 picks a free one. */
export interface ListenOn {
  readonly address: string;
  readonly port: number;
}

/** Options of {@link startOps}. */
export interface OpsOptions {
  /** 9444: operators with a client certificate of the internal CA. */
  readonly internal: ListenOn & {
    /** Server certificate and the internal CA. */
    readonly tls: TlsSource;
    /** Groups of which a caller must hold one; default: any operator certificate of the CA. */
    readonly groups?: readonly string[];
  };
  /** 8080: health, metrics, status page, Connect/JSON. */
  readonly http: ListenOn;
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly view: HubView;
  readonly desired: DesiredStates;
  readonly directory: TenantDirectory;
  readonly revocations: RunningRevocationOutbox;
  readonly retries: RunningRetryOrders;
  /** The audit log as the hub stores it. */
  readonly audit: AuditLogReader & AuditQuarantine;
  /** The hub's own audit log, for what operators do here. */
  readonly trail: AuditTrail;
  /** Name of the management cluster: that of the hub's own audit log. */
  readonly ownCluster: string;
  /** Owners of sessions, when several replicas serve: SessionOwnership.owner. */
  readonly owner?: FleetSources["owner"];
  readonly replicaAlive?: FleetSources["replicaAlive"];
  /** The other replicas' FleetServices; absent: there are none, or they cannot be asked. */
  readonly peers?: Pick<PeerFleetsParts, "peers" | "connect">;
  /** Answers about the permissions of every cluster (permissions §11.4); absent: they are not served. */
  readonly permissions?: PermissionMethods;
  /** Further conditions of `/readyz`. */
  readonly readiness?: readonly ReadinessCheck[];
  /** The process's registry, which its other parts write to as well. */
  readonly metrics: PrometheusMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** What people look at, running. */
export interface Ops {
  readonly internalPort: number;
  readonly httpPort: number;
  /** Resolves when both listeners and every watch are closed. */
  readonly closed: Promise<void>;
}

/**
 * Serves FleetService, ReceiptService, RevocationService, AuditService and PermissionService on the internal port, and health, metrics and the status page over HTTP.
 * The HTTP port answers first, so that a probe sees "not ready" while the caches fill.
 *
 * @throws SeamError `ListenFailed`; the signal's reason when stopped before the caches were filled
 */
export async function startOps(options: OpsOptions): Promise<Ops> {
  const { clock, metrics, signal, log } = options;
  const stop = new AbortController();
  const inner = AbortSignal.any([signal, stop.signal]);
  const sources = startFleetSources({ ...options, signal: inner });
  const fleet = new FleetQueries(sources, clock);
  const receipts = new ReceiptQueries(sources, clock);
  const revocations = new RevocationQueries(sources, options.revocations, clock);
  const peers = new PeerFleets({ ...(options.peers ?? NO_PEERS), log });
  inner.addEventListener("abort", () => peers.close(), { once: true });
  const answers = new FleetAnswers(fleet, peers);
  let synced = false;
  collectProcessMetrics(metrics, inner);
  const checks: readonly ReadinessCheck[] = [
    { name: "fleet-caches", check: () => (synced ? undefined : "the caches of the management cluster fill") },
    ...(options.readiness ?? []),
  ];
  try {
    const http = await startOpsHttpServer({
      ...options.http,
      metrics,
      readiness: checks,
      handlers: [statusPage, connectHandler(fleet, answers, receipts, inner)],
      log,
      signal: inner,
    });
    await sources.synced;
    collectFleetMetrics(metrics, sources, fleet, revocations, clock);
    followDeliveries(sources, fleet, options);
    synced = true;
    const internal = await startInternal(options, sources, { fleet, answers, receipts, revocations }, inner);
    return {
      internalPort: internal.port,
      httpPort: http.port,
      closed: Promise.all([http.closed, internal.closed, sources.closed]).then(() => undefined),
    };
  } catch (error) {
    stop.abort(error);
    throw error;
  }
}

const NO_PEERS: Pick<PeerFleetsParts, "peers" | "connect"> = {
  peers: () => [],
  connect: (address) => {
    throw new Error(`no way to ask ${address}`);
  },
};

/** What answers the services. */
interface Questions {
  readonly fleet: FleetQueries;
  readonly answers: FleetAnswers;
  readonly receipts: ReceiptQueries;
  readonly revocations: RevocationQueries;
}

function startInternal(
  options: OpsOptions,
  sources: FleetSources,
  { fleet, answers, receipts, revocations }: Questions,
  signal: AbortSignal,
): Promise<GrpcServer> {
  const { cluster, clock, random, log, metrics, internal, revocations: outbox } = options;
  const { permissions } = options;
  const described: DescService[] = [FleetService, ReceiptService, RevocationService, AuditService, Health];
  if (permissions !== undefined) described.push(PermissionService);
  const health = new HealthRegistry();
  for (const { typeName } of described) health.set(typeName, ServingStatus.SERVING);
  signal.addEventListener("abort", () => health.set("", ServingStatus.NOT_SERVING), { once: true });
  return startGrpcServer({
    address: internal.address,
    port: internal.port,
    tls: internal.tls,
    services: [
      fleetService(fleet, answers),
      receiptService(receipts),
      revocationService({ cluster, sources, outbox, queries: revocations, clock, random }),
      auditService(
        new AuditQueries(options.audit, options.ownCluster),
        new QuarantineQueries(options.audit, options.trail),
      ),
      ...(permissions === undefined ? [] : [permissionService(permissions)]),
      healthService(health),
      reflectionService(described),
    ],
    authenticate: (certificate) => authenticateOperator(certificate, clock.now(), internal.groups),
    clock,
    log,
    metrics,
    signal,
  });
}

function authenticateOperator(
  certificate: Parameters<typeof operatorIdentity>[0],
  nowMs: number,
  groups: readonly string[] | undefined,
): Authentication {
  const verdict = operatorIdentity(certificate, nowMs);
  if (!verdict.ok) return verdict;
  const { user, groups: held } = verdict.identity;
  if (groups !== undefined && !groups.some((group) => held.includes(group)))
    return { ok: false, reason: "GroupMissing", detail: `one of the groups ${groups.join(", ")} is required` };
  return {
    ok: true,
    principal: {
      kind: "certificate",
      name: user,
      groups: held,
      certificateSerial: normalizeSerial(certificate?.serialNumber ?? ""),
      notAfterMs: certificate?.validToDate.getTime() ?? 0,
    },
  };
}

function connectHandler(
  fleet: FleetQueries,
  answers: FleetAnswers,
  receipts: ReceiptQueries,
  signal: AbortSignal,
): HttpHandler {
  const adapter = connectNodeAdapter({ routes: connectRoutes(fleet, answers, receipts), shutdownSignal: signal });
  return (request, response) => {
    if (!(request.url ?? "").startsWith("/conductor.fleet.")) return false;
    adapter(request, response);
    return true;
  };
}

function followDeliveries(sources: FleetSources, fleet: FleetQueries, options: OpsOptions): void {
  const deliveries = new DeliveryObserver({ desired: sources.desired, clock: options.clock, metrics: options.metrics });
  const observe = (cluster: string): void => deliveries.observe(cluster, fleet.progress(cluster));
  for (const cluster of sources.directory.clusters()) observe(cluster);
  sources.desired.subscribe(observe);
  sources.levels.subscribe(({ object }) => {
    const cluster = clusterOfNamespace(object.metadata.namespace);
    if (cluster !== undefined) observe(cluster);
  });
}
