import { hostname } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { CapabilitySchema } from "../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { AuditTrail } from "../api/audit-record.ts";
import type { RunnerCapability } from "../api/kinds/runner-config.ts";
import { SeamError } from "../base/errors.ts";
import { startEventRecorder } from "../controller/events.ts";
import { AGENT_CAPABILITIES } from "../federation/capability/agent-capability.ts";
import { startAuditTrail } from "../federation/audit/audit-trail.ts";
import { startStagedBatches } from "../federation/spoke/audit/staged-batches.ts";
import { startAuditSpill } from "../federation/spoke/audit/audit-spill.ts";
import { auditedHandler } from "../federation/spoke/items/audited-handler.ts";
import { HeldPacks } from "../federation/spoke/items/pack/held-packs.ts";
import { GovernanceHandler } from "../federation/spoke/items/governance/governance-handler.ts";
import { openGovernanceMirror } from "../federation/spoke/items/governance/governance-mirror.ts";
import { type LocalStatus, startLocalStatus } from "../federation/spoke/status/local-status.ts";
import { CorrectionHandler } from "../federation/spoke/items/pack/correction-handler.ts";
import { PackAttempts } from "../federation/spoke/items/pack/pack-attempts.ts";
import { PackHandler } from "../federation/spoke/items/pack/pack-handler.ts";
import { PackReceipts } from "../federation/spoke/items/pack/pack-receipts.ts";
import type { TenantPackParts } from "../federation/spoke/items/pack/tenant-pack-parts.ts";
import { SnapshotHandler } from "../federation/spoke/items/snapshot/snapshot-handler.ts";
import { DriftFeedback } from "../federation/spoke/drift/drift-feedback.ts";
import { watchSnapshotStore } from "../federation/spoke/items/snapshot/snapshot-watch.ts";
import { SurfaceFacts } from "../federation/spoke/rbac/surface-facts.ts";
import { startTenantRbac } from "../federation/spoke/rbac/tenant-rbac.ts";
import { startPackDrift } from "../federation/spoke/drift/pack-drift.ts";
import type { SpokeEvents } from "../federation/spoke/ports.ts";
import { startTenantRevocations } from "../federation/spoke/revocations/tenant-revocations.ts";
import { type Spoke, startSpoke } from "../federation/spoke/start-spoke.ts";
import { startTenantOps } from "../ops/start-tenant-ops.ts";
import { openOciLayout } from "../packs/store/oci-layout.ts";
import { clearTextPermissions } from "../permissions/http/clear-text-permissions.ts";
import type { PermissionHttp, PermissionHttpOptions } from "../permissions/http/start-permission-http.ts";
import type { PermissionMethods } from "../permissions/service/permission-handlers.ts";
import { tokenReviews } from "../permissions/service/token-review.ts";
import { FloorFile } from "../trust/floors/floor-file.ts";
import { loadTlsFiles } from "../trust/tls/tls-material.ts";
import type { AgentOptions } from "./agent-options.ts";
import type { ClosingOrder } from "./closing.ts";
import { list, listenAddress, required } from "./environment.ts";
import { openOwnCluster } from "./own-cluster.ts";
import type { LateFacts } from "./late-facts.ts";
import type { LateMetrics } from "./late-metrics.ts";
import type { LateTokens } from "./late-tokens.ts";
import { watchedTls } from "./watched-tls.ts";
import { createPrometheusMetrics } from "../ops/metrics/prometheus-metrics.ts";
import type { SnapshotStore } from "../permissions/store/snapshot-store.ts";
import type { KeyRingDirectory } from "../trust/keyring/key-ring-directory.ts";

/** What already answers questions, and what the rest of a tenant builds on. */
export interface TenantAgentOptions extends AgentOptions {
  readonly clusterId: string;
  readonly keyRing: KeyRingDirectory;
  readonly keysDirectory: string;
  readonly store: SnapshotStore;
  /** Opened by the spoke's outbox. */
  readonly facts: LateFacts;
  /** Opened by the tenant's API server. */
  readonly tokens: LateTokens;
  /** Opened by the registry that is scraped. */
  readonly metrics: LateMetrics;
  readonly methods: PermissionMethods;
}

/**
 * Everything of a tenant but its answers on gRPC: its cluster, the HTTP forms, and the agent that dials the hub, verifies, applies and
 * reports.
 *
 * @throws SeamError for configuration or a state directory that cannot be used
 */
