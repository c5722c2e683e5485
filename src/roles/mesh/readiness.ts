import type { Agent, Receipt } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { ItemReport_Level } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";

/** Whether a mesh has come to rest, and what it still waits for. */
export interface Readiness {
  readonly ready: boolean;
  /** One sentence per thing that is missing, empty when ready. */
  readonly waitingFor: readonly string[];
}

/**
 * A mesh is ready when every tenant is connected, holds its desired index with every item healthy, and its permission snapshot is in
 * sync; and, with `expectedPack`, when every tenant has a verified receipt for that base pack.
 */
export function meshReadiness(
  tenants: readonly string[],
  agents: readonly Agent[],
  receipts: readonly Receipt[],
  expectedPack: string | undefined,
): Readiness {
  const waitingFor: string[] = [];
  for (const tenant of tenants) {
    const agent = agents.find((candidate) => candidate.cluster === tenant);
    const missing = agent === undefined ? "is not registered" : missingOf(agent, receipts, expectedPack);
    if (missing !== undefined) waitingFor.push(`${tenant} ${missing}`);
  }
  return { ready: waitingFor.length === 0, waitingFor };
}

function missingOf(agent: Agent, receipts: readonly Receipt[], expectedPack: string | undefined): string | undefined {
  if (!agent.connected) return agent.lastDisconnect ? `is not connected (${agent.lastDisconnect})` : "is not connected";
  const { desired, held, items, snapshot } = agent;
  if (desired === undefined) return "has no signed index yet";
  if (held?.digest !== desired.digest) return agent.degradedReason || "has not accepted the newest index";
  if (items !== undefined && items.quarantined > 0)
    return `refuses ${items.quarantined} item(s); ask: seamctl explain ${agent.cluster} ITEM`;
  if (snapshot?.syncStatus !== "InSync" || snapshot.acknowledgedVersion !== snapshot.expectedVersion) {
    return `has not acknowledged permission snapshot ${snapshot?.expectedVersion ?? ""}`.trimEnd();
  }
  if (expectedPack !== undefined) {
    const receipt = receipts.find(
      (candidate) => candidate.cluster === agent.cluster && candidate.name === `${expectedPack}-${agent.cluster}`,
    );
    if (receipt === undefined) return `has no receipt of pack ${expectedPack}`;
    if (receipt.verified !== true || !receipt.acknowledged) return `has not verified pack ${expectedPack}`;
    if (receipt.level !== ItemReport_Level.HEALTHY) return `has pack ${expectedPack}, not healthy yet`;
  }
  if (items !== undefined && items.healthy < items.desired)
    return `has ${items.healthy} of ${items.desired} items healthy`;
  return undefined;
}
