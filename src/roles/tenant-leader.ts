import { hostname } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { CapabilitySchema } from "../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { AuditTrail } from "../api/audit-record.ts";
import type { RunnerCapability } from "../api/kinds/runner-config.ts";
import { aborted } from "../base/aborted.ts";
import { SeamError, errorMessage } from "../base/errors.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { startEventRecorder } from "../controller/events.ts";
import { AGENT_CAPABILITIES } from "../federation/capability/agent-capability.ts";
import { startAuditTrail } from "../federation/audit/audit-trail.ts";
import { REOPEN_MS } from "../federation/outbox/reopening-outbox.ts";
import { MAX_EVENTS_IN_MEMORY } from "../base/waiting-events.ts";
import { startStagedBatches } from "../federation/spoke/audit/staged-batches.ts";
import { startAuditSpill } from "../federation/spoke/audit/audit-spill.ts";
import { auditedHandler } from "../federation/spoke/items/audited-handler.ts";
import { HeldPacks } from "../federation/spoke/items/pack/held-packs.ts";
import { GovernanceHandler } from "../federation/spoke/items/governance/governance-handler.ts";
import { openGovernanceMirror } from "../federation/spoke/items/governance/governance-mirror.ts";
import { auditLogReadiness } from "../federation/spoke/status/audit-log-readiness.ts";
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
import { FollowerDirectory } from "../federation/spoke/replicas/follower-directory.ts";
import { startTenantRevocations } from "../federation/spoke/revocations/tenant-revocations.ts";
import { type Spoke, startSpoke } from "../federation/spoke/start-spoke.ts";
import { openOciLayout } from "../packs/store/oci-layout.ts";
import type { DecisionLogState, ReplicaState } from "../permissions/service/status-answer.ts";
import type { SnapshotStore } from "../permissions/store/snapshot-store.ts";
import { FloorFile } from "../trust/floors/floor-file.ts";
import type { KeyRingDirectory } from "../trust/keyring/key-ring-directory.ts";
import { loadTlsFiles } from "../trust/tls/tls-material.ts";
import type { AgentOptions } from "./agent-options.ts";
import { ClosingOrder } from "./closing.ts";
import { list, required } from "./environment.ts";
import type { LateFacts } from "./late-facts.ts";
import { type TenantStore, openTenantStore } from "./tenant-store.ts";

/** What the agent builds on. Its signal ends it. */
export interface TenantLeaderOptions extends AgentOptions {
  readonly clusterId: string;
  /** The tenant cluster. */
  readonly cluster: Cluster;
  readonly simulatedNodes: boolean;
  readonly keyRing: KeyRingDirectory;
  readonly store: SnapshotStore;
  /** Opened by the spoke's outbox. */
  readonly facts: LateFacts;
  readonly metrics: Metrics;
}

/** The agent of a tenant at work. */
export interface TenantLeader {
  /** Why it is not ready; undefined when it is. */
  readiness(): string | undefined;
  auditLog(): DecisionLogState;
  /** Which of the tenant's replicas it is. */
  replica(): ReplicaState;
  /** Resolves when everything is released. */
  readonly closed: Promise<void>;
}

/**
 * The agent that dials the hub, verifies, applies and reports. A store that cannot be opened holds it up, and nothing else of the tenant:
 * questions are answered meanwhile, and the RunnerConfig says so.
 *
 * @throws SeamError for configuration or a state directory that cannot be used
 */
export async function leadTenant(options: TenantLeaderOptions): Promise<TenantLeader> {
  const { clusterId, cluster, facts, metrics, clock, random, log, signal } = options;
  checkSettings(options);
  const closing = new ClosingOrder();
  const storing = closing.stage("store");
  let unavailable = false;
  const state = openTenantStore({
    directory: storeDirectoryOf(options),
    ...auditCap(options),
    facts,
    told: (condition) => {
      unavailable = condition.unavailable !== undefined;
      if (unavailable) status.channel({ connected: false, reason: "the agent's store cannot be opened" });
      status.auditLog(condition);
    },
    clock,
    random,
    log,
    signal: storing,
  });
  closing.add(state.health.closed);
  const working = closing.stage("agent");
  const trail = startAuditTrail({
    lane: facts,
    maxWaiting: () => (unavailable ? Math.max(0, MAX_EVENTS_IN_MEMORY - facts.waiting) : undefined),
    clock,
    random,
    log,
    metrics,
    signal: working,
  });
  closing.add(trail.closed);
  const status = startLocalStatus({
    clusterId,
    cluster,
    agent: { version: options.version, leader: leaderOf(options), capabilities: capabilitiesOf(options) },
    clock,
    random,
    log,
    signal: working,
  });
  closing.add(status.closed);
  let spoke: Spoke | undefined;
  const compose = async (): Promise<void> => {
    const inner = new ClosingOrder();
    try {
      spoke = await composeAgent({ ...options, signal: working }, { trail, status, state }, inner);
      closing.add(inner.closeOn(working, log));
    } catch (error) {
      await inner.closeOn(AbortSignal.abort(error), log);
      throw error;
    }
  };
  const late = async (): Promise<void> => {
    await Promise.race([state.outbox.opened, aborted(working)]);
    while (!working.aborted)
      try {
        await compose();
        return;
      } catch (error) {
        log.error({ error: errorMessage(error), againInMs: REOPEN_MS }, "the agent could not be started");
        await clock.sleep(REOPEN_MS, working).catch(() => {
          // the agent stops
        });
      }
  };
  try {
    if (await state.outbox.triedOnce) await compose();
    else closing.add(late());
  } catch (error) {
    await closing.closeOn(AbortSignal.abort(error), log);
    await state.outbox.close();
    throw error;
  }
  return {
    readiness: () => auditLogReadiness(state.health.state(), spoke),
    auditLog: () => state.health.state(),
    replica: () => ({ name: leaderOf(options), leads: true, leader: leaderOf(options) }),
    // A store that no spoke took over is closed here.
    closed: closing.closeOn(signal, log).then(() => state.outbox.close()),
  };
}