export async function startTenantAgent(options: TenantAgentOptions, closing: ClosingOrder): Promise<void> {
  const { clusterId, keyRing, keysDirectory, store, facts, tokens, methods, env, clock, random, log } = options;
  const metrics = createPrometheusMetrics();
  options.metrics.open(metrics);
  const keys = keyRing.ring;
  const { cluster, simulatedNodes } = await openOwnCluster(options, closing);
  // The embedded cluster issues no tokens.
  const reviewed = env["EMBEDDED_CLUSTER_DIR"] ? {} : { authenticateToken: tokens.authenticate };
  tokens.open(tokenReviews({ cluster, clock, log }));
  const answering = closing.stage("webhook");
  const webhook = await startWebhook(methods, reviewed, { ...options, signal: answering }, closing, metrics);

  const storeDirectory = env["WAL_PATH"] || "/var/lib/conductor/federation-wal";
  const agent = closing.stage("agent");
  const trail = startAuditTrail({ lane: facts, clock, random, log, metrics, signal: agent });
  closing.add(trail.closed);
  const packs: TenantPackParts = {
    clusterId,
    cluster,
    keys,
    floors: await FloorFile.open(join(storeDirectory, "pack-floors.json")),
    facts,
    held: new HeldPacks(await openOciLayout(join(storeDirectory, "packs"), clock)),
    receipts: new PackReceipts({ cluster, clusterId, clock, trail }),
    attempts: new PackAttempts(),
    clock,
    random,
    log,
  };
  const packHandler = new PackHandler(packs);
  const snapshots = { clusterId, cluster, store, facts, trail, surface: new SurfaceFacts(), clock, log };
  const snapshotHandler = new SnapshotHandler(snapshots);
  const rbac = startTenantRbac({ ...snapshots, materialise: materialises(options), random, signal: agent });
  closing.add(rbac.closed);
  const events = startEventRecorder({ cluster, component: "conductor", clock, random, log, signal: agent });
  closing.add(events.closed);
  closing.add(watchSnapshotStore({ ...snapshots, events, signal: agent }).closed);
  const drift = await startPackDrift({ ...packs, signal: agent });
  closing.add(drift.closed);
  const revocations = startTenantRevocations({ packs, snapshots: snapshotHandler, trail, signal: agent });
  closing.add(revocations.closed);
  closing.add(startStagedBatches({ cluster, facts, trail, clock, random, log, signal: agent }).closed);
  const mirror = await openGovernanceMirror({
    clusterId,
    cluster,
    path: join(storeDirectory, "governance.json"),
    trail,
    clock,
    random,
    log,
    signal: agent,
  });
  closing.add(mirror.closed);
  const status = startLocalStatus({
    clusterId,
    cluster,
    agent: { version: options.version, leader: leaderOf(options), capabilities: capabilitiesOf(options) },
    clock,
    random,
    log,
    signal: agent,
  });
  closing.add(status.closed);
  const spoke = await startSpoke({
    endpoints: hubEndpoints(options),
    ...(env["FEDERATION_SERVER_NAME"] ? { serverName: env["FEDERATION_SERVER_NAME"] } : {}),
    tls: () =>
      loadTlsFiles({
        caFile: required(env, "FEDERATION_CA_CERT_PATH", "federation CA bundle"),
        certificateFile: required(env, "FEDERATION_CLIENT_CERT_PATH", "client certificate of this agent"),
        privateKeyFile: required(env, "FEDERATION_CLIENT_KEY_PATH", "its private key"),
      }),
    cluster: clusterId,
    agentVersion: options.version,
    store: { directory: storeDirectory, ...auditCap(options) },
    keys,
    trustedKeyIds: keyRing.ring.keyIds,
    // Refusals of snapshots are told by their handler, which knows more of them.
    handlers: [
      auditedHandler(packHandler, trail),
      auditedHandler(new CorrectionHandler(packs, packHandler), trail),
      snapshotHandler,
      auditedHandler(new GovernanceHandler({ keys, floors: packs.floors, mirror }), trail),
    ],
    events: spokeEvents(packs, revocations, status, refusedIndexes(clusterId, trail)),
    clock,
    random,
    log,
    metrics,
    signal: agent,
  });
  facts.open(spoke.outbox);
  if (spills(options))
    closing.add(
      startAuditSpill({ clusterId, cluster, outbox: spoke.auditLog, facts, clock, random, log, metrics, signal: agent })
        .closed,
    );
  closing.add(spoke.closed);
  await declare(facts, options, simulatedNodes);

  const looking = closing.stage("ops");
  const ops = await startTenantOps({
    http: listenAddress(env, "METRICS_ADDR", ":8080"),
    metrics,
    readiness: [
      { name: "signing-keys", check: () => (keys.empty ? `no trusted key in ${keysDirectory}` : undefined) },
      { name: "agent-store", check: () => storeReadiness(spoke) },
    ],
    handlers: [clearTextPermissions({ methods, ...reviewed, log: log.child({ component: "ops" }), signal: looking })],
    log,
    signal: looking,
  });
  closing.add(ops.closed);
  log.info({ webhook: webhook?.port, http: ops.httpPort }, "tenant is up");
}

