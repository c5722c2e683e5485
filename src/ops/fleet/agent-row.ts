import { create } from "@bufbuild/protobuf";
import {
  type Agent,
  type AgentCapability,
  AgentCapabilitySchema,
  AgentSchema,
  type IndexState,
  IndexStateSchema,
  type SnapshotState,
  SnapshotStateSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { findCondition } from "../../api/conditions.ts";
import type { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import type { FederationStatus, RunnerConfig } from "../../api/kinds/runner-config.ts";
import { NAMESPACES, SECRET_NAMES, snapshotName } from "../../api/names.ts";
import type { AgentView, IndexPositionView, RefusedIndexView } from "../../federation/hub/hub-view.ts";
import type { DesiredIndex } from "../../federation/hub/ports.ts";
import { agentRevision } from "./agent-revision.ts";
import { openDrift } from "./drift-row.ts";
import type { FleetSources } from "./fleet-sources.ts";
import type { ItemLevels } from "./item-levels.ts";
import { member, timestamp } from "./wire-timestamp.ts";

/** One tenant as the fleet shows it: this replica's session when it has one, else what stands on the management cluster. */
export function agentRow(sources: FleetSources, levels: ItemLevels, cluster: string): Agent {
  const here = sources.view.agent(cluster);
  const runnerConfig = sources.runnerConfigs.get({ namespace: NAMESPACES.ont, name: cluster });
  const recorded = runnerConfig?.status?.federation;
  const elsewhere = here?.connected === true ? undefined : ownedElsewhere(sources, cluster, recorded);
  // What this replica remembers of an agent that moved on is no news.
  const view = elsewhere === undefined ? here : undefined;
  const index = sources.desired.current(cluster);
  const snapshot = sources.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(cluster) });
  const connected = view?.connected === true || elsewhere !== undefined;
  const row = create(AgentSchema, {
    cluster,
    connected,
    sessionId: (elsewhere === undefined ? view?.sessionId : recorded?.sessionId) ?? "",
    replica: elsewhere?.holder ?? (view === undefined ? (recorded?.replica ?? "") : sources.view.replica),
    term: elsewhere?.term ?? (view?.term || BigInt(recorded?.term ?? 0)),
    agentVersion: view?.agentVersion || (recorded?.agentVersion ?? ""),
    agentLeader: recorded?.tenantAgent?.leader ?? "",
    protocolVersion: view?.protocolVersion || (recorded?.protocolVersion ?? 0),
    capabilities: capabilities(recorded),
    rttMs: Math.round((view?.rttMs ?? 0) * 1000) / 1000, // to the microsecond
    items: index === undefined ? NO_ITEMS : levels.counts(index.document),
    snapshot: snapshotState(snapshot),
    openDrift: openDrift(sources, cluster).length,
    auditBacklog: view?.auditBacklog ?? BigInt(recorded?.walBacklogEvents ?? 0),
    auditStoredThrough: view?.auditStoredThrough ?? 0n,
    simulatedNodes: recorded?.tenantAgent?.simulatedNodes ?? false,
    degradedReason: degradedReason(view, connected, runnerConfig),
    queuedBytes: BigInt(view?.queuedBytes ?? 0),
    needsResync: view?.needsResync ?? false,
    lastDisconnect: view?.lastDisconnect ?? "",
    ...member("connectedAt", view?.connected === true ? timestamp(view.connectedAtMs) : undefined),
    ...member("lastSeen", timestamp(view?.lastSeenMs ?? recorded?.lastSeen)),
    ...member("desired", index === undefined ? undefined : desiredState(index)),
    ...member("held", view?.held === undefined ? undefined : heldState(view.held)),
    ...member("certificateNotAfter", timestamp(view?.certificateNotAfterMs)),
  });
  row.revision = agentRevision(row);
  return row;
}

function capabilities(recorded: FederationStatus | undefined): AgentCapability[] {
  const { capabilities: declared = [] } = recorded?.tenantAgent ?? {};
  return declared.map(({ name, version, description = "" }) =>
    create(AgentCapabilitySchema, { name, version, description }),
  );
}

const NO_ITEMS = { desired: 0, received: 0, verified: 0, applied: 0, healthy: 0, quarantined: 0 };

