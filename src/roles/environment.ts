import { SeamError } from "../base/errors.ts";

/** The environment of a process, as a parameter: only `bin/` passes `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A mode or role rule was broken (conductor §1.3): one JSON line on stderr, exit code 2. */
export class RoleViolation extends Error {
  override readonly name = "RoleViolation";
}

/** Host and port to listen on. */
export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

/** Role of an agent; never inferred. */
export type AgentRole = "management" | "tenant";

/** Longest cluster id: `seam-tenant-{cluster}` and derived names stay within 63 characters. */
export const MAX_CLUSTER_ID_LENGTH = 40;
const CLUSTER_ID = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** exactly `management` or `tenant`, untrimmed. @throws RoleViolation */
export function requireRole(env: Environment): AgentRole {
  const role = env["CONDUCTOR_ROLE"];
  if (role === "management" || role === "tenant") return role;
  throw new RoleViolation(
    `CONDUCTOR_ROLE must be exactly "management" or "tenant", found ${role === undefined ? "nothing" : JSON.stringify(role)}`,
  );
}

/** @throws RoleViolation */
export function requireClusterId(env: Environment): string {
  const cluster = env["CLUSTER_REF"] ?? "";
  if (cluster.length <= MAX_CLUSTER_ID_LENGTH && CLUSTER_ID.test(cluster)) return cluster;
  throw new RoleViolation(
    `CLUSTER_REF must be a DNS-1123 label of at most ${MAX_CLUSTER_ID_LENGTH} characters, found ${JSON.stringify(cluster)}`,
  );
}

/** material of the other role is refused, so that no process ever holds both. @throws RoleViolation */
export function requireRoleMaterial(role: AgentRole, env: Environment): void {
  const foreign =
    role === "tenant"
      ? ["SIGNING_PRIVATE_KEY_PATH", "FEDERATION_SERVER_CERT_PATH", "FEDERATION_SERVER_KEY_PATH", "FEDERATION_PORT"]
      : ["MGMT_FEDERATION_ADDR", "FEDERATION_CLIENT_CERT_PATH", "FEDERATION_CLIENT_KEY_PATH"];
  const found = foreign.filter((name) => env[name]);
  if (found.length > 0) throw new RoleViolation(`role ${role} must not be given ${found.join(", ")}`);
}

/** A variable that must be set. @throws SeamError `EnvironmentMissing` */
export function required(env: Environment, name: string, what: string): string {
  const value = env[name];
  if (value) return value;
  throw new SeamError({
    reason: "EnvironmentMissing",
    object: `environment variable ${name}`,
    expected: `must be set: ${what}`,
    remedy: `set ${name} (docs/configuration.md)`,
  });
}

/** Reads `:8080`, `127.0.0.1:8080`, `[::1]:8080` or `8080`. @throws SeamError `EnvironmentInvalid` */
export function listenAddress(env: Environment, name: string, fallback: string): ListenAddress {
  const text = env[name] || fallback;
  const match = /^(?:(?<host>\[[0-9a-fA-F:]+\]|[^:]*):)?(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.["port"]);
  if (match === null || port > 65_535) {
    throw new SeamError({
      reason: "EnvironmentInvalid",
      object: `environment variable ${name}`,
      expected: `must be PORT, :PORT or HOST:PORT, found ${JSON.stringify(text)}`,
    });
  }
  const host = (match.groups?.["host"] ?? "").replace(/^\[|\]$/g, "");
  return { address: host || "0.0.0.0", port };
}

/** Reads a positive whole number. @throws SeamError `EnvironmentInvalid` */
export function positiveNumber(env: Environment, name: string, fallback: number): number {
  const text = env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new SeamError({
    reason: "EnvironmentInvalid",
    object: `environment variable ${name}`,
    expected: `must be a positive whole number, found ${JSON.stringify(text)}`,
  });
}

/** Comma-separated list without empty entries. */
export function list(env: Environment, name: string): readonly string[] {
  return (env[name] ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}
