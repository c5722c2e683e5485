import { hostname } from "node:os";
import { aborted } from "../base/aborted.ts";
import { ItemReport_Level } from "../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { NAMESPACES } from "../api/names.ts";
import type { LeaderElection } from "../controller/lease.ts";
import { DEFAULT_RETENTION_DAYS, startAuditRetention } from "../federation/audit/audit-retention.ts";
import { tellConflicts } from "../federation/audit/conflict-trail.ts";
import { openOwnAuditLog } from "../federation/audit/own-audit-log.ts";
import { openAuditSink } from "../federation/audit/open-audit-sink.ts";
import { stagingSink } from "../federation/audit/staging/staging-sink.ts";
import { startDesiredStates } from "../federation/hub/desired-states/desired-states.ts";
import { hubDrift } from "../federation/hub/drift/hub-drift.ts";
import { watchSilentChannels } from "../federation/hub/mirror/silent-channels.ts";
import { createHubFactStore } from "../federation/hub/mirror/hub-fact-store.ts";
import { balanceLoad } from "../federation/hub/membership/balance-load.ts";
import { replicaOf } from "../federation/hub/membership/replica-record.ts";
import { startSessionOwnership } from "../federation/hub/ownership/session-ownership.ts";
import { startOwnershipSweep } from "../federation/hub/ownership/sweep-ownerships.ts";
import { answerRequests } from "../federation/hub/requests/answer-requests.ts";
import { startRetryOrders } from "../federation/hub/retries/retry-orders.ts";
import { startRevocationOutbox } from "../federation/hub/revocations/revocation-outbox.ts";
import type { HubView } from "../federation/hub/hub-view.ts";
import { DEFAULT_HUB_LIMITS, type HubLimits } from "../federation/hub/hub-options.ts";
import { startHub } from "../federation/hub/start-hub.ts";
import { startTenantDirectory } from "../federation/hub/tenant-directory/tenant-directory.ts";
import { startGovernance } from "../governance/start-governance.ts";
import type { ItemPositions } from "../governance/index/index-builder.ts";
import { startSnapshotSigning } from "../governance/snapshots/start-snapshot-signing.ts";
import { countedCluster } from "../cluster/counted-cluster.ts";
import { createPrometheusMetrics } from "../ops/metrics/prometheus-metrics.ts";
import { startOps } from "../ops/start-ops.ts";
import { openOciLayout } from "../packs/store/oci-layout.ts";
import { shortKeyId } from "../trust/dsse.ts";
import { startKeyRingDirectory } from "../trust/keyring/key-ring-directory.ts";
import { trustingOwnKey } from "../trust/keyring/own-key.ts";
import { loadSigner } from "../trust/keyring/signing-key.ts";
import { watchTlsFiles } from "../trust/tls/tls-material.ts";
import { auditSinkReadiness, auditSinkSettings, ownAuditDirectory, stagesAudit } from "./audit-sink.ts";
import type { AgentOptions, RunningAgent } from "./agent-options.ts";
import { ClosingOrder } from "./closing.ts";
import { type Environment, list, listenAddress, positiveNumber, required } from "./environment.ts";
import { permissionSettings, serveFleetPermissions } from "./fleet-permissions.ts";
import { openOwnCluster } from "./own-cluster.ts";
import { isFenced, startLeading } from "./leading.ts";
import { joinReplicas } from "./join-replicas.ts";
import { replicaPeers } from "./replica-peers.ts";
import { startOperators } from "./operators.ts";

/** Time over which agents are told to go at shutdown, milliseconds: `up` stops within 5 s. */
const LAME_DUCK_MS = 1_000;

/**
 * The management role: hub, signers and drift bookkeeping, what operators look at, and the operators that were asked to run in this
 * process. Every replica serves streams; signing follows the leader lease (architecture §6.4).
 *
 * @throws SeamError for configuration, keys or a state directory that cannot be used
 */
