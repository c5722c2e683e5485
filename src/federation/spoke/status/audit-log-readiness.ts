import type { DecisionLogState } from "../../../permissions/service/status-answer.ts";
import type { Spoke } from "../start-spoke.ts";

/** Why an agent is not ready as far as its store goes; undefined when it is. A log that was damaged and goes on is ready. */
export function auditLogReadiness(
  { state, detail }: DecisionLogState,
  spoke: Pick<Spoke, "status"> | undefined,
): string | undefined {
  if (state === "UNAVAILABLE") return `the agent's store cannot be opened: ${detail}`;
  if (spoke?.status().session === undefined) return "the agent's store is being read back";
  return undefined;
}
