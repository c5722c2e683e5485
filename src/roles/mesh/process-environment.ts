import type { DevelopmentTrustPaths, TlsFiles } from "../../trust/ca/development-trust-paths.ts";
import type { MeshLayout } from "./layout.ts";
import { type HubPorts, hubPorts, hubReplicaName, managementPorts, tenantPorts } from "./ports.ts";
import { join } from "node:path";
import { HUB_SERVER_NAME } from "../../trust/ca/development-trust.ts";

/** Name of the management cluster of a mesh. */
export const MANAGEMENT = "management";
const LOOPBACK = "127.0.0.1";

/** What each process of a mesh is told: the variables of docs/configuration.md, and nothing of the parent's but PATH and HOME. */
export interface MeshPlan {
  readonly layout: MeshLayout;
  readonly trust: DevelopmentTrustPaths;
  readonly tenants: readonly string[];
  readonly portOffset: number;
  /** 1: the management process is the hub. More: it serves the management cluster, and each replica is a process of its own. */
  readonly hubReplicas: number;
  /** PostgreSQL of the audit sink; absent: SQLite, which serves one replica. */
  readonly auditSinkUrl?: string;
  /** Clusters with an API server of their own, with the kubeconfig of each. */
  readonly external: ReadonlyMap<string, string>;
  /** Stands in for the nodes of external clusters, which have none. */
  readonly simulateNodes: boolean;
}

/** Period of heartbeats of several replicas, milliseconds: one that hangs is left after some 6 s. */
const REPLICA_HEARTBEAT_MS = 2_000;

/** Where the process of a cluster finds it: an API server elsewhere, or an embedded one that it serves itself. */
function clusterEnvironment(
  plan: MeshPlan,
  name: string,
  directory: string,
  port: number,
  server: TlsFiles,
): Record<string, string> {
  const kubeconfig = plan.external.get(name);
  if (kubeconfig !== undefined) return { KUBECONFIG: kubeconfig, SIMULATED_NODES: String(plan.simulateNodes) };
  return {
    EMBEDDED_CLUSTER_DIR: directory,
    EMBEDDED_API_ADDR: `${LOOPBACK}:${port}`,
    EMBEDDED_API_CA_CERT_PATH: server.ca,
    EMBEDDED_API_CERT_PATH: server.certificate,
    EMBEDDED_API_KEY_PATH: server.key,
    SIMULATED_NODES: "true",
  };
}

/** Environment of the management process. */
export function managementEnvironment(plan: MeshPlan): Record<string, string> {
  const { layout, trust } = plan;
  const ports = managementPorts(plan.portOffset);
  return {
    CONDUCTOR_ROLE: "management",
    CLUSTER_REF: MANAGEMENT,
    POD_NAME: `${MANAGEMENT}-0`,
    NODE_COMPILE_CACHE: layout.compileCache,
    ...(plan.hubReplicas > 1 ? { HUB_REPLICA: "off" } : hubEnvironment(plan, ports, MANAGEMENT)),
    ...clusterEnvironment(plan, MANAGEMENT, join(layout.management, "cluster"), ports.api, trust.apiServer),
  };
}

/** Environment of the process of hub replica `index` (from 1), when there are several. */
export function replicaEnvironment(plan: MeshPlan, index: number): Record<string, string> {
  const ports = hubPorts(index, plan.portOffset);
  return {
    CONDUCTOR_ROLE: "management",
    CLUSTER_REF: MANAGEMENT,
    POD_NAME: hubReplicaName(index),
    NODE_COMPILE_CACHE: plan.layout.compileCache,
    KUBECONFIG: plan.layout.hubKubeconfig,
    FEDERATION_ADVERTISE_ADDR: `${LOOPBACK}:${ports.federation}`,
    FEDERATION_HEARTBEAT_MS: String(REPLICA_HEARTBEAT_MS),
    INTERNAL_ADVERTISE_ADDR: `${LOOPBACK}:${ports.internal}`,
    INTERNAL_PEER_CERT_PATH: plan.trust.operator.certificate,
    INTERNAL_PEER_KEY_PATH: plan.trust.operator.key,
    ...hubEnvironment(plan, ports, hubReplicaName(index)),
  };
}

