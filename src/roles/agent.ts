import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { type Environment, requireClusterId, requireRole, requireRoleMaterial } from "./environment.ts";

/** What every role gets from its program. */
export interface AgentOptions {
  readonly env: Environment;
  /** Version of this build. */
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborts to stop everything in order. */
  readonly signal: AbortSignal;
}

/** A running agent. */
export interface RunningAgent {
  /** Resolves when everything was stopped and released after the signal aborted; rejects when a mandatory part failed for good. */
  readonly closed: Promise<void>;
}

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
