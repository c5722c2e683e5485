import type {
  AuditEventBatch,
  CapabilityDeclaration,
  DriftReport,
  PackReceiptReport,
  SnapshotReceiptReport,
} from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { RevocationPush } from "../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { ItemReport } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { SignedEnvelope } from "../../trust/dsse.ts";
import type { IndexDocument } from "../index/index-document.ts";
import type { RetryOrder } from "../session/hub/retry-order.ts";
import type { DeniedEntry } from "./tenant-directory/deny-list.ts";

/**
 * What the hub needs from the rest of the house. The hub knows sessions and frames; what desired state is made of and where facts
 * are stored is said here and implemented above it, so that the simulator and the benches can drive the same hub.
 */

/** The signed desired state of every tenant, in memory, fed by a watch. */
export interface DesiredStates {
  /** The current signed index of a tenant; undefined while none was signed yet. */
  current(cluster: string): DesiredIndex | undefined;
  /** Calls `listener` with a cluster id after its index changed. Returns the way to stop. */
  subscribe(listener: (cluster: string) => void): () => void;
  /**
   * The body for a digest that the tenant's current index names (as item or ref); undefined when the index does not name it or the
   * body is not at hand. Bodies are shared: the same array for all tenants.
   *
   * @throws BodyCorrupt when it is held but its bytes are not those of the digest
   */
  blob(cluster: string, digest: string): Promise<Uint8Array | undefined>;
}

/** A stored body was altered: it cannot be delivered until a person restores it, so asking again does not help. */
export class BodyCorrupt extends Error {
  override readonly name = "BodyCorrupt";
}

/** One signed index, encoded once. */
export interface DesiredIndex {
  readonly document: IndexDocument;
  readonly envelope: SignedEnvelope;
  /** Digest of `envelope.body`. */
  readonly digest: string;
}

/**
 * Stores facts. A promise resolves when the effect is durable (the acknowledgement leaves after that); a {@link FactRefused}
 * rejection is answered with FactRejection, any other failure is retried and holds the acknowledgement back. Every write is conditional
 * and asks the fence after its read; without one there is no rival.
 */
export interface FactStore {
  packReceipt(cluster: string, report: PackReceiptReport, fence?: WriteFence): Promise<void>;
  snapshotReceipt(cluster: string, report: SnapshotReceiptReport, fence?: WriteFence): Promise<void>;
  drift(cluster: string, report: DriftReport, fence?: WriteFence): Promise<void>;
  capability(cluster: string, declaration: CapabilityDeclaration, fence?: WriteFence): Promise<void>;
  /** Levels of items; coalesced per item by the hub before it calls. */
  items(cluster: string, reports: readonly ItemReport[], fence?: WriteFence): Promise<void>;
  /** Last stored level of every item of a tenant, for the inventory digest at hello and for `explain`. */
  itemLevels(cluster: string): Promise<readonly ItemReport[]>;
}

/** A fact that will never be stored, whatever happens. */
export class FactRefused extends Error {
  override readonly name = "FactRefused";
  /** Stable reason code. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Where audit events end (conductor §4.11). One transaction per batch, insert-if-absent on (cluster, epoch, sequence). */
export interface AuditSink {
  /** Resolves after the batch is durable. */
  append(cluster: string, batch: AuditEventBatch): Promise<AuditAppendResult>;
  /** Resume point of a cluster's log in `epoch`; zeros when nothing is stored. */
  position(cluster: string, epoch: bigint): Promise<AuditResumePoint>;
}

/** Position of the sink for one cluster and epoch. */
export interface AuditSinkPosition {
  /** Highest contiguous number stored; ranges of gap records count as stored. */
  readonly contiguousThrough: bigint;
  /** Highest number stored at all. */
  readonly highest: bigint;
}

/** Where a log goes on, and by what the agent knows that the sink speaks of the same one. */
export interface AuditResumePoint extends AuditSinkPosition {
  /** Chain hash of the event stored under `highest`; undefined when none is (a closed range, or removed by retention). */
  readonly highestHash: Uint8Array | undefined;
}

/** Outcome of an append. */
export interface AuditAppendResult extends AuditSinkPosition {
  /** Numbers refused, with their code: an equal number with another hash is AUDIT_CONFLICT. */
  readonly rejected: readonly { readonly sequence: bigint; readonly code: string }[];
}

/** Who may hold a session. */
export interface TenantDirectory {
  /** Synchronous, from a watch-fed cache: checked at TLS accept, at hello and on live streams. */
  check(cluster: string, certificateSerial: string): TenantVerdict;
  /** Calls `listener` when a verdict may have changed for a cluster. Returns the way to stop. */
  subscribe(listener: (cluster: string) => void): () => void;
  /** Every known tenant, connected or not. */
  clusters(): readonly string[];
  /** Serials of certificates that are denied, with what was remarked. */
  deniedSerials(): readonly DeniedEntry[];
}

/** Why a cluster may hold no session. */
export type TenantRefusal =
  | "UnknownCluster"
  | "NotATenant"
  | "ClusterDeleting"
  /** The cluster is revoked as a whole. */
  | "ClusterRevoked"
  | "CertificateRevoked";

/** Answer of the directory. */
export type TenantVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: TenantRefusal };