export async function startManagement(clusterId: string, options: AgentOptions): Promise<RunningAgent> {
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
  const own = await openOwnCluster(options, closing);
  if (env["HUB_REPLICA"] === "off") {
    log.info({}, "the management cluster is served; hub replicas are other processes");
    return;
  }
  const metrics = createPrometheusMetrics();
  const cluster = countedCluster(own.cluster, metrics);
  const parts = { cluster, clock, random, log };

  const data = closing.stage("data");
  const signer = await loadSigner({
    privateKeyPath: required(env, "SIGNING_PRIVATE_KEY_PATH", "the Ed25519 private key that signs desired state"),
    publicKeyPath: required(env, "SIGNING_PUBLIC_KEY_PATH", "its public half"),
  });
  const keyRing = await startKeyRingDirectory({
    paths: [required(env, "SIGNING_KEYS_DIR", "folder of trusted public keys")],
    clock,
    random,
    log,
    signal: data,
  });
  closing.add(keyRing.closed);
  const keys = trustingOwnKey(keyRing.ring, signer);
  if (keyRing.ring.key(signer.keyId) === undefined)
    log.error(
      { keyId: shortKeyId(signer.keyId), folder: env["SIGNING_KEYS_DIR"] },
      "the signing key is not among the trusted keys: tenants with the same keys refuse what is signed; install its public half",
    );
  const packs = await openOciLayout(required(env, "PACK_STORE_DIR", "OCI image layout of packs"), clock);
  const audit = await openAuditSink(auditSinkSettings(env), clock);
  for (const warning of audit.warnings) log.warn({ component: "audit-sink" }, warning);
  closing.add(closeWith(data, () => audit.close()));
  // What this process records of itself; stops before the sink, and after everything that records.
  const recording = closing.stage("own audit log");
  const trail = await openOwnAuditLog({
    cluster: clusterId,
    directory: ownAuditDirectory(env),
    sink: audit,
    clock,
    random,
    log,
    metrics,
    signal: recording,
  });
  closing.add(trail.closed);
  const told = tellConflicts(audit, { trail, metrics, clock, signal: recording });
  const staging = stagesAudit(env) ? stagingSink(told, { ...parts, metrics, signal: recording }) : undefined;
  if (staging !== undefined) closing.add(staging.closed);
  const working = closing.stage("caches");
  const retentionDays = positiveNumber(env, "AUDIT_RETENTION_DAYS", DEFAULT_RETENTION_DAYS);
  const replica = env["POD_NAME"] ?? hostname();
  // The hub and the election come later; until then nobody is connected and nobody leads.
  const later: { view?: HubView; election?: LeaderElection } = {};
  const joined = await joinReplicas({
    ...parts,
    env,
    replica,
    auditSink: audit.shared ?? `sqlite of ${replica}`,
    sessions: () => later.view?.connected ?? 0,
    metrics,
    signal: working,
  });
  const { membership, replicas } = joined;
  const [desired, directory, ownership, revocations, retries] = await Promise.all([
    startDesiredStates({ ...parts, packs, keys, metrics, signal: working }),
    startTenantDirectory({ ...parts, signal: working }),
    startSessionOwnership({ ...parts, owner: membership, metrics, signal: working }),
    startRevocationOutbox({ ...parts, signer, trail, signal: working }),
    startRetryOrders({ ...parts, signal: working }),
  ]);
  for (const part of [membership, replicas, desired, directory, ownership, revocations, retries])
    closing.add(part.closed);
  /** The living replica that owns a session, when it is another one. */
  const carriedElsewhere = (tenant: string): string | undefined => {
    const owner = replicas.byIdentity(ownership.owner(tenant)?.holder ?? "")?.replica;
    return owner === replica ? undefined : owner;
  };
  const drift = hubDrift({
    ...parts,
    degraded: (tenant) => later.view?.agent(tenant)?.connected !== true && carriedElsewhere(tenant) === undefined,
    leads: () => later.election !== undefined && isFenced(later.election),
    signal: working,
  });
  closing.add(drift.closed);
  const facts = createHubFactStore({ ...parts, drift: (tenant, report, fence) => drift.report(tenant, report, fence) });

  closing.add(startAuditRetention({ sink: audit, retentionDays, trail, clock, random, log, signal: working }).closed);

  const carrierOf = (tenant: string) => {
    const owner = ownership.owner(tenant);
    return owner === undefined ? undefined : { ...owner, holder: replicaOf(owner.holder) };
  };

  const serving = closing.stage("hub");
  const federation = listenAddress(env, "FEDERATION_PORT", ":9443");
  const hub = await startHub({
    ...parts,
    ...federation,
    tls: await watchedTls(options, closing, serving, "FEDERATION", "FEDERATION_SERVER"),
    replica,
    endpoints: [],
    desired,
    facts,
    audit: staging ?? told,
    directory,
    ownership,
    membership: joined.hub,
    revocations,
    retries,
    onChannel: (tenant, state) => facts.channel(tenant, state),
    onRequest: answerRequests({
      cluster,
      allowDevelopmentImages: env["ALLOW_DEVELOPMENT_IMAGES"] === "true",
      log: log.child({ component: "requests" }),
    }),
    messages: (tenant) => drift.updates(tenant),
    limits: {
      ...streamLimits(env),
      lameDuckMs: LAME_DUCK_MS,
      heartbeatIntervalMs: positiveNumber(env, "FEDERATION_HEARTBEAT_MS", DEFAULT_HUB_LIMITS.heartbeatIntervalMs),
    },
    metrics,
    signal: serving,
  });
  closing.add(hub.closed);
  later.view = hub.view;
  ownership.onLost((tenant, newOwner) => hub.release(tenant, replicas.byIdentity(newOwner)?.endpoint ?? ""));
  closing.add(balanceLoad({ ...parts, hub, replicas, signal: serving }));
  closing.add(
    watchSilentChannels({
      ...parts,
      replica,
      clusters: () => directory.clusters(),
      carries: (tenant) => hub.view.agent(tenant)?.connected === true,
      owner: (tenant) => carrierOf(tenant),
      alive: (name) => replicas.alive().some((each) => each.replica === name),
      leads: () => later.election !== undefined && isFenced(later.election),
      lost: (tenant, term, detail) => facts.channelLost(tenant, term, detail),
      signal: serving,
    }),
  );
  drift.subscribe((tenant, { key, message }) => hub.send(tenant, key, message));

  const settings = permissionSettings(env, clusterId);
  const permissions = await serveFleetPermissions({
    ...parts,
    env,
    settings,
    lane: trail.lane,
    metrics,
    signal: serving,
  });
  closing.add(permissions.closed);
  const leader = closing.stage("leader-only loops");
  const leading = startLeading(
    { ...parts, namespace: NAMESPACES.ont, name: `conductor-${clusterId}`, identity: replica, signal: leader },
    async (election, signal) => {
      const own = { ...parts, metrics, signer, keys, assertFenced: () => election.assertFenced(), signal };
      const itemPositions: ItemPositions = {
        read: async (tenant) =>
          (await facts.itemLevels(tenant)).map(({ kind, name, version, digest, level }) => ({
            kind,
            name,
            version: Number(version),
            digest,
            applied: level >= ItemReport_Level.APPLIED,
          })),
        forget: (tenant, items) => facts.forgetItems(tenant, items),
      };
      const sweep = startOwnershipSweep({ ...own, directory });
      const [governance, signing, operators] = await Promise.all([
        startGovernance({
          ...own,
          trail,
          packStore: packs,
          itemPositions,
          revocations,
        }),
        startSnapshotSigning({
          ...own,
          trail,
          ...settings,
          revocations: {
            minSequence: (tenant) =>
              revocations.floors(tenant).find(({ target }) => target === "PermissionSnapshot")?.floor ?? 0,
            subscribe: (listener) => revocations.subscribe(listener),
          },
        }),
        startOperators(list(env, "OPERATORS_CONTROLLERS"), own),
      ]);
      permissions.live.lead(signing.source, signal);
      return { ended: Promise.all([governance, signing, operators, sweep].map((each) => each.closed)) };
    },
  );
  closing.add(leading.closed);
  later.election = leading.election;

  const looking = closing.stage("ops");
  const peers = replicaPeers(env, replica, replicas);
  const ops = await startOps({
    ...parts,
    internal: {
      ...listenAddress(env, "INTERNAL_PORT", ":9444"),
      tls: await watchedTls(options, closing, looking, "INTERNAL", "INTERNAL_SERVER"),
    },
    http: listenAddress(env, "METRICS_ADDR", ":8080"),
    view: hub.view,
    desired,
    directory,
    revocations,
    retries,
    audit,
    trail,
    ownCluster: clusterId,
    permissions: permissions.methods,
    readiness: [auditSinkReadiness(audit, clock)],
    owner: carrierOf,
    ...(peers === undefined ? {} : { peers }),
    replicaAlive: (name) => replicas.alive().some((each) => each.replica === name),
    metrics,
    signal: looking,
  });
  closing.add(ops.closed);
  log.info({ federation: hub.port, internal: ops.internalPort, http: ops.httpPort }, "management is up");
}

