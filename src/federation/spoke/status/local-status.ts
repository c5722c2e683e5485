import type { Condition } from "../../../api/kinds/condition.ts";
import { type RunnerCapability, RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { FIELD_MANAGERS, NAMESPACES } from "../../../api/names.ts";
import { type BackoffPolicy, fullJitter } from "../../../base/backoff.ts";
import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { startEventRecorder } from "../../../controller/events.ts";
import { applyStatus } from "../../../controller/status.ts";

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

/** Says on the tenant itself how its channel is. */
export interface LocalStatus {
  /** Of several states that wait, the newest is written. */
  channel(state: LocalChannel): void;
  /** Resolves when nothing is written any more. */
  readonly closed: Promise<void>;
}

/** Backoff until the RunnerConfig is there and can be written. */
const RETRY: BackoffPolicy = { baseMs: 1_000, factor: 2, capMs: 60_000 };
const DEGRADED = "FederationChannelDegraded";

/**
 * Writes the condition `FederationChannelDegraded` and what the agent can do into the tenant's own copy of its RunnerConfig, with an
 * Event for each transition. The copy comes with the first index; until then, and while the API server is down, it waits.
 */
export function startLocalStatus(parts: LocalStatusParts): LocalStatus {
  const { cluster, clock, random, log, signal } = parts;
  const events = startEventRecorder({ cluster, component: FIELD_MANAGERS.agent, clock, random, log, signal });
  let waiting: LocalChannel | undefined;
  let draining: Promise<void> | undefined;
  const drain = async (): Promise<void> => {
    let failures = 0;
    for (let state = waiting; state !== undefined && !signal.aborted; state = waiting) {
      try {
        const { object, changed } = await write(parts, state);
        if (changed)
          events.record(
            object,
            state.connected ? "Normal" : "Warning",
            state.connected ? "FederationChannelRecovered" : DEGRADED,
            state.connected ? "the hub is reached" : state.reason,
          );
        failures = 0;
        if (waiting === state) waiting = undefined;
      } catch (error) {
        log.debug({ error: errorMessage(error) }, "the tenant's RunnerConfig does not say yet how the channel is");
        await clock.sleep(RETRY.baseMs / 2 + fullJitter(RETRY, failures++, random), signal).catch(() => {
          // the agent stops
        });
      }
    }
    draining = undefined;
  };
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  return {
    channel(state) {
      waiting = state;
      draining ??= drain();
    },
    closed: aborted.then(() => Promise.all([draining, events.closed])).then(() => undefined),
  };
}

async function write(
  { cluster, clusterId, clock, agent }: LocalStatusParts,
  state: LocalChannel,
): Promise<{ readonly object: RunnerConfig; readonly changed: boolean }> {
  const held = await cluster.get(RunnerConfig, { namespace: NAMESPACES.ont, name: clusterId });
  const { conditions = [], ...fields } = held.status ?? {};
  const before = conditions.find(({ type }) => type === DEGRADED);
  const status: Condition["status"] = state.connected ? "False" : "True";
  const reason = state.connected ? "Recovered" : reasonOf(state.reason);
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
      conditions: [
        ...conditions.filter(({ type }) => type !== DEGRADED),
        { type: DEGRADED, status, reason, message: state.connected ? "" : state.reason },
      ],
    },
    FIELD_MANAGERS.agent,
  );
  return { object, changed: before?.status !== status };
}

/** Reasons of the condition: text for people is in its message. */
function reasonOf(text: string): "HeartbeatMissed" | "Disconnected" {
  return text === "HeartbeatMissed" ? "HeartbeatMissed" : "Disconnected";
}
