import type { CapabilityDeclaration } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { ConditionUpdate } from "../../../api/conditions.ts";
import type { FederationStatus, RunnerCapability, TenantAgent } from "../../../api/kinds/runner-config.ts";
import type { ClusterAgent } from "../../../api/kinds/talos-cluster.ts";
import { canonicalJson } from "../../../base/canonical-json.ts";
import { rfc3339Seconds } from "../../../base/clock.ts";

/** Most capabilities that are kept of an agent, and their longest texts, characters. */
const MAX_CAPABILITIES = 64;
const MAX_CAPABILITY_NAME = 63;
const MAX_VERSION = 128;
const MAX_CAPABILITY_DESCRIPTION = 1024;
const MAX_LEADER = 253;
/** Most versions of nodes that are kept, and the longest of one, characters. */
const MAX_NODE_VERSIONS = 50;
const MAX_NODE_VERSION = 64;

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
  /** Protocol version that both agreed on; undefined when there never was a session. */
  readonly protocolVersion?: number;
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
    ...given("protocolVersion", state.protocolVersion ?? before?.protocolVersion),
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
    version: declaration.agentVersion.slice(0, MAX_VERSION),
    leader: declaration.agentLeader.slice(0, MAX_LEADER),
    capabilities: boundedCapabilities(declaration),
    simulatedNodes: declaration.simulatedNodes,
    talosVersions: nodeVersions(declaration.talosVersionsObserved),
    kubernetesVersions: nodeVersions(declaration.kubernetesVersionsObserved),
  };
  return { ...before, tenantAgent };
}

/** `status.agent` of a TalosCluster after a Hello; what the agent declared stays. Undefined when there is no news in it. Pure. */
export function greetedAgent(before: ClusterAgent | undefined, state: ChannelState): ClusterAgent | undefined {
  const { agentVersion, protocolVersion } = state;
  if (agentVersion === undefined || agentVersion === "" || protocolVersion === undefined) return undefined;
  return news(before, { ...before, version: agentVersion, protocolVersion }, state.term);
}

/** `status.agent` of a TalosCluster after a declaration. Undefined when there is no news in it. Pure. */
export function declaredAgent(
  before: ClusterAgent | undefined,
  declaration: CapabilityDeclaration,
): ClusterAgent | undefined {
  const agent: ClusterAgent = {
    ...before,
    version: declaration.agentVersion.slice(0, MAX_VERSION),
    leader: declaration.agentLeader.slice(0, MAX_LEADER),
    capabilities: boundedCapabilities(declaration).map(({ name }) => name),
  };
  return news(before, agent, BigInt(before?.term ?? 0));
}

/** What an agent declared, as the vocabulary bounds it: each name once, sorted. What goes beyond is left out, not the declaration refused. */
function boundedCapabilities({ capabilities }: CapabilityDeclaration): readonly RunnerCapability[] {
  const byName = new Map<string, RunnerCapability>();
  for (const { name, version, description } of capabilities) {
    if (name === "" || name.length > MAX_CAPABILITY_NAME || byName.has(name)) continue;
    byName.set(name, {
      name,
      version: version.slice(0, MAX_VERSION) || "unknown",
      description: description.slice(0, MAX_CAPABILITY_DESCRIPTION),
    });
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, MAX_CAPABILITIES);
}

function nodeVersions(observed: readonly string[]): readonly string[] {
  const versions = observed.map((version) => version.slice(0, MAX_NODE_VERSION));
  return versions.sort().slice(0, MAX_NODE_VERSIONS);
}

/** What was said under a later term stands; a term alone is no news, or every move of the session would be written. */
function news(before: ClusterAgent | undefined, agent: ClusterAgent, term: bigint): ClusterAgent | undefined {
  if (Number(term) < (before?.term ?? 0)) return undefined;
  const same = before !== undefined && canonicalJson({ ...before }) === canonicalJson({ ...agent });
  return same ? undefined : { ...agent, term: Number(term) };
}

/** Conditions of a RunnerConfig that say how the channel is (R-4.22, resources-seam §6.2). Pure. */
export function channelConditions(
  state: Pick<ChannelState, "connected" | "reason" | "detail">,
): readonly ConditionUpdate[] {
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

function agentConnected(state: Pick<ChannelState, "connected" | "reason" | "detail">): ConditionUpdate {
  const type = "AgentConnected";
  if (state.connected) return { type, status: "True", reason: "StreamActive" };
  return state.reason === "NeverConnected"
    ? { type, status: "Unknown", reason: "NeverConnected" }
    : { type, status: "False", reason: "StreamLost", message: state.detail };
}

function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });
}