/** The HTTP forms of PermissionService, when a certificate for them is given. */
async function startWebhook(
  methods: PermissionMethods,
  tokens: Pick<PermissionHttpOptions, "authenticateToken">,
  options: AgentOptions,
  closing: ClosingOrder,
  metrics: PermissionHttpOptions["metrics"],
): Promise<PermissionHttp | undefined> {
  const { env, clock, log, signal } = options;
  if (!env["WEBHOOK_TLS_CERT_PATH"]) {
    log.info({ variable: "WEBHOOK_TLS_CERT_PATH" }, "no certificate for webhooks: port 8443 is not served");
    return undefined;
  }
  const tls = await watchedTls(options, closing, signal, {
    caFile: env["WEBHOOK_CA_CERT_PATH"] || required(env, "PERMISSION_SERVICE_CA_CERT_PATH", "CA bundle of callers"),
    certificateFile: env["WEBHOOK_TLS_CERT_PATH"],
    privateKeyFile: required(env, "WEBHOOK_TLS_KEY_PATH", "private key of the webhooks"),
  });
  const { startPermissionHttp } = await import("../permissions/http/start-permission-http.ts");
  const webhook = await startPermissionHttp({
    ...listenAddress(env, "WEBHOOK_ADDR", ":8443"),
    tls,
    methods,
    ...tokens,
    clock,
    ...(metrics !== undefined && { metrics }),
    log: log.child({ component: "webhook" }),
    signal,
  });
  closing.add(webhook.closed);
  return webhook;
}

function hubEndpoints(options: AgentOptions): readonly string[] {
  required(options.env, "MGMT_FEDERATION_ADDR", "host:port of the hub");
  return list(options.env, "MGMT_FEDERATION_ADDR");
}

/** @throws SeamError `EnvironmentInvalid` */
function materialises({ env }: AgentOptions): boolean {
  const text = env["RBAC_MATERIALIZATION"] || "enforce";
  if (text === "enforce" || text === "off") return text === "enforce";
  throw new SeamError({
    reason: "EnvironmentInvalid",
    object: "environment variable RBAC_MATERIALIZATION",
    expected: `must be enforce or off, found ${JSON.stringify(text)}`,
    remedy: "off leaves the cluster's own RBAC alone and only reports how it differs",
  });
}

/** Whether audit events that wait for the hub are copied to the cluster. @throws SeamError `EnvironmentInvalid` */
function spills({ env }: AgentOptions): boolean {
  const text = env["AUDIT_SPILL"] || "on";
  if (text === "on" || text === "off") return text === "on";
  throw new SeamError({
    reason: "EnvironmentInvalid",
    object: "environment variable AUDIT_SPILL",
    expected: `must be on or off, found ${JSON.stringify(text)}`,
    remedy:
      "off keeps audit events that wait for the hub on the agent's disk alone; right for a disk that outlives its pod",
  });
}

function auditCap(options: AgentOptions): { readonly auditCapBytes?: number } {
  const text = options.env["WAL_MAX_BYTES"];
  if (!text) return {};
  const auditCapBytes = Number(text);
  if (Number.isSafeInteger(auditCapBytes) && auditCapBytes > 0) return { auditCapBytes };
  throw new SeamError({
    reason: "EnvironmentInvalid",
    object: "environment variable WAL_MAX_BYTES",
    expected: `must be a positive number of bytes, found ${JSON.stringify(text)}`,
  });
}

function storeReadiness(spoke: Spoke): string | undefined {
  return spoke.status().session === undefined ? "the agent's store is being read back" : undefined;
}

/** What a tenant's agent can do: it applies and verifies; Jobs run on management only. */
async function declare(facts: LateFacts, options: AgentOptions, simulatedNodes: boolean): Promise<void> {
  await facts.capability({
    agentVersion: options.version,
    agentLeader: leaderOf(options),
    capabilities: capabilitiesOf(options).map((capability) => create(CapabilitySchema, capability)),
    talosVersionsObserved: [],
    kubernetesVersionsObserved: [],
    simulatedNodes,
  });
}

function leaderOf({ env }: AgentOptions): string {
  return env["POD_NAME"] ?? hostname();
}

function capabilitiesOf({ version }: AgentOptions): readonly RunnerCapability[] {
  return Object.entries(AGENT_CAPABILITIES).map(([name, description]) => ({ name, version, description }));
}

function spokeEvents(
  packs: TenantPackParts,
  revocations: Pick<SpokeEvents, "revoke" | "enforceFloors">,
  status: LocalStatus,
  indexRefused: NonNullable<SpokeEvents["indexRefused"]>,
): SpokeEvents {
  return {
    indexRefused,
    driftUpdate: new DriftFeedback(packs).update,
    revoke: revocations.revoke,
    enforceFloors: revocations.enforceFloors,
    indexFreshness: () => {},
    channel: ({ connected, reason }) => status.channel({ connected, reason }),
    auditLog: (state) => status.auditLog(state),
  };
}

/** The audit log hears of a refused index once, however often the hub offers it. */
function refusedIndexes(clusterId: string, trail: AuditTrail): NonNullable<SpokeEvents["indexRefused"]> {
  let last = "";
  return ({ sequence, code }) => {
    const now = `${sequence} ${code}`;
    if (now === last) return;
    last = now;
    void trail.record({
      action: "signature.rejected",
      decision: "deny",
      subject: `cluster:${clusterId}`,
      resource: "federation index",
      code,
      details: { sequence },
    });
  };
}
