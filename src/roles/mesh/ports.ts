import { createServer } from "node:net";
import { SeamError } from "../../base/errors.ts";

/** Documented ports (docs/state-directory.md); `--port-offset` shifts them all. */
const BASE = { api: 6443, federation: 9443, internal: 9444, ops: 8080, permission: 50051, webhook: 8443 } as const;

/** Highest number of tenants of one mesh. */
export const MAX_TENANTS = 50;

/** Highest number of hub replicas of one mesh. */
export const MAX_HUB_REPLICAS = 5;
/** Ports of a further replica are so much higher: beyond those of the tenants. */
const REPLICA_STEP = 100;

/** Ports of one hub replica. */
export interface HubPorts {
  readonly federation: number;
  readonly internal: number;
  readonly ops: number;
}

/** Ports of the management side: its API server, and its hub when there is one. */
export interface ManagementPorts extends HubPorts {
  readonly api: number;
}

/** Ports of one tenant process. */
export interface TenantPorts {
  readonly api: number;
  readonly permission: number;
  readonly webhook: number;
  readonly ops: number;
}

/** Ports of management: the documented ones, shifted. */
export function managementPorts(offset: number): ManagementPorts {
  return { api: BASE.api + offset, ...hubPorts(1, offset) };
}

/** Ports of hub replica `index` (from 1): the documented ones, and 100 higher for each further replica. */
export function hubPorts(index: number, offset: number): HubPorts {
  const shift = offset + (index - 1) * REPLICA_STEP;
  return { federation: BASE.federation + shift, internal: BASE.internal + shift, ops: BASE.ops + shift };
}

/** Name of hub replica `index` (from 1), when there are several. */
export function hubReplicaName(index: number): string {
  return `hub-${index}`;
}

/** Names of the hub's processes when there are several; none when management itself is the hub. */
export function hubReplicaNames(count: number): readonly string[] {
  return count <= 1 ? [] : Array.from({ length: count }, (_, at) => hubReplicaName(at + 1));
}

/** Ports of tenant `index` (from 1): 50051+i-1 for its PermissionService, the documented port + i for the others. */
export function tenantPorts(index: number, offset: number): TenantPorts {
  return {
    api: BASE.api + index + offset,
    permission: BASE.permission + index - 1 + offset,
    webhook: BASE.webhook + index + offset,
    ops: BASE.ops + index + offset,
  };
}

/** A port with who wants it. */
export interface PortClaim {
  readonly port: number;
  readonly owner: string;
}

/** All claims of a mesh. */
export function portClaims(tenants: readonly string[], offset: number, hubReplicas = 1): readonly PortClaim[] {
  const claims: PortClaim[] = [{ port: managementPorts(offset).api, owner: "management Kubernetes API" }];
  for (let index = 1; index <= hubReplicas; index++) {
    const ports = hubPorts(index, offset);
    const owner = hubReplicas === 1 ? "management" : hubReplicaName(index);
    claims.push(
      { port: ports.federation, owner: `${owner} federation hub` },
      { port: ports.internal, owner: `${owner} FleetService` },
      { port: ports.ops, owner: `${owner} status page and metrics` },
    );
  }
  for (const [at, name] of tenants.entries()) {
    const ports = tenantPorts(at + 1, offset);
    claims.push(
      { port: ports.api, owner: `${name} Kubernetes API` },
      { port: ports.permission, owner: `${name} PermissionService` },
      { port: ports.webhook, owner: `${name} webhooks` },
      { port: ports.ops, owner: `${name} health and metrics` },
    );
  }
  return claims;
}

/**
 * Checks that every claimed port of the loopback interface is free.
 *
 * @throws SeamError `PortBusy` naming port, owner and the flag that helps; `PortRange` when the offset leaves the valid range
 */
export async function requireFreePorts(claims: readonly PortClaim[]): Promise<void> {
  const highest = Math.max(...claims.map((claim) => claim.port));
  if (highest > 65_535 || claims.some((claim) => claim.port < 1)) {
    throw new SeamError({
      reason: "PortRange",
      object: "flag --port-offset",
      expected: `must keep every port in 1–65535; the highest would be ${highest}`,
      remedy: "choose a smaller offset",
    });
  }
  const seen = new Map<number, string>();
  for (const { port, owner } of claims) {
    const other = seen.get(port);
    if (other !== undefined) throw busy(port, owner, `the ${other} of this mesh takes it too`);
    seen.set(port, owner);
  }
  for (const { port, owner } of claims) {
    if (!(await isFree(port))) throw busy(port, owner, "it is in use");
  }
}

function busy(port: number, owner: string, why: string): SeamError {
  return new SeamError({
    reason: "PortBusy",
    object: `port ${port}`,
    expected: `must be free for the ${owner}, but ${why}`,
    remedy: `stop what uses it (ss -tanp "sport = :${port}" shows it), or shift all ports of this mesh with --port-offset N`,
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(false);
      else reject(error);
    });
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
