import type { DevelopmentTrustPaths, TlsFiles } from "../../trust/ca/development-trust-paths.ts";
import type { MeshLayout } from "./layout.ts";
import { managementPorts, tenantPorts } from "./ports.ts";
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
}

function embedded(directory: string, port: number, server: TlsFiles): Record<string, string> {
  return {
    EMBEDDED_CLUSTER_DIR: directory,
    EMBEDDED_API_ADDR: `${LOOPBACK}:${port}`,
    EMBEDDED_API_CA_CERT_PATH: server.ca,
    EMBEDDED_API_CERT_PATH: server.certificate,
    EMBEDDED_API_KEY_PATH: server.key,
    EMBEDDED_SIMULATED_NODES: "true",
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
    AUDIT_SINK_DIR: join(layout.management, "audit"),
    OPERATORS_CONTROLLERS: "dispatcher",
    ...embedded(join(layout.management, "cluster"), ports.api, trust.apiServer),
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
    METRICS_ADDR: `${LOOPBACK}:${ports.ops}`,
    MGMT_FEDERATION_ADDR: `${LOOPBACK}:${managementPorts(plan.portOffset).federation}`,
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
    ...embedded(join(directory, "cluster"), ports.api, trust.apiServer),
  };
}
