import { create } from "@bufbuild/protobuf";
import {
  type DriftedResource,
  DriftedResourceSchema,
  DriftedResource_Change as Change,
} from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { type DriftSignalView, DriftSignalViewSchema } from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { isTrue } from "../../api/conditions.ts";
import type { DriftSignal } from "../../api/kinds/drift-signal.ts";
import type { DriftedResourceRef } from "../../api/kinds/drifted-resource-ref.ts";
import { clusterOfNamespace } from "../../api/names.ts";
import { BY_CLUSTER, type FleetSources } from "./fleet-sources.ts";
import { member, timestamp } from "./wire-timestamp.ts";

/** Signals of a cluster that are not confirmed. */
export function openDrift(sources: FleetSources, cluster: string): readonly DriftSignal[] {
  return sources.driftSignals.byIndex(BY_CLUSTER, cluster).filter((signal) => signal.spec.state !== "confirmed");
}

/** True when no further attempt is made until a person acts. */
export function isTerminal(signal: DriftSignal): boolean {
  return isTrue(signal.status?.conditions, "TerminalDrift");
}

/** One signal as the fleet shows it. */
export function driftRow(signal: DriftSignal): DriftSignalView {
  const { spec } = signal;
  return create(DriftSignalViewSchema, {
    cluster: clusterOfNamespace(signal.metadata.namespace) ?? "",
    name: signal.metadata.name,
    state: spec.state,
    driftClass: spec.driftClass ?? "",
    affected: `${spec.affectedCRRef.kind}/${spec.affectedCRRef.name}`,
    reason: spec.driftReason,
    escalations: spec.escalationCounter ?? 0,
    terminal: isTerminal(signal),
    correctionRef: spec.correctionJobRef ?? "",
    driftedResources: (spec.driftedResources ?? []).map(driftedResource),
    correlationId: spec.correlationID,
    ...member("observedAt", timestamp(spec.observedAt)),
    ...member("lastAttemptAt", timestamp(spec.lastAttemptAt)),
  });
}

const CHANGES = {
  Missing: Change.MISSING,
  Modified: Change.MODIFIED,
  NotOwned: Change.NOT_OWNED,
} as const;

function driftedResource(ref: DriftedResourceRef): DriftedResource {
  const { apiVersion, kind, name, namespace = "" } = ref;
  return create(DriftedResourceSchema, {
    resource: { apiVersion, kind, name, namespace },
    change: CHANGES[ref.change],
  });
}
