import { create } from "@bufbuild/protobuf";
import {
  type Revocation,
  type RevocationProgress,
  RevocationProgressSchema,
  RevocationProgress_State as State,
  RevocationSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import type { RevocationRecord } from "../../federation/hub/revocations/revocation-record.ts";
import type { FleetSources } from "../fleet/fleet-sources.ts";
import { member, timestamp } from "../fleet/wire-timestamp.ts";

/** Revocations by id from the records of all clusters, newest first. */
export function revocationRows(
  sources: FleetSources,
  records: ReadonlyMap<string, readonly RevocationRecord[]>,
): readonly Revocation[] {
  const byId = new Map<string, [string, RevocationRecord][]>();
  for (const [cluster, held] of records)
    for (const record of held) {
      const entries = byId.get(record.revocationId) ?? [];
      entries.push([cluster, record]);
      byId.set(record.revocationId, entries);
    }
  return [...byId.values()]
    .flatMap((entries) => {
      const [first] = entries;
      return first === undefined
        ? []
        : [{ createdAtMs: first[1].createdAtMs, row: revocationRow(sources, first[1], entries) }];
    })
    .sort((a, b) => b.createdAtMs - a.createdAtMs)
    .map(({ row }) => row);
}

/** True when every addressed agent has it in effect. */
export function isComplete(revocation: Revocation): boolean {
  return revocation.progress.every(({ state }) => state === State.EFFECTIVE);
}

function revocationRow(
  sources: FleetSources,
  first: RevocationRecord,
  entries: readonly (readonly [string, RevocationRecord])[],
): Revocation {
  return create(RevocationSchema, {
    revocationId: first.revocationId,
    target: first.target === "PackInstalled" ? "Pack" : first.target,
    name: first.orderedName,
    reason: first.reason,
    createdBy: first.orderedBy,
    progress: [...entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([cluster, record]) => progressRow(sources, cluster, record)),
    ...member("createdAt", timestamp(first.createdAtMs)),
  });
}

function progressRow(sources: FleetSources, cluster: string, record: RevocationRecord): RevocationProgress {
  const { outcome } = record;
  const connected = sources.view.agent(cluster)?.connected === true;
  const expiresAt = sources.desired.current(cluster)?.document.expiresAt;
  return create(RevocationProgressSchema, {
    cluster,
    state: stateOf(record, connected),
    detail: outcome?.detail ?? "",
    ...member("effectiveAt", outcome?.applied === true ? timestamp(outcome.atMs) : undefined),
    // An agent that is away serves at most until its content expires (lessons §8.2).
    ...member("boundedAt", outcome?.applied === true || connected ? undefined : timestamp(expiresAt)),
  });
}

function stateOf({ target, outcome }: RevocationRecord, connected: boolean): State {
  if (outcome?.applied === true) return State.EFFECTIVE;
  if (outcome !== undefined) return State.FAILED;
  // A denied cluster is cut off here, whether or not it hears of it.
  if (target === "Cluster") return State.EFFECTIVE;
  return connected ? State.SENT : State.OFFLINE;
}
