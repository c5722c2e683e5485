import { renameSync, writeFileSync } from "node:fs";
import { SeamError } from "../../base/errors.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import type { ExternalCluster } from "./external-cluster.ts";
import { type MeshLayout } from "./layout.ts";
import { MANAGEMENT } from "./process-environment.ts";
import { hubPorts, hubReplicaNames, managementPorts, tenantPorts } from "./ports.ts";

/** Where the parts of a running mesh are, as `up` writes it to `mesh.json` for the commands that look for it. */
export interface MeshSettings {
  /** FleetService as a gRPC target: host:port, or `ipv4:` with one host:port per hub replica, any of which answers. */
  readonly fleet: string;
  /** host:port of the federation hub; of the first replica when there are several. */
  readonly federation: string;
  /** URL of the status page. */
  readonly ops: string;
  /** URL of the management Kubernetes API. */
  readonly api: string;
  /** Processes of the hub when there are several; empty when management is the hub. */
  readonly hubReplicas: readonly string[];
  /** Clusters with an API server of their own; the others are embedded. */
  readonly external: readonly string[];
  readonly tenants: readonly TenantSettings[];
}

/** One tenant. */
export interface TenantSettings {
  readonly name: string;
  /** host:port of its PermissionService. */
  readonly permission: string;
  readonly ops: string;
  readonly api: string;
}

/** Settings of a mesh with these tenants. */
export function meshSettings(
  tenants: readonly string[],
  portOffset: number,
  hubReplicas = 1,
  external: ReadonlyMap<string, ExternalCluster> = new Map(),
): MeshSettings {
  const own = managementPorts(portOffset);
  const fleet = Array.from(
    { length: hubReplicas },
    (_, at) => `127.0.0.1:${hubPorts(at + 1, portOffset).internal}`,
  ).join(",");
  return {
    fleet: hubReplicas === 1 ? fleet : `ipv4:${fleet}`,
    hubReplicas: hubReplicaNames(hubReplicas),
    external: [...external.keys()],
    federation: `127.0.0.1:${own.federation}`,
    ops: `http://127.0.0.1:${own.ops}`,
    api: external.get(MANAGEMENT)?.server ?? `https://127.0.0.1:${own.api}`,
    tenants: tenants.map((name, at) => {
      const ports = tenantPorts(at + 1, portOffset);
      return {
        name,
        permission: `127.0.0.1:${ports.permission}`,
        ops: `http://127.0.0.1:${ports.ops}`,
        api: external.get(name)?.server ?? `https://127.0.0.1:${ports.api}`,
      };
    }),
  };
}

/** Writes the settings atomically. */
export function writeMeshSettings(layout: MeshLayout, settings: MeshSettings): void {
  writeFileSync(`${layout.settings}.tmp`, `${JSON.stringify(settings, undefined, 2)}\n`);
  renameSync(`${layout.settings}.tmp`, layout.settings);
}

/** Reads settings back. @throws SeamError `MeshSettingsInvalid` naming the field */
export function parseMeshSettings(value: JsonObject, file: string): MeshSettings {
  const text = (source: JsonObject, field: string): string => {
    const found = source[field];
    if (typeof found === "string") return found;
    throw new SeamError({
      reason: "MeshSettingsInvalid",
      object: file,
      field,
      expected: "must be a string",
      remedy: "start the mesh again: `up` writes this file",
    });
  };
  const tenants = Array.isArray(value["tenants"]) ? (value["tenants"] as readonly unknown[]) : [];
  return {
    fleet: text(value, "fleet"),
    federation: text(value, "federation"),
    ops: text(value, "ops"),
    api: text(value, "api"),
    // Absent in the file of an older build.
    hubReplicas: names(value["hubReplicas"]),
    external: names(value["external"]),
    tenants: tenants.filter(isJsonObject).map((tenant) => ({
      name: text(tenant, "name"),
      permission: text(tenant, "permission"),
      ops: text(tenant, "ops"),
      api: text(tenant, "api"),
    })),
  };
}

function names(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((name) => typeof name === "string") : [];
}
