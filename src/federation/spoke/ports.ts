import type { Nack } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type {
  CapabilityDeclaration,
  DriftReport,
  DriftUpdate,
  PackReceiptReport,
  SnapshotReceiptReport,
} from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { JsonObject } from "../../base/json.ts";
import type { AuditPressure } from "../outbox/audit-pressure.ts";
import type { IndexItem, IndexRevocation, ItemKind } from "../index/index-document.ts";
import type { RevocationBody } from "../revocation/revocation-body.ts";

/** What the spoke needs from the rest of the house: one handler per item kind, and somewhere to say what happened. */

/** Reads bodies that are held durably and whose digest was checked. */
export interface BlobReader {
  /** @throws Error when the blob is not held: a bug, since an item is handled only after its blobs are. */
  read(digest: string): Promise<Uint8Array>;
}

/** Everything a handler gets for one item. */
export interface ItemContext {
  readonly cluster: string;
  readonly item: IndexItem;
  /** The item's body: JSON form of a signed envelope. Empty for a tombstone without body. */
  readonly body: Uint8Array;
  readonly blobs: BlobReader;
  /** Aborts when the agent stops or a newer version of the item supersedes this one. */
  readonly signal: AbortSignal;
  /** Says what the item waits for, for `explain`. Cheap; coalesced. */
  waitingFor(text: string): void;
}

/** Outcome of one phase of a handler. */
export type ItemOutcome = { readonly ok: true } | { readonly ok: false; readonly nack: ItemNack };

/** A refusal without protobuf noise. */
export type ItemNack = Pick<Nack, "class" | "retryable" | "reason" | "detail">;

/**
 * Handles one kind of item. Phases run in order; each must be idempotent, because a crash repeats the phase that had not been
 * recorded. A thrown error counts as a retryable INTERNAL nack. Handlers of different items run concurrently; phases of one item
 * never do.
 */
export interface ItemHandler {
  readonly kind: ItemKind;
  /** Verifies signature, cluster, ordering and content, and stores floors before it returns. No effect on the tenant. */
  verify(context: ItemContext): Promise<ItemOutcome>;
  /** Brings the effect about; durable when it returns. */
  apply(context: ItemContext): Promise<ItemOutcome>;
  /** Resolves when the effect is observed ready, or with a nack when it cannot become so. May wait long; obeys `signal`. */
  healthy(context: ItemContext): Promise<ItemOutcome>;
  /** Handles a tombstone: verifies and removes. */
  remove(context: ItemContext): Promise<ItemOutcome>;
}

/** The agent's durable way up. A promise resolves when the fact is in the outbox; delivery and resending are the outbox's. */
export interface FactOutbox {
  /** State lane: the newest report of a key replaces an unsent one. `reportVersion` is filled in. */
  packReceipt(report: Omit<PackReceiptReport, "$typeName" | "reportVersion">): Promise<void>;
  snapshotReceipt(report: Omit<SnapshotReceiptReport, "$typeName" | "reportVersion">): Promise<void>;
  drift(report: Omit<DriftReport, "$typeName" | "reportVersion">): Promise<void>;
  capability(declaration: Omit<CapabilityDeclaration, "$typeName" | "reportVersion">): Promise<void>;
  /** Audit lane: append only, numbered and chained by the outbox. Resolves after the group commit that holds it. */
  audit(event: JsonObject): Promise<void>;
}

/** How full the audit log of the tenant is. */
export interface AuditLogState {
  readonly pressure: AuditPressure;
  /** Bytes that no hub has acknowledged. */
  readonly backlogBytes: number;
  readonly capBytes: number;
  /** Allows dropped since the store was created. */
  readonly dropped: number;
}

/** What the spoke tells the tenant's other rooms. */
export interface SpokeEvents {
  /** The hub's view of a drift signal. */
  driftUpdate(update: DriftUpdate): void;
  /** A verified revocation with its signed envelope: drop what it names from every local cache, durably, then resolve; the acknowledgement leaves after that. */
  revoke(
    revocation: RevocationBody,
    envelope: Uint8Array,
  ): Promise<{ readonly applied: boolean; readonly detail: string }>;
  /** Floors of the index in force: as {@link revoke}, for all of them; raising one again does nothing. A rejection is tried again. `signedIndex` is their proof: its envelope, JSON form. */
  enforceFloors(floors: readonly IndexRevocation[], signedIndex: () => Promise<Uint8Array>): Promise<void>;
  /** The audit log came under another pressure, or lost allows; told at start as well. */
  auditLog?(state: AuditLogState): void;
  /** An index was refused: it is not trusted, or not understood. */
  indexRefused?(refusal: { readonly sequence: number; readonly code: string }): void;
  /** The index in force ran out, or a newer one took its place. */
  indexFreshness(state: { readonly expired: boolean; readonly expiresAt: string }): void;
  /** The channel became usable or degraded. */
  channel(state: { readonly connected: boolean; readonly degraded: boolean; readonly reason: string }): void;
}
