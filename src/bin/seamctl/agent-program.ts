import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { AgentProgram } from "../../roles/mesh/supervisor.ts";

/** Variables of the parent that a mesh process keeps: where programs and temporary files are, and nothing that could carry a secret. */
const INHERITED = [
  "PATH",
  "HOME",
  "TMPDIR",
  "TZ",
  "LANG",
  "NODE_OPTIONS",
  // How long tenants decide without the hub, for whoever wants to see it end.
  "PERMISSION_SNAPSHOT_FRESHNESS_WINDOW",
  "PERMISSION_SNAPSHOT_MAX_OFFLINE",
];

/** `conductor agent`, run by the Node that runs this program. */
export function agentProgram(env: Readonly<Record<string, string | undefined>>): AgentProgram {
  const inherit: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = env[name];
    if (value !== undefined) inherit[name] = value;
  }
  return {
    command: process.execPath,
    args: [fileURLToPath(new URL(`../conductor${extname(import.meta.url)}`, import.meta.url)), "agent"],
    inherit,
  };
}
