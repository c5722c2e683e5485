import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { StoreUnavailable } from "../../outbox/reopening-outbox.ts";
import type { AuditLogState } from "../ports.ts";
import type { AuditLogCondition, QuarantinedLog } from "./audit-log-health.ts";

const MIB = 1024 * 1024;

/** What the tenant's RunnerConfig says of the audit log, with what to do about it; pure. */
export function auditLogConditions({ pressure, unavailable, corrupt }: AuditLogCondition): readonly ConditionUpdate[] {
  return [
    ...(pressure === undefined ? [] : pressureConditions(pressure)),
    unavailableCondition(unavailable),
    corruptCondition(corrupt),
  ];
}

function pressureConditions({ pressure, backlogBytes, capBytes, dropped }: AuditLogState): readonly ConditionUpdate[] {
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

function unavailableCondition(unavailable: StoreUnavailable | undefined): ConditionUpdate {
  const type = "AuditWALUnavailable";
  if (unavailable === undefined) return { type, status: "False", reason: "Opened", message: "" };
  const { reason, detail } = unavailable;
  return {
    type,
    status: "True",
    reason,
    message: `${detail}; at most 1,000 audit events wait in memory, further ones are counted, and the agent does not reach the hub; opening is tried again every 30 s`,
  };
}

function corruptCondition(corrupt: QuarantinedLog | undefined): ConditionUpdate {
  const type = "AuditWALCorrupt";
  if (corrupt === undefined) return { type, status: "False", reason: "NothingQuarantined", message: "" };
  const { path, recovery } = corrupt;
  const remedy = `check the disk, keep what you need of ${path} and remove it`;
  switch (recovery?.numbering) {
    case undefined:
      return { type, status: "True", reason: "Quarantined", message: `a damaged store was put aside; ${remedy}` };
    case "continued":
      return {
        type,
        status: "True",
        reason: "NumberingContinued",
        message: `the agent's store was damaged and put aside; ${recovery.salvagedEvents} audit events were read out of it, ${recovery.lostEvents} are lost and an audit.gap stands in their place; ${remedy}`,
      };
    case "restarted":
      return {
        type,
        status: "True",
        reason: "NumberingRestarted",
        message: `the agent's store was damaged and put aside; nothing could be read of its audit log, whose numbers begin anew in another epoch; ${remedy}`,
      };
  }
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0);
}
