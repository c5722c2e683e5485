import type { AgentOptions, RunningAgent } from "./agent-options.ts";
import { requireClusterId, requireRole, requireRoleMaterial } from "./environment.ts";

/**
 * Starts an agent in the role of its environment. The rules of conductor §1.3 are checked before anything is opened; the other role's
 * code is not even loaded.
 *
 * @throws RoleViolation
 * @throws SeamError for configuration that is missing or wrong
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const role = requireRole(options.env);
  const cluster = requireClusterId(options.env);
  requireRoleMaterial(role, options.env);
  if (role === "management") {
    const { startManagement } = await import("./management.ts");
    return startManagement(cluster, options);
  }
  const { startTenant } = await import("./tenant.ts");
  return startTenant(cluster, options);
}