/** Session ownership (architecture §6.4): the term rises whenever ownership moves. */
export interface SessionOwnership {
  /**
   * Resolves with the fencing term under which this replica owns the session, after it is durable. The term is at least `above`, the
   * highest that the agent has seen: a store restored from a backup does not give it twice.
   *
   * @throws OwnershipLost when this replica may own nothing at the moment
   */
  acquire(cluster: string, above: bigint): Promise<bigint>;
  /** True when the last {@link acquire} of a cluster found a store that knew a lower term than the agent: a backup, or an empty one. */
  wentBack(cluster: string): boolean;
  /**
   * Resolves when this replica owns the session under `term` at this moment, by a read that began after the call.
   *
   * @throws OwnershipLost otherwise
   */
  hold(cluster: string, term: bigint): Promise<void>;
}

/** Another replica owns the session, or nobody does: an effect of this one must not happen. */
export class OwnershipLost extends Error {
  override readonly name = "OwnershipLost";
}

/**
 * Asked between the read and the conditional write of every stored fact (lessons §11.1): what was read cannot have changed when the write
 * succeeds, and the session was still this replica's after the read. So a replica that was paused anywhere overwrites nothing of its
 * successor.
 */
export interface WriteFence {
  /** @throws OwnershipLost */
  hold(): Promise<void>;
}

/** For writers that have no rival: a single replica in a test, or a tool. */
export const NO_FENCE: WriteFence = { hold: () => Promise.resolve() };

/** Of a hub without other replicas. */
export const ALONE: HubMembership = {
  valid: () => true,
  subscribe: () => () => {},
  endpoints: () => [],
  elsewhere: () => "",
  drain: () => Promise.resolve(),
};

/** Whether this replica may serve, and where else an agent may go. Absent: it is the only one. */
export interface HubMembership {
  /** Cheap, and asked before every event is handled. */
  valid(): boolean;
  /** Calls `listener` with false as soon as membership is lost and with true when there is one again. Returns the way to stop. */
  subscribe(listener: (valid: boolean) => void): () => void;
  /** Endpoints an agent of `cluster` may dial, this replica's own first; empty keeps the agents' configured ones. */
  endpoints(cluster: string): readonly string[];
  /** Where an agent of `cluster` should go instead of here; empty when there is nowhere else. */
  elsewhere(cluster: string): string;
  /** Tells the other replicas that this one stops. */
  drain(): Promise<void>;
}

/** An agent's word about a revocation. */
export interface AcknowledgedRevocation {
  readonly applied: boolean;
  /** For people. */
  readonly detail: string;
  /** When it took effect, Unix milliseconds by the agent's clock; 0 when it did not say. */
  readonly effectiveUnixMs: number;
}

/** Operator's retries by tenant: durable, the same at every replica, until an agent carried them out. */
export interface RetryOrders {
  /** Orders that were not carried out yet, oldest first. */
  pending(cluster: string): readonly RetryOrder[];
  /** Takes an order out; durable when it resolves, and nothing when it is not there. */
  settled(cluster: string, id: string): Promise<void>;
  /** Calls `listener` with a cluster id after its orders changed. Returns the way to stop. */
  subscribe(listener: (cluster: string) => void): () => void;
}

/** Revocations still to be acknowledged by a tenant, ascending by serial (conductor §4.12). */
export interface RevocationOutbox {
  pending(cluster: string, afterSerial: bigint): readonly RevocationPush[];
  /** Durable when it resolves. */
  acknowledged(cluster: string, serial: bigint, outcome: AcknowledgedRevocation): Promise<void>;
  subscribe(listener: (cluster: string) => void): () => void;
}
