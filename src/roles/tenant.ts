import { readFile, readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { CapabilitySchema } from "../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { SeamError, errorMessage } from "../base/errors.ts";
import { startEventRecorder } from "../controller/events.ts";
import { HeldPacks } from "../federation/spoke/items/pack/held-packs.ts";
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
import { createPrometheusMetrics } from "../ops/metrics/prometheus-metrics.ts";
import { startTenantOps } from "../ops/start-tenant-ops.ts";
import { openOciLayout } from "../packs/store/oci-layout.ts";
import {
  type PermissionHttp,
  type PermissionHttpOptions,
  startPermissionHttp,
} from "../permissions/http/start-permission-http.ts";
import type { PermissionMethods } from "../permissions/service/permission-handlers.ts";
import { type DecisionLogPolicy, parseDecisionLogPolicy } from "../permissions/service/decision-log-policy.ts";
import { startPermissionService } from "../permissions/service/start-permission-service.ts";
import { tokenReviews } from "../permissions/service/token-review.ts";
import { openSnapshotStore } from "../permissions/store/snapshot-store.ts";
import { FloorFile } from "../trust/floors/floor-file.ts";
import { startKeyRingDirectory } from "../trust/keyring/key-ring-directory.ts";
import { refuseSigningKeyOnTenant } from "../trust/keyring/signing-key.ts";
import { type TlsFiles, loadTlsFiles, watchTlsFiles } from "../trust/tls/tls-material.ts";
import type { AgentOptions, RunningAgent } from "./agent-options.ts";
import { ClosingOrder } from "./closing.ts";
import { openOwnCluster } from "./embedded.ts";
import { RoleViolation, list, listenAddress, required } from "./environment.ts";
import { LateFacts } from "./late-facts.ts";

/**
 * The tenant role: PermissionService from the last verified snapshot, and the agent that dials the hub, verifies, applies and reports.
 * Everything but the delivery itself works without the hub.
 *
 * @throws SeamError for configuration, keys or a state directory that cannot be used
 * @throws RoleViolation when a signing private key lies among the trusted keys (INV-026)
 */
export async function startTenant(clusterId: string, options: AgentOptions): Promise<RunningAgent> {
  const closing = new ClosingOrder();
  try {
    await compose(clusterId, options, closing);
  } catch (error) {
    await closing.closeOn(AbortSignal.abort(error), options.log);
    throw error;
  }
  return { closed: closing.closeOn(options.signal, options.log) };
}

async function compose(clusterId: string, options: AgentOptions, closing: ClosingOrder): Promise<void> {
  const { env, clock, random, log } = options;
  const keysDirectory = required(env, "SIGNING_KEYS_DIR", "folder of trusted public keys");
  await refusePrivateKey(keysDirectory);
  const { cluster, simulatedNodes } = await openOwnCluster(options, closing);
  const metrics = createPrometheusMetrics();

  const data = closing.stage("data");
  let keysChanged = (): void => {};
  const keyRing = await startKeyRingDirectory({
    paths: [keysDirectory],
    clock,
    random,
    log,
    signal: data,
    onChange: () => keysChanged(),
  });
  closing.add(keyRing.closed);
  const keys = keyRing.ring;
  const facts = new LateFacts();
  const store = await openSnapshotStore({
    directory: env["SNAPSHOT_DIR"] || "/var/lib/conductor/snapshots",
    cluster: clusterId,
    keys,
    clock,
    log,
    signal: data,
  });
  closing.add(store.closed);
  keysChanged = () => {
    store
      .reverify()
      .catch((error: unknown) => log.error({ error: errorMessage(error) }, "the held snapshot was not looked at"));
  };

  const answering = closing.stage("permission service");
  // The embedded cluster issues no tokens.
  const tokens = env["EMBEDDED_CLUSTER_DIR"] ? {} : { authenticateToken: tokenReviews({ cluster, clock, log }) };
  const callers = await watchedTls(options, closing, answering, {
    caFile: required(env, "PERMISSION_SERVICE_CA_CERT_PATH", "CA bundle that callers are verified against"),
    certificateFile: required(env, "PERMISSION_SERVICE_CERT_PATH", "certificate of the PermissionService"),
    privateKeyFile: required(env, "PERMISSION_SERVICE_KEY_PATH", "its private key"),
  });
  const service = await startPermissionService({
    ...listenAddress(env, "PERMISSION_SERVICE_ADDR", ":50051"),
    tls: callers,
    store,
    cluster: clusterId,
    audit: facts,
    ...(await decisionLog(env)),
    ...tokens,
    clock,
    random,
    metrics,
    log: log.child({ component: "permission-service" }),
    signal: answering,
  });
  closing.add(service.closed);
  const webhook = await startWebhook(service.methods, tokens, { ...options, signal: answering }, closing, metrics);

  const storeDirectory = env["WAL_PATH"] || "/var/lib/conductor/federation-wal";
  const agent = closing.stage("agent");
  const packs: TenantPackParts = {
    clusterId,
    cluster,
    keys,
    floors: await FloorFile.open(join(storeDirectory, "pack-floors.json")),
    facts,
    held: new HeldPacks(await openOciLayout(join(storeDirectory, "packs"), clock)),
    receipts: new PackReceipts({ cluster, clusterId, clock }),
    attempts: new PackAttempts(),
    clock,
    random,
    log,
  };
  const packHandler = new PackHandler(packs);
  const snapshots = { clusterId, cluster, store, facts, surface: new SurfaceFacts(), clock, log };
  const snapshotHandler = new SnapshotHandler(snapshots);
  const rbac = startTenantRbac({ ...snapshots, materialise: materialises(options), random, signal: agent });
  closing.add(rbac.closed);
  const events = startEventRecorder({ cluster, component: "conductor", clock, random, log, signal: agent });
  closing.add(events.closed);
  closing.add(watchSnapshotStore({ ...snapshots, events, signal: agent }).closed);
  const drift = await startPackDrift({ ...packs, signal: agent });
  closing.add(drift.closed);
  const revocations = startTenantRevocations({ packs, snapshots: snapshotHandler, signal: agent });
  closing.add(revocations.closed);
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
    handlers: [packHandler, new CorrectionHandler(packs, packHandler), snapshotHandler],
    events: spokeEvents(packs, revocations, options),
    clock,
    random,
    log,
    metrics,
    signal: agent,
  });
  facts.open(spoke.outbox);
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
    log,
    signal: looking,
  });
  closing.add(ops.closed);
  log.info({ permissionService: service.port, webhook: webhook?.port, http: ops.httpPort }, "tenant is up");
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