function hubEnvironment(
  { layout, trust, auditSinkUrl }: MeshPlan,
  ports: HubPorts,
  name: string,
): Record<string, string> {
  return {
    WAL_PATH: join(layout.management, "own-audit", name),
    METRICS_ADDR: `${LOOPBACK}:${ports.ops}`,
    FEDERATION_PORT: `${LOOPBACK}:${ports.federation}`,
    FEDERATION_CA_CERT_PATH: trust.hub.ca,
    FEDERATION_SERVER_CERT_PATH: trust.hub.certificate,
    FEDERATION_SERVER_KEY_PATH: trust.hub.key,
    INTERNAL_PORT: `${LOOPBACK}:${ports.internal}`,
    INTERNAL_CA_CERT_PATH: trust.internal.ca,
    INTERNAL_SERVER_CERT_PATH: trust.internal.certificate,
    INTERNAL_SERVER_KEY_PATH: trust.internal.key,
    SIGNING_PRIVATE_KEY_PATH: trust.signing.privateKey,
    SIGNING_PUBLIC_KEY_PATH: trust.signing.publicKey,
    SIGNING_KEYS_DIR: trust.signingKeys,
    PACK_STORE_DIR: layout.packs,
    ...(auditSinkUrl === undefined
      ? { AUDIT_SINK_DIR: join(layout.management, "audit") }
      : { AUDIT_SINK_URL: auditSinkUrl }),
    OPERATORS_CONTROLLERS: "dispatcher",
  };
}

/** Environment of the process of tenant `index` (from 1). */
export function tenantEnvironment(plan: MeshPlan, name: string, index: number): Record<string, string> {
  const { layout } = plan;
  const trust = plan.trust.tenants.get(name);
  if (trust === undefined) throw new Error(`no trust material for ${name}`);
  const ports = tenantPorts(index, plan.portOffset);
  const directory = layout.tenant(name);
  return {
    CONDUCTOR_ROLE: "tenant",
    CLUSTER_REF: name,
    POD_NAME: `${name}-0`,
    NODE_COMPILE_CACHE: layout.compileCache,
    METRICS_ADDR: `${LOOPBACK}:${ports.ops}`,
    MGMT_FEDERATION_ADDR: federationAddresses(plan, index).join(","),
    FEDERATION_SERVER_NAME: HUB_SERVER_NAME,
    FEDERATION_CA_CERT_PATH: trust.federation.ca,
    FEDERATION_CLIENT_CERT_PATH: trust.federation.certificate,
    FEDERATION_CLIENT_KEY_PATH: trust.federation.key,
    SIGNING_KEYS_DIR: trust.signingKeys,
    WAL_PATH: join(directory, "outbox"),
    SNAPSHOT_DIR: join(directory, "snapshots"),
    PERMISSION_SERVICE_ADDR: `${LOOPBACK}:${ports.permission}`,
    PERMISSION_SERVICE_CA_CERT_PATH: trust.permissionService.ca,
    PERMISSION_SERVICE_CERT_PATH: trust.permissionService.certificate,
    PERMISSION_SERVICE_KEY_PATH: trust.permissionService.key,
    WEBHOOK_ADDR: `${LOOPBACK}:${ports.webhook}`,
    WEBHOOK_CA_CERT_PATH: trust.webhook.ca,
    WEBHOOK_TLS_CERT_PATH: trust.webhook.certificate,
    WEBHOOK_TLS_KEY_PATH: trust.webhook.key,
    ...clusterEnvironment(plan, name, join(directory, "cluster"), ports.api, trust.apiServer),
  };
}

/** Where the agent of tenant `index` finds the hub: every replica, each tenant beginning with another one. */
function federationAddresses({ hubReplicas, portOffset }: MeshPlan, index: number): readonly string[] {
  return Array.from(
    { length: hubReplicas },
    (_, at) => `${LOOPBACK}:${hubPorts(1 + ((at + index - 1) % hubReplicas), portOffset).federation}`,
  );
}