/** Whether any replica serves an agent, and when it was last heard. */
export function contactOf(
  sources: FleetSources,
  cluster: string,
): { readonly connected: boolean; readonly lastSeenMs: number | undefined } {
  const view = sources.view.agent(cluster);
  const recorded = sources.runnerConfigs.get({ namespace: NAMESPACES.ont, name: cluster })?.status?.federation;
  const recordedMs = recorded?.lastSeen === undefined ? undefined : Date.parse(recorded.lastSeen);
  const seen = [view?.lastSeenMs, recordedMs].filter((ms) => ms !== undefined);
  return {
    connected: view?.connected === true || ownedElsewhere(sources, cluster, recorded) !== undefined,
    lastSeenMs: seen.length === 0 ? undefined : Math.max(...seen),
  };
}

/** Name of the other replica that carries an agent; undefined when none does, as far as this one knows. */
export function carrierElsewhere(sources: FleetSources, cluster: string): string | undefined {
  if (sources.view.agent(cluster)?.connected === true) return undefined;
  const recorded = sources.runnerConfigs.get({ namespace: NAMESPACES.ont, name: cluster })?.status?.federation;
  return ownedElsewhere(sources, cluster, recorded)?.holder;
}

function ownedElsewhere(
  sources: FleetSources,
  cluster: string,
  recorded: FederationStatus | undefined,
): { readonly holder: string; readonly term: bigint } | undefined {
  if (recorded?.connected !== true) return undefined;
  const owner = sources.owner(cluster);
  // A record outlives the replica that wrote it: only a living owner's word counts.
  return owner !== undefined && owner.holder !== sources.view.replica && sources.replicaAlive(owner.holder)
    ? owner
    : undefined;
}

function degradedReason(
  view: AgentView | undefined,
  connected: boolean,
  runnerConfig: RunnerConfig | undefined,
): string {
  if (connected && view?.rivalMs !== undefined)
    return "TwoAgents: another process with the same certificate takes turns with it; stop one of the two";
  if (view !== undefined && view.degradedReason !== "") return view.degradedReason;
  if (connected) return view?.refusedIndex === undefined ? "" : refusalText(view.refusedIndex);
  const condition = findCondition(runnerConfig?.status?.conditions, "FederationChannelDegraded");
  if (condition?.status === "True")
    return condition.message === "" ? condition.reason : `${condition.reason}: ${condition.message}`;
  return runnerConfig?.status?.federation?.lastSeen === undefined
    ? "NeverConnected"
    : "Disconnected: not back since this replica started";
}

/** A refusal of a whole index, for people. */
export function refusalText({ epoch, sequence, reason, detail }: RefusedIndexView): string {
  return `refuses index ${epoch}.${sequence}: ${reason}${detail === "" ? "" : `, ${detail}`}; the last good one stays in force${refusalRemedy(reason)}`;
}

/** An index that goes back is what a management cluster restored from a backup signs, and nobody but a person knows that it was. */
function refusalRemedy(reason: string): string {
  if (reason !== "ROLLBACK_REJECTED" && reason !== "EQUIVOCATION") return "";
  const { federationIndex, federationIndexLedger } = SECRET_NAMES;
  return `. If the management cluster was restored from a backup, delete ConfigMap ${federationIndexLedger} and Secret ${federationIndex} in the tenant's namespace: the next index begins a new epoch`;
}

function desiredState({ document, digest }: DesiredIndex): IndexState {
  return create(IndexStateSchema, {
    epoch: BigInt(document.epoch),
    sequence: BigInt(document.sequence),
    digest,
    ...member("issuedAt", timestamp(document.issuedAt)),
    ...member("expiresAt", timestamp(document.expiresAt)),
  });
}

function heldState(held: IndexPositionView): IndexState {
  return create(IndexStateSchema, {
    epoch: BigInt(held.epoch),
    sequence: BigInt(held.sequence),
    digest: held.digest,
  });
}

/** What is known of a tenant's permission snapshot. */
export function snapshotState(snapshot: PermissionSnapshot | undefined): SnapshotState {
  const acknowledged = findCondition(snapshot?.status?.conditions, "Acknowledged");
  const degraded = acknowledged?.reason === "Rejected";
  return create(SnapshotStateSchema, {
    expectedVersion: snapshot?.status?.expectedVersion ?? snapshot?.spec.version ?? "",
    acknowledgedVersion: snapshot?.status?.lastAckedVersion ?? "",
    syncStatus: syncStatus(acknowledged?.reason),
    degradedReason: degraded ? acknowledged.message : "",
  });
}

function syncStatus(reason: string | undefined): string {
  switch (reason) {
    case undefined:
      return "";
    case "Acked":
      return "InSync";
    case "Rejected":
      return "DegradedSecurityState";
    default:
      return "OutOfSync";
  }
}
