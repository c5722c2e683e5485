import type { ItemKind } from "../index/index-document.ts";

/** What an agent can do, by its permanent name (conductor §10): what its build declares, and what the hub looks for. */
export const AGENT_CAPABILITIES = {
  "drift-detection": "Compares the owned fields of delivered packs with what is on the cluster.",
  "pack-apply": "Verifies and applies signed packs by server-side apply.",
  "permission-service": "Answers authorization questions from the last verified snapshot.",
} as const;

/** One of {@link AGENT_CAPABILITIES}. */
export type AgentCapabilityName = keyof typeof AGENT_CAPABILITIES;

/** What an agent must have declared before items of a kind enter its index. Governance objects: every build takes them, and none ever named it. */
const NEEDED: Readonly<Record<ItemKind, AgentCapabilityName | undefined>> = {
  PackInstalled: "pack-apply",
  Correction: "pack-apply",
  PermissionSnapshot: "permission-service",
  Governance: undefined,
};

/**
 * The capability that an agent lacks for items of a kind; undefined when it lacks none. Of an agent that declared nothing yet, or never
 * does, nothing is known to be lacking.
 *
 * @param declared names the agent declared; undefined or empty when it declared nothing
 */
export function lackingCapability(
  kind: ItemKind,
  declared: readonly string[] | undefined,
): AgentCapabilityName | undefined {
  const needed = NEEDED[kind];
  if (needed === undefined || declared === undefined || declared.length === 0) return undefined;
  return declared.includes(needed) ? undefined : needed;
}

/** Why an item is not in the index of a tenant, for people. */
export function lackingText(kind: ItemKind, capability: AgentCapabilityName, agentVersion: string): string {
  const build = agentVersion === "" ? "the agent" : `the agent (${agentVersion})`;
  return `${build} did not declare ${capability}, which ${kind} needs: it is not sent; run a build of the agent that has it`;
}
