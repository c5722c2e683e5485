import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { AuditLogState } from "../ports.ts";

const MIB = 1024 * 1024;

/** What the tenant's RunnerConfig says of the audit log, with what to do about it; pure. */
export function auditLogConditions(state: AuditLogState): readonly ConditionUpdate[] {
  const { pressure, backlogBytes, capBytes, dropped } = state;
  const waiting = `${mib(backlogBytes)} of ${mib(capBytes)} MiB of audit events wait for the hub`;
  const remedy =
    "restore the channel (condition FederationChannelDegraded, MGMT_FEDERATION_ADDR), or raise WAL_MAX_BYTES";
  const near = pressure !== "normal";
  const full = pressure === "full";
  return [
    {
      type: "AuditWALNearFull",
      status: near ? "True" : "False",
      reason: near ? "SamplingAllows" : "RoomEnough",
      message: near ? `${waiting}; of the allowed decisions 1 in 10 is logged; ${remedy}` : "",
    },
    {
      type: "AuditWALFull",
      status: full ? "True" : "False",
      reason: full ? "DroppingAllows" : "RoomEnough",
      message: full
        ? `${waiting}; the oldest allowed decisions are dropped, ${dropped} since this store was made, and denies are kept until nothing else is left; ${remedy}`
        : "",
    },
  ];
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0);
}
