import type { CapabilityDeclaration } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { FederationStatus, TenantAgent } from "../../../api/kinds/runner-config.ts";
import { rfc3339Seconds } from "../../../base/clock.ts";

/** The channel to one tenant, as its hub replica sees it now. */
export interface ChannelState {
  readonly connected: boolean;
  /** Why it is as it is. */
  readonly reason: "Recovered" | "HeartbeatMissed" | "NeverConnected" | "Disconnected";
  /** For people; empty when there is nothing to add. */
  readonly detail: string;
  readonly sessionId: string;
  /** Fencing term of that session; 0 when there never was one. */
  readonly term: bigint;
  /** Replica that carries or carried it. */
  readonly replica: string;
  /** Last frame of any kind, Unix milliseconds; undefined when there never was one. */
  readonly lastSeenMs?: number;
  /** Last measured round trip, milliseconds. */
  readonly rttMs?: number;
  readonly agentVersion?: string;
  /** Audit records at the agent that no hub has stored. */
  readonly auditBacklogEvents?: number;
}

/** `status.federation` of a RunnerConfig after a change of the channel; what the agent declared stays. Pure. */
export function federationStatus(before: FederationStatus | undefined, state: ChannelState): FederationStatus {
  const lastSeen = state.lastSeenMs === undefined ? before?.lastSeen : rfc3339Seconds(state.lastSeenMs);
  return {
    connected: state.connected,
    sessionId: state.sessionId,
    term: Number(state.term),
    replica: state.replica,
    ...(lastSeen === undefined ? {} : { lastSeen }),
    ...(state.rttMs === undefined ? {} : { lastRtt: `${Math.max(1, Math.round(state.rttMs))}ms` }),
    ...given("agentVersion", state.agentVersion ?? before?.agentVersion),
    ...given("walBacklogEvents", state.auditBacklogEvents ?? before?.walBacklogEvents),
    ...given("tenantAgent", before?.tenantAgent),
  };
}

/** `status.federation` after a declaration; what is known of the channel stays. Pure. */
export function declaredStatus(
  before: FederationStatus | undefined,
  declaration: CapabilityDeclaration,
): FederationStatus {
  const tenantAgent: TenantAgent = {
    version: declaration.agentVersion,
    leader: declaration.agentLeader,
    capabilities: declaration.capabilities
      .map(({ name, version, description }) => ({ name, version, description }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    simulatedNodes: declaration.simulatedNodes,
    talosVersions: [...declaration.talosVersionsObserved].sort(),
    kubernetesVersions: [...declaration.kubernetesVersionsObserved].sort(),
  };
  return { ...before, tenantAgent };
}

/** Conditions of a RunnerConfig that say how the channel is (R-4.22, resources-seam §6.2). Pure. */
export function channelConditions(state: ChannelState): readonly ConditionUpdate[] {
  return [
    {
      type: "FederationChannelDegraded",
      status: state.connected ? "False" : "True",
      reason: state.connected ? "Recovered" : state.reason,
      message: state.detail,
    },
    agentConnected(state),
  ];
}

function agentConnected(state: ChannelState): ConditionUpdate {
  const type = "AgentConnected";
  if (state.connected) return { type, status: "True", reason: "StreamActive" };
  return state.reason === "NeverConnected"
    ? { type, status: "Unknown", reason: "NeverConnected" }
    : { type, status: "False", reason: "StreamLost", message: state.detail };
}

function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });
}
