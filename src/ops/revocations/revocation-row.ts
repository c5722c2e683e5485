import { create } from "@bufbuild/protobuf";
import {
  type Revocation,
  type RevocationProgress,
  RevocationProgressSchema,
  RevocationProgress_State as State,
  RevocationSchema,
} from "../../api/gen/conductor/fleet/v1alpha1/fleet_pb.ts";
import { NAMESPACES, snapshotName } from "../../api/names.ts";
import type { RevocationRecord } from "../../federation/hub/revocations/revocation-record.ts";
import { DEFAULT_MAX_OFFLINE_SECONDS } from "../../permissions/snapshot/limits.ts";
import { contactOf } from "../fleet/agent-row.ts";
import type { FleetSources } from "../fleet/fleet-sources.ts";
import { member, timestamp } from "../fleet/wire-timestamp.ts";
import type { CertificateRevocation } from "./certificate-remark.ts";

/** Revocations by id from the records of all clusters, newest first. */
export function revocationRows(
  sources: FleetSources,
  records: ReadonlyMap<string, readonly RevocationRecord[]>,
  nowMs: number,
): readonly Revocation[] {
  const byId = new Map<string, [string, RevocationRecord][]>();
  for (const [cluster, held] of records)
    for (const record of held) {
      const entries = byId.get(record.revocationId) ?? [];
      entries.push([cluster, record]);
      byId.set(record.revocationId, entries);
    }
  return [...byId.values()].flatMap((entries) => {
    const [first] = entries;
    return first === undefined ? [] : [revocationRow(sources, first[1], entries, nowMs)];
  });
}

/** A certificate is revoked when the deny list names it: it is refused from then on, wherever it shows. */
export function certificateRow(revoked: CertificateRevocation): Revocation {
  const { revocationId, serial, reason, orderedBy, atMs } = revoked;
  return create(RevocationSchema, {
    revocationId,
    target: "Certificate",
    name: serial,
    reason,
    createdBy: orderedBy,
    complete: true,
    ...member("createdAt", timestamp(atMs)),
  });
}

function revocationRow(
  sources: FleetSources,
  first: RevocationRecord,
  entries: readonly (readonly [string, RevocationRecord])[],
  nowMs: number,
): Revocation {
  const progress = [...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([cluster, record]) => progressRow(sources, cluster, record, nowMs));
  return create(RevocationSchema, {
    revocationId: first.revocationId,
    target: first.target === "PackInstalled" ? "Pack" : first.target,
    name: first.orderedName,
    reason: first.reason,
    createdBy: first.orderedBy,
    progress,
    complete: progress.every(({ state }) => state === State.EFFECTIVE || state === State.EXPIRED),
    ...member("createdAt", timestamp(Math.min(...entries.map(([, { createdAtMs }]) => createdAtMs)))),
  });
}

function progressRow(
  sources: FleetSources,
  cluster: string,
  record: RevocationRecord,
  nowMs: number,
): RevocationProgress {
  const { outcome } = record;
  const effective = outcome?.applied === true;
  const boundedAtMs = boundOf(sources, cluster, record);
  const state = stateOf(sources, cluster, record, nowMs >= boundedAtMs);
  return create(RevocationProgressSchema, {
    cluster,
    state,
    serial: BigInt(record.serial),
    detail: outcome?.detail ?? "",
    ...member("acknowledgedAt", effective ? timestamp(outcome.atMs) : undefined),
    ...member("effectiveAt", effective ? timestamp(outcome.effectiveAtMs ?? outcome.atMs) : undefined),
    ...member("boundedAt", effective ? undefined : timestamp(boundedAtMs)),
  });
}

/**
 * When it ends on an agent without contact. What the record says was true when it was ordered; an agent that was heard since may have
 * verified its snapshot anew, and the newest index may have been signed before the signer heard of the floor.
 */
function boundOf(sources: FleetSources, cluster: string, record: RevocationRecord): number {
  if (record.target === "PackInstalled") {
    const index = sources.desired.current(cluster)?.document;
    const { target, name, floor } = record;
    const carries = index?.revocations.some(
      (held) => held.target === target && held.name === name && held.floor >= floor,
    );
    const indexEndMs = index === undefined || carries === true ? 0 : Date.parse(index.expiresAt);
    return Math.max(record.boundedAtMs, indexEndMs);
  }
  const { lastSeenMs = 0 } = contactOf(sources, cluster);
  return Math.max(record.boundedAtMs, lastSeenMs + maxOfflineMs(sources, cluster));
}

/** How long a tenant serves its permission snapshot without renewal, milliseconds. */
export function maxOfflineMs(sources: FleetSources, cluster: string): number {
  const snapshot = sources.snapshots.get({ namespace: NAMESPACES.seam, name: snapshotName(cluster) });
  return (snapshot?.spec.maxOfflineSeconds ?? DEFAULT_MAX_OFFLINE_SECONDS) * 1000;
}

function stateOf(sources: FleetSources, cluster: string, record: RevocationRecord, ended: boolean): State {
  const { outcome, serial } = record;
  if (outcome?.applied === true) return State.EFFECTIVE;
  if (!contactOf(sources, cluster).connected) return ended ? State.EXPIRED : State.OFFLINE;
  if (outcome !== undefined) return State.FAILED;
  // Another replica serves it: that it was sent is not known here, and soon it is effective.
  const view = sources.view.agent(cluster);
  const sent = view?.connected === true ? view.revocationsSentThrough : 0n;
  return sent >= BigInt(serial) ? State.SENT : State.PENDING;
}