async function watchedTls(
  options: AgentOptions,
  closing: ClosingOrder,
  signal: AbortSignal,
  ca: string,
  server: string,
) {
  const { env, clock, random, log } = options;
  const watched = await watchTlsFiles({
    files: {
      caFile: required(env, `${ca}_CA_CERT_PATH`, "CA bundle that clients are verified against"),
      certificateFile: required(env, `${server}_CERT_PATH`, "server certificate"),
      privateKeyFile: required(env, `${server}_KEY_PATH`, "its private key"),
    },
    clock,
    random,
    log,
    signal,
  });
  closing.add(watched.closed);
  return watched;
}

async function closeWith(signal: AbortSignal, close: () => Promise<void>): Promise<void> {
  await aborted(signal);
  await close();
}

/** What this replica takes in: fleets differ in size and replicas in cores. */
function streamLimits(env: Environment): Pick<HubLimits, "connections" | "admission"> {
  const { connections, admission } = DEFAULT_HUB_LIMITS;
  const perSecond = positiveNumber(env, "FEDERATION_ADMISSION_PER_SECOND", admission.perSecond);
  return {
    connections: {
      ...connections,
      maxConnections: positiveNumber(env, "FEDERATION_MAX_CONNECTIONS", connections.maxConnections ?? 0),
    },
    admission: { perSecond, burst: perSecond },
  };
}