async function watchedTls(options: AgentOptions, closing: ClosingOrder, signal: AbortSignal, files: TlsFiles) {
  const { clock, random, log } = options;
  const watched = await watchTlsFiles({ files, clock, random, log, signal });
  closing.add(watched.closed);
  return watched;
}

/** INV-026 at the earliest point. @throws RoleViolation */
async function refusePrivateKey(keysDirectory: string): Promise<void> {
  try {
    await refuseSigningKeyOnTenant((await readdir(keysDirectory)).map((name) => join(keysDirectory, name)));
  } catch (error) {
    if (error instanceof SeamError && error.reason === "InvariantViolation") throw new RoleViolation(error.message);
    throw error;
  }
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

/** @throws SeamError `FileUnreadable` or `AuditPolicyInvalid` */
async function decisionLog(env: AgentOptions["env"]): Promise<{ readonly decisionLog?: DecisionLogPolicy }> {
  const path = env["AUDIT_POLICY_PATH"];
  if (!path) return {};
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new SeamError(
      { reason: "FileUnreadable", object: path, expected: `a file this process may read: ${errorMessage(cause)}` },
      { cause },
    );
  }
  return { decisionLog: parseDecisionLogPolicy(text, path) };
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
  const capability = (name: string, description: string) =>
    create(CapabilitySchema, { name, version: options.version, description });
  await facts.capability({
    agentVersion: options.version,
    agentLeader: options.env["POD_NAME"] ?? hostname(),
    capabilities: [
      capability("drift-detection", "Compares the owned fields of delivered packs with what is on the cluster."),
      capability("pack-apply", "Verifies and applies signed packs by server-side apply."),
      capability("permission-service", "Answers authorization questions from the last verified snapshot."),
    ],
    talosVersionsObserved: [],
    kubernetesVersionsObserved: [],
    simulatedNodes,
  });
}

function spokeEvents(
  packs: TenantPackParts,
  revocations: Pick<SpokeEvents, "revoke" | "enforceFloors">,
  options: AgentOptions,
): SpokeEvents {
  return {
    driftUpdate: new DriftFeedback(packs).update,
    revoke: revocations.revoke,
    enforceFloors: revocations.enforceFloors,
    indexFreshness: () => {},
    channel: ({ connected, degraded, reason }) =>
      options.log.info({ connected, degraded, reason }, "federation channel"),
  };
}
