import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { Condition } from "../../../api/kinds/condition.ts";
import { type RunnerCapability, RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { FIELD_MANAGERS, NAMESPACES } from "../../../api/names.ts";
import { aborted } from "../../../base/aborted.ts";
import { type BackoffPolicy, fullJitter } from "../../../base/backoff.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { startEventRecorder } from "../../../controller/events.ts";
import { applyStatus } from "../../../controller/status.ts";
import { auditLogConditions } from "./audit-log-conditions.ts";
import type { AuditLogCondition } from "./audit-log-health.ts";

/** Parts of {@link startLocalStatus}. */
export interface LocalStatusParts {
  readonly clusterId: string;
  /** The tenant's own cluster. */
  readonly cluster: Cluster;
  /** What this agent declares. */
  readonly agent: {
    readonly version: string;
    readonly leader: string;
    readonly capabilities: readonly RunnerCapability[];
  };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The channel as this agent sees it. */
export interface LocalChannel {
  readonly connected: boolean;
  readonly reason: string;
}

/** Says on the tenant itself how its channel and its audit log are. */
export interface LocalStatus {
  /** Of several states that wait, the newest is written. */
  channel(state: LocalChannel): void;
  /** Likewise. */
  auditLog(state: AuditLogCondition): void;
  /** Resolves when nothing is written any more. */
  readonly closed: Promise<void>;
}

/** Backoff until the RunnerConfig is there and can be written. */
const RETRY: BackoffPolicy = { baseMs: 1_000, factor: 2, capMs: 60_000 };
const DEGRADED = "FederationChannelDegraded";

const ROOM = "the hub has stored what waited; every decision of the policy is logged again";
const RECOVERED: Readonly<Record<string, string>> = {
  AuditWALNearFull: ROOM,
  AuditWALFull: ROOM,
  AuditWALUnavailable:
    "the audit log is open; what waited in memory is in it, and what found no place is counted there",
  AuditWALCorrupt: "nothing damaged is left in quarantine",
};

/** Conditions to be written, and the Event for each that becomes True or no longer is. */
interface Update {
  readonly conditions: readonly ConditionUpdate[];
  /** Reason of the Event when the condition is not True any more. */
  readonly recovered: string;
  /** Its message, by type of the condition. */
  readonly recoveredText: Readonly<Record<string, string>>;
}

/**
 * Writes the conditions `FederationChannelDegraded` and `AuditWAL…` and what the agent can do into the tenant's own
 * copy of its RunnerConfig, with an Event for each transition. The copy comes with the first index; until then, and while
 * the API server is down, it waits.
 */
export function startLocalStatus(parts: LocalStatusParts): LocalStatus {
  const { cluster, clock, random, log, signal } = parts;
  const events = startEventRecorder({ cluster, component: FIELD_MANAGERS.agent, clock, random, log, signal });
  const waiting = new Map<"channel" | "auditLog", Update>();
  let draining: Promise<void> | undefined;
  const drain = async (): Promise<void> => {
    let failures = 0;
    for (let [next] = waiting; next !== undefined && !signal.aborted; [next] = waiting) {
      const [topic, update] = next;
      try {
        const { object, before } = await write(parts, update.conditions);
        for (const { type, status, message = "" } of update.conditions) {
          const was = before.find((condition) => condition.type === type)?.status === "True";
          if (status === "True" && !was) events.record(object, "Warning", type, message);
          else if (status !== "True" && was)
            events.record(object, "Normal", update.recovered, update.recoveredText[type] ?? "");
        }
        failures = 0;
        if (waiting.get(topic) === update) waiting.delete(topic);
      } catch (error) {
        log.debug({ error: errorMessage(error) }, "the tenant's RunnerConfig does not say yet how its agent is");
        await clock.sleep(RETRY.baseMs / 2 + fullJitter(RETRY, failures++, random), signal).catch(() => {
          // the agent stops
        });
      }
    }
    draining = undefined;
  };
  const put = (topic: "channel" | "auditLog", update: Update): void => {
    waiting.set(topic, update);
    draining ??= drain();
  };
  return {
    channel({ connected, reason }) {
      const condition: ConditionUpdate = connected
        ? { type: DEGRADED, status: "False", reason: "Recovered", message: "" }
        : { type: DEGRADED, status: "True", reason: reasonOf(reason), message: reason };
      put("channel", {
        conditions: [condition],
        recovered: "FederationChannelRecovered",
        recoveredText: { [DEGRADED]: "the hub is reached" },
      });
    },
    auditLog(state) {
      put("auditLog", {
        conditions: auditLogConditions(state),
        recovered: "AuditWALRecovered",
        recoveredText: RECOVERED,
      });
    },
    closed: aborted(signal)
      .then(() => Promise.all([draining, events.closed]))
      .then(() => undefined),
  };
}

async function write(
  { cluster, clusterId, clock, agent }: LocalStatusParts,
  updates: readonly ConditionUpdate[],
): Promise<{ readonly object: RunnerConfig; readonly before: readonly Condition[] }> {
  const held = await cluster.get(RunnerConfig, { namespace: NAMESPACES.ont, name: clusterId });
  const { conditions = [], ...fields } = held.status ?? {};
  const written = new Set(updates.map(({ type }) => type));
  const object = await applyStatus(
    { cluster, clock },
    RunnerConfig,
    held,
    {
      fields: {
        ...fields,
        agentVersion: agent.version,
        agentLeader: agent.leader,
        capabilities: [...agent.capabilities].sort((a, b) => (a.name < b.name ? -1 : 1)),
        capabilityCount: agent.capabilities.length,
      },
      conditions: [...conditions.filter(({ type }) => !written.has(type)), ...updates],
    },
    FIELD_MANAGERS.agent,
  );
  return { object, before: conditions };
}

/** Reasons of the condition: text for people is in its message. */
function reasonOf(text: string): "HeartbeatMissed" | "Disconnected" {
  return text === "HeartbeatMissed" ? "HeartbeatMissed" : "Disconnected";
}
