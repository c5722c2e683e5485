import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SeamError } from "../../base/errors.ts";
import { isJsonObject } from "../../base/json.ts";
import { MeshLayout } from "../../roles/mesh/layout.ts";
import { type MeshSettings, parseMeshSettings } from "../../roles/mesh/settings.ts";

/** Flags that every command that talks to a mesh understands. */
export interface TargetOptions {
  readonly dir: string;
  readonly server?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Where a service is and what to show it. */
export interface Target {
  /** host:port */
  readonly address: string;
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** Reads the settings that `up` left in the state directory. @throws SeamError `MeshNotFound` */
export function readSettings(dir: string): MeshSettings {
  const layout = new MeshLayout(dir);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(layout.settings, "utf8"));
  } catch (cause) {
    throw new SeamError(
      {
        reason: "MeshNotFound",
        object: `state directory ${layout.root}`,
        expected: "holds no mesh",
        remedy:
          "start one with `npm start`, name its directory with --dir, or use --server with --ca, --cert and --key",
      },
      { cause },
    );
  }
  if (!isJsonObject(value))
    throw new SeamError({ reason: "MeshNotFound", object: layout.settings, expected: "must hold a JSON object" });
  return parseMeshSettings(value, layout.settings);
}

/** The FleetService: by --server and certificate flags, or the mesh of --dir. */
export function fleetTarget(options: TargetOptions): Target {
  if (options.server !== undefined) return explicitTarget(options, options.server);
  const settings = readSettings(options.dir);
  return material(settings.fleet, new MeshLayout(options.dir).operator);
}

/** Flags of commands that ask a PermissionService. */
export interface PermissionTargetOptions extends TargetOptions {
  /** Ask the hub, which answers for every cluster, instead of the tenant. */
  readonly hub?: boolean;
}

/** A PermissionService, and the cluster it is asked about. */
export interface PermissionTarget extends Target {
  readonly cluster: string;
  /** True for the hub's. */
  readonly hub: boolean;
}

/**
 * The PermissionService of one tenant, or the hub's. With --server the address is that service itself.
 *
 * @throws SeamError `ClusterUnknown`; `ClusterMissing` for a question to the hub without one
 */
export function permissionTarget(options: PermissionTargetOptions, cluster: string | undefined): PermissionTarget {
  const hub = options.hub === true;
  if (hub) {
    if (cluster === undefined)
      throw new SeamError({
        reason: "ClusterMissing",
        object: "flag --hub",
        expected: "needs --cluster: the hub answers for every cluster",
        remedy: "name one of those that `seamctl agents` lists",
      });
    return { ...fleetTarget(options), cluster, hub };
  }
  if (options.server !== undefined) return { ...explicitTarget(options, options.server), cluster: cluster ?? "", hub };
  const settings = readSettings(options.dir);
  const tenant =
    cluster === undefined ? settings.tenants[0] : settings.tenants.find((candidate) => candidate.name === cluster);
  if (tenant === undefined) {
    throw new SeamError({
      reason: "ClusterUnknown",
      object: "flag --cluster",
      expected: `must be one of ${settings.tenants.map((known) => known.name).join(", ")}, found ${cluster ?? "nothing"}`,
    });
  }
  return {
    ...material(tenant.permission, join(new MeshLayout(options.dir).tenant(tenant.name), "operator")),
    cluster: tenant.name,
    hub,
  };
}

function explicitTarget(options: TargetOptions, address: string): Target {
  const { ca, cert, key } = options;
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new SeamError({
      reason: "CertificateFlags",
      object: "flag --server",
      expected: "needs --ca, --cert and --key",
      remedy: "name the three PEM files of a client certificate the server accepts",
    });
  }
  return { address, caPem: readPem(ca), certPem: readPem(cert), keyPem: readPem(key) };
}

function material(address: string, directory: string): Target {
  return {
    address,
    caPem: readPem(join(directory, "ca.crt")),
    certPem: readPem(join(directory, "tls.crt")),
    keyPem: readPem(join(directory, "tls.key")),
  };
}

function readPem(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new SeamError({ reason: "FileUnreadable", object: file, expected: "must be a readable PEM file" }, { cause });
  }
}
