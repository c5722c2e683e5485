import type { ItemNack } from "../../spoke/ports.ts";
import type { IndexItem } from "../../index/index-document.ts";
import type { EnvelopeSignature } from "../../../trust/dsse.ts";
import type { Digest } from "../../../base/digest.ts";
import type { PendingFact } from "./events.ts";

/**
 * What an agent keeps in its durable store, as it is read back at start. The store applies {@link SpokeWrite}s; reading it
 * back after any prefix of committed transactions gives a record from which the machine goes on.
 */
export interface SpokeRecord {
  /** Created once with the store (Hello.store_id). */
  readonly storeId: string;
  /** Last index that was verified and stored. */
  readonly index: StoredIndex | undefined;
  /** Highest fencing term accepted. */
  readonly term: bigint;
  /** Highest revocation serial whose effect is durable. */
  readonly revocationSerial: bigint;
  /** Progress of every item known. */
  readonly items: readonly ItemRecord[];
  /** Bodies held, whole or in part. */
  readonly blobs: readonly BlobRecord[];
  /** State-lane reports not yet acknowledged. */
  readonly facts: readonly PendingFact[];
  /** Audit lane. */
  readonly audit: AuditCursor;
}

/** A trusted index and the floors it sets: one row, so they move together. */
export interface StoredIndex {
  readonly body: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
  readonly digest: Digest;
}

/** Progress levels, in order. A tombstone goes from 0 to 4. */
export const ITEM_LEVELS = ["pending", "received", "verified", "applied", "healthy"] as const;

/** One of {@link ITEM_LEVELS}. */
export type ItemLevel = (typeof ITEM_LEVELS)[number];

/** Progress of one item: replaced as a whole when the item changes. */
export interface ItemRecord {
  readonly item: IndexItem;
  /** Epoch of the index that brought this version: versions compare within an epoch. */
  readonly epoch: number;
  readonly level: ItemLevel;
  /** When the level was reached, Unix milliseconds. */
  readonly atMs: number;
  /** Last refusal, while it stands. */
  readonly nack: ItemNack | undefined;
  /** Retryable refusals in a row. */
  readonly attempts: number;
  /** The last version whose effect is in force; its bodies are kept until a newer one is applied (lessons §7.6). */
  readonly lastGood: IndexItem | undefined;
  /** Build of the agent that refused for good: another build tries again. Empty when not quarantined. */
  readonly quarantinedBy: string;
  /** Operator's retry of this content that was carried out last; empty when none was. */
  readonly retriedBy: string;
}

/** A body in the agent's store. */
export interface BlobRecord {
  readonly digest: Digest;
  /** Durable bytes from the start. */
  readonly held: number;
  /** Size of the whole body. */
  readonly total: number;
  /** True after the digest over the whole was checked. */
  readonly checked: boolean;
}

/** Audit lane as the outbox knows it. Zero `last` with zero `firstHeld` means an empty log. */
export interface AuditCursor {
  readonly epoch: bigint;
  /** Acknowledged by a hub up to here. */
  readonly ackedThrough: bigint;
  /** Lowest number still held; `last + 1n` when none is. */
  readonly firstHeld: bigint;
  /** Highest number assigned. */
  readonly last: bigint;
  /** Bytes of records not acknowledged. */
  readonly backlogBytes: bigint;
}

/** One change of the store. All writes of a Ready are one transaction. */
export type SpokeWrite =
  | { readonly type: "PutIndex"; readonly index: StoredIndex }
  | { readonly type: "PutTerm"; readonly term: bigint }
  | { readonly type: "PutRevocationSerial"; readonly serial: bigint }
  | { readonly type: "PutItem"; readonly record: ItemRecord }
  /** Forget an item (`kind/name`): its tombstone is done and left the index. */
  | { readonly type: "DeleteItem"; readonly key: string }
  /**
   * Append `data` at `offset`, which equals the bytes held; offset 0 starts the body anew, whatever was held. With `checked` the
   * digest over the whole was checked already.
   */
  | {
      readonly type: "AppendBlob";
      readonly digest: Digest;
      readonly offset: number;
      readonly total: number;
      readonly data: Uint8Array;
      readonly checked: boolean;
    }
  /** The digest over the whole was checked. */
  | { readonly type: "MarkBlobChecked"; readonly digest: Digest }
  /** Forget a body: no held item names it, or its digest did not match. */
  | { readonly type: "DeleteBlob"; readonly digest: Digest }
  /** The hub stored this report: it waits no more, unless a newer one of the key does. */
  | { readonly type: "AcknowledgeFact"; readonly key: string; readonly reportVersion: bigint }
  /** The hub lost what it had stored: the newest report of every key waits again, whether it was acknowledged or not. */
  | { readonly type: "ReopenFacts" }
  /** The sink holds every number up to `through`; records up to it may go. */
  | { readonly type: "AcknowledgeAudit"; readonly epoch: bigint; readonly through: bigint }
  /** The hub has stored numbers this log never assigned (an old backup was restored): whatever is held gets numbers higher by `by`. */
  | { readonly type: "MoveAudit"; readonly epoch: bigint; readonly by: bigint }
  /** Numbers `from`…`to` are gone for good: append an `audit.gap` record that says so. */
  | { readonly type: "AppendAuditGap"; readonly epoch: bigint; readonly from: bigint; readonly to: bigint };
