import type { LeaseObject } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import type { Draft } from "../../../cluster/cluster.ts";
import { microTime } from "../../../controller/lease.ts";

/** Label of membership Leases, so that one watch follows them all. */
export const REPLICA_LABEL = "seam.ontai.dev/federation-replica";

const PREFIX = "hub-replica-";
const ENDPOINT = "seam.ontai.dev/federation-endpoint";
const INTERNAL_ENDPOINT = "seam.ontai.dev/internal-endpoint";
const SESSIONS = "seam.ontai.dev/federation-sessions";
const DRAINING = "seam.ontai.dev/federation-draining";
const AUDIT_SINK = "seam.ontai.dev/audit-sink";
/** Longest name of a Lease is 253 characters. */
const MAX_REPLICA_LENGTH = 200;

/** What a replica tells the others about itself. */
export interface ReplicaFacts {
  /** Where agents reach it, `host:port`; empty when it does not say. */
  readonly endpoint: string;
  /** Where the other replicas reach its FleetService, `host:port`; empty when they do not. */
  readonly internalEndpoint: string;
  /** Streams it carries. */
  readonly sessions: number;
  /** True from the moment it begins to stop: nobody is sent there any more. */
  readonly draining: boolean;
  /** Which audit sink it stores to: equal for replicas that share one. */
  readonly auditSink: string;
}

/** One replica as its membership Lease shows it. */
export interface ReplicaRecord extends ReplicaFacts {
  /** Name, the same after a restart. */
  readonly replica: string;
  /** The process and its membership: another one after every start and after every loss. Ownership names it. */
  readonly identity: string;
  /** Without a renewal for this long the membership is over, milliseconds. */
  readonly durationMs: number;
}

/** Name of the Lease of a replica. Characters that a name must not have become hyphens. */
export function membershipLeaseName(replica: string): string {
  const name = replica
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, "-")
    .slice(0, MAX_REPLICA_LENGTH)
    .replaceAll(/^[.-]+|[.-]+$/g, "");
  return PREFIX + name;
}

/** Identity of the `count`-th membership of a process: names the replica, and no two memberships share it. */
export function membershipIdentity(replica: string, process: string, count: number): string {
  return `${replica}/${process}.${count}`;
}

/** The replica's name in an identity. */
export function replicaOf(identity: string): string {
  const at = identity.lastIndexOf("/");
  return at < 0 ? identity : identity.slice(0, at);
}

/** Reads a membership Lease; undefined for one that says nothing usable. */
export function readReplica(lease: LeaseObject): ReplicaRecord | undefined {
  const identity = lease.spec?.holderIdentity ?? "";
  const seconds = lease.spec?.leaseDurationSeconds ?? 0;
  if (identity === "" || seconds <= 0) return undefined;
  const said = lease.metadata.annotations ?? {};
  const sessions = Number(said[SESSIONS]);
  return {
    replica: replicaOf(identity),
    identity,
    durationMs: seconds * 1000,
    endpoint: said[ENDPOINT] ?? "",
    internalEndpoint: said[INTERNAL_ENDPOINT] ?? "",
    sessions: Number.isSafeInteger(sessions) && sessions >= 0 ? sessions : 0,
    draining: said[DRAINING] === "true",
    auditSink: said[AUDIT_SINK] ?? "",
  };
}

/** A membership Lease that does not exist yet. */
export function newMembershipLease(record: ReplicaRecord, nowMs: number): Draft<LeaseObject> {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: membershipLeaseName(record.replica),
      namespace: NAMESPACES.ont,
      labels: { [REPLICA_LABEL]: "true" },
      annotations: annotations(record),
    },
    spec: { ...holding(record, nowMs), leaseTransitions: 1 },
  };
}

/** `lease` taken over by `record`: a restart, or a membership that had ended. */
export function takenOver(lease: LeaseObject, record: ReplicaRecord, nowMs: number): LeaseObject {
  return {
    ...lease,
    metadata: {
      ...lease.metadata,
      labels: { ...lease.metadata.labels, [REPLICA_LABEL]: "true" },
      annotations: { ...lease.metadata.annotations, ...annotations(record) },
    },
    spec: { ...holding(record, nowMs), leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + 1 },
  };
}

/** `lease` renewed by its holder. */
export function renewed(lease: LeaseObject, record: ReplicaRecord, nowMs: number): LeaseObject {
  return {
    ...lease,
    metadata: { ...lease.metadata, annotations: { ...lease.metadata.annotations, ...annotations(record) } },
    spec: { ...lease.spec, renewTime: microTime(nowMs) },
  };
}

function holding(record: ReplicaRecord, nowMs: number): NonNullable<LeaseObject["spec"]> {
  const now = microTime(nowMs);
  return {
    holderIdentity: record.identity,
    leaseDurationSeconds: Math.ceil(record.durationMs / 1000),
    acquireTime: now,
    renewTime: now,
  };
}

function annotations(record: ReplicaRecord): Readonly<Record<string, string>> {
  return {
    [ENDPOINT]: record.endpoint,
    [INTERNAL_ENDPOINT]: record.internalEndpoint,
    [SESSIONS]: String(record.sessions),
    [DRAINING]: String(record.draining),
    [AUDIT_SINK]: record.auditSink,
  };
}
