import { dirname, join } from "node:path";

/**
 * Where a tenant keeps compiled code over restarts: beside its snapshots, in a folder that nobody else may write. Undefined when Node has
 * its own word for it (`NODE_COMPILE_CACHE`, empty for none), and for other roles, which nobody waits for by the millisecond.
 */
export function compileCacheDirectory(env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (env["NODE_COMPILE_CACHE"] !== undefined || env["CONDUCTOR_ROLE"] !== "tenant") return undefined;
  return join(dirname(env["SNAPSHOT_DIR"] || "/var/lib/conductor/snapshots"), "compile-cache");
}