interface ComposedParts {
  readonly trail: AuditTrail;
  readonly status: LocalStatus;
  readonly state: TenantStore;
}

/** Everything that needs the agent's folder. */
async function composeAgent(
  options: TenantLeaderOptions,
  { trail, status, state }: ComposedParts,
  closing: ClosingOrder,
): Promise<Spoke> {
  const { clusterId, cluster, simulatedNodes, keyRing, store, facts, metrics, env, clock, random, log } = options;
  const keys = keyRing.ring;
  const storeDirectory = storeDirectoryOf(options);
  const agent = closing.stage("agent");
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
  const followers = new FollowerDirectory({ clusterId, cluster, clock, random, log, signal: agent });
  closing.add(followers.closed);
  const surface = new SurfaceFacts();
  const replica = leaderOf(options);
  const snapshots = { clusterId, cluster, store, facts, trail, surface, replica, followers, clock, log };
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
    store: { outbox: state.outbox, ...auditCap(options) },
    keys,
    trustedKeyIds: keyRing.ring.keyIds,
    // Refusals of snapshots are told by their handler, which knows more of them.
    handlers: [
      auditedHandler(packHandler, trail),
      auditedHandler(new CorrectionHandler(packs, packHandler), trail),
      snapshotHandler,
      auditedHandler(new GovernanceHandler({ keys, floors: packs.floors, mirror }), trail),
    ],
    events: spokeEvents(packs, revocations, { status, state }, refusedIndexes(clusterId, trail)),
    clock,
    random,
    log,
    metrics,
    signal: agent,
  });
  facts.open(spoke.outbox);
  const handedOver = (): boolean => followers.known > 0;
  if (spills(options))
    closing.add(
      startAuditSpill({
        clusterId,
        cluster,
        outbox: spoke.auditLog,
        facts,
        handedOver,
        clock,
        random,
        log,
        metrics,
        signal: agent,
      }).closed,
    );
  closing.add(spoke.closed);
  await declare(facts, options, simulatedNodes);
  return spoke;
}

/** Folder of the agent's store. */
export function storeDirectoryOf({ env }: AgentOptions): string {
  return env["WAL_PATH"] || "/var/lib/conductor/federation-wal";
}

/** What is said wrongly is said at once, whatever the store is like. @throws SeamError */
function checkSettings(options: AgentOptions): void {
  hubEndpoints(options);
  materialises(options);
  spills(options);
  auditCap(options);
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

/** Cap of the audit log, when one is set. @throws SeamError `EnvironmentInvalid` */
export function auditCap(options: AgentOptions): { readonly auditCapBytes?: number } {
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

/** Name of this process. */
export function leaderOf({ env }: AgentOptions): string {
  return env["POD_NAME"] ?? hostname();
}

function capabilitiesOf({ version }: AgentOptions): readonly RunnerCapability[] {
  return Object.entries(AGENT_CAPABILITIES).map(([name, description]) => ({ name, version, description }));
}

function spokeEvents(
  packs: TenantPackParts,
  revocations: Pick<SpokeEvents, "revoke" | "enforceFloors">,
  { status, state }: Pick<ComposedParts, "status" | "state">,
  indexRefused: NonNullable<SpokeEvents["indexRefused"]>,
): SpokeEvents {
  return {
    indexRefused,
    driftUpdate: new DriftFeedback(packs).update,
    revoke: revocations.revoke,
    enforceFloors: revocations.enforceFloors,
    indexFreshness: () => {},
    channel: ({ connected, reason }) => status.channel({ connected, reason }),
    auditLog: (pressure) => state.health.pressure(pressure),
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
