import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { SeamError, errorMessage } from "../base/errors.ts";
import { startPermissionService } from "../permissions/service/start-permission-service.ts";
import { openSnapshotStore } from "../permissions/store/snapshot-store.ts";
import { startKeyRingDirectory } from "../trust/keyring/key-ring-directory.ts";
import { refuseSigningKeyOnTenant } from "../trust/keyring/signing-key.ts";
import type { AgentOptions, RunningAgent } from "./agent-options.ts";
import { ClosingOrder } from "./closing.ts";
import { decisionLog } from "./decision-log.ts";
import { RoleViolation, listenAddress, required } from "./environment.ts";
import { LateFacts } from "./late-facts.ts";
import { LateMetrics } from "./late-metrics.ts";
import { LateTokens } from "./late-tokens.ts";
import { MIRROR_AWAITED, isFollower } from "./tenant-replica.ts";
import { watchedTls } from "./watched-tls.ts";

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
  const metrics = new LateMetrics();

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
  if (isFollower(env)) store.withhold(MIRROR_AWAITED);
  keysChanged = () => {
    store
      .reverify()
      .catch((error: unknown) => log.error({ error: errorMessage(error) }, "the held snapshot was not looked at"));
  };

  const answering = closing.stage("permission service");
  const tokens = new LateTokens(clock);
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
    facts: { auditLog: () => facts.logState(), replica: () => facts.replicaState() },
    ...(await decisionLog(env)),
    // The embedded cluster issues no tokens.
    ...(env["EMBEDDED_CLUSTER_DIR"] ? {} : { authenticateToken: tokens.authenticate }),
    ...(env["PERMISSION_SERVICE_SOCKET"] ? { socket: env["PERMISSION_SERVICE_SOCKET"] } : {}),
    clock,
    random,
    metrics,
    log: log.child({ component: "permission-service" }),
    signal: answering,
  });
  closing.add(service.closed);
  log.info(
    { permissionService: service.port, freshness: store.state().freshness },
    "answering; the rest of the tenant follows",
  );

  // Loaded when questions are already answered: most of a tenant's code has nothing to do with them, and loading it holds up whoever
  // waited for this process to come back.
  await clock.sleep(REST_AFTER_MS, options.signal).catch(() => {
    // stopped already; what follows sees the signal as well
  });
  const { startTenantAgent } = await import("./tenant-agent.ts");
  await startTenantAgent(
    { ...options, clusterId, keyRing, keysDirectory, store, facts, tokens, metrics, methods: service.methods },
    closing,
  );
}

/** Head start of those who waited for answers, milliseconds. */
const REST_AFTER_MS = 50;

/** INV-026 at the earliest point. @throws RoleViolation */
async function refusePrivateKey(keysDirectory: string): Promise<void> {
  try {
    await refuseSigningKeyOnTenant((await readdir(keysDirectory)).map((name) => join(keysDirectory, name)));
  } catch (error) {
    if (error instanceof SeamError && error.reason === "InvariantViolation") throw new RoleViolation(error.message);
    throw error;
  }
}
