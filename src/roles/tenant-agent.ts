import { startTenantOps } from "../ops/start-tenant-ops.ts";
import { clearTextPermissions } from "../permissions/http/clear-text-permissions.ts";
import type { PermissionHttp, PermissionHttpOptions } from "../permissions/http/start-permission-http.ts";
import type { PermissionMethods } from "../permissions/service/permission-handlers.ts";
import { tokenReviews } from "../permissions/service/token-review.ts";
import type { AgentOptions } from "./agent-options.ts";
import type { ClosingOrder } from "./closing.ts";
import { listenAddress, required } from "./environment.ts";
import { openOwnCluster } from "./own-cluster.ts";
import type { LateFacts } from "./late-facts.ts";
import type { LateMetrics } from "./late-metrics.ts";
import type { LateTokens } from "./late-tokens.ts";
import { watchedTls } from "./watched-tls.ts";
import { createPrometheusMetrics } from "../ops/metrics/prometheus-metrics.ts";
import type { SnapshotStore } from "../permissions/store/snapshot-store.ts";
import type { KeyRingDirectory } from "../trust/keyring/key-ring-directory.ts";
import { isFollower } from "./tenant-replica.ts";
import { type TenantLeader, leadTenant } from "./tenant-leader.ts";

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
  const { keyRing, keysDirectory, facts, tokens, methods, env, clock, log } = options;
  const metrics = createPrometheusMetrics();
  options.metrics.open(metrics);
  const keys = keyRing.ring;
  const { cluster, simulatedNodes } = await openOwnCluster(options, closing);
  // The embedded cluster issues no tokens.
  const reviewed = env["EMBEDDED_CLUSTER_DIR"] ? {} : { authenticateToken: tokens.authenticate };
  tokens.open(tokenReviews({ cluster, clock, log }));
  const answering = closing.stage("webhook");
  const webhook = await startWebhook(methods, reviewed, { ...options, signal: answering }, closing, metrics);

  const looking = closing.stage("ops");
  let leader: TenantLeader | undefined;
  const ops = await startTenantOps({
    http: listenAddress(env, "METRICS_ADDR", ":8080"),
    metrics,
    readiness: [
      { name: "signing-keys", check: () => (keys.empty ? `no trusted key in ${keysDirectory}` : undefined) },
      { name: "agent-store", check: () => (leader === undefined ? "the agent starts" : leader.readiness()) },
    ],
    handlers: [clearTextPermissions({ methods, ...reviewed, log: log.child({ component: "ops" }), signal: looking })],
    log,
    signal: looking,
  });
  closing.add(ops.closed);

  const agent = closing.stage("agent");
  const parts = { ...options, cluster, simulatedNodes, metrics, signal: agent };
  if (isFollower(env)) {
    const { followTenant } = await import("./tenant-follower.ts");
    leader = await followTenant(parts);
  } else leader = await leadTenant(parts);
  closing.add(leader.closed);
  facts.logState = () => leader?.auditLog();
  facts.replicaState = () => leader?.replica();
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
