import type { Digest } from "../../base/digest.ts";

/**
 * The index: one small signed document that names a tenant's whole desired state (architecture §2.2). Its canonical JSON is signed
 * as payload type `federation-index`. Items are sorted by (kind, name), so equal content has equal bytes and a diff can be
 * verified by rebuilding them.
 */
export interface IndexDocument {
  readonly _type: "FederationIndex/v1";
  /** Cluster id; the agent refuses any other than its own. */
  readonly cluster: string;
  /** Unix seconds when the hub's sequence store was created; rises when that store was lost. */
  readonly epoch: number;
  /** Rises by at least one with every signed index of the epoch. */
  readonly sequence: number;
  /** RFC 3339. */
  readonly issuedAt: string;
  /** RFC 3339; past it the tenant reports "stale since" and accepts nothing new (freeze protection). */
  readonly expiresAt: string;
  /** Full key id of the signing key. */
  readonly keyId: string;
  /** Sorted by (kind, name) in code-unit order, unique. */
  readonly items: readonly IndexItem[];
  /** Floors that outlive their messages: a lost revocation push heals here. Sorted by (target, name), unique. */
  readonly revocations: readonly IndexRevocation[];
}

/** One item of desired state. */
export interface IndexItem {
  readonly kind: ItemKind;
  /** Name within the kind. */
  readonly name: string;
  /** Index sequence at which this digest (or the tombstone) first stood here: only rises for a (kind, name). */
  readonly version: number;
  /** Digest of the body: the JSON form of a signed envelope. Empty for a tombstone without body. */
  readonly digest: Digest | "";
  /** Size of the body, bytes. */
  readonly size: number;
  /** Present and true for a tombstone: the tenant removes the item. Absence from the index never removes anything. */
  readonly deleted?: true;
  /** Bodies that the item's body names by digest (pack layers, snapshot content); fetched before the item counts as received. */
  readonly refs?: readonly BlobRef[];
}

/** A further body of an item. */
export interface BlobRef {
  readonly digest: Digest;
  readonly size: number;
}

/** Kinds of items. An agent answers a kind it does not know with Nack UNSUPPORTED. */
export type ItemKind = "PackInstalled" | "PermissionSnapshot" | "Correction" | "Governance";

/** Lowest ordering value that may still be in force for one target. */
export interface IndexRevocation {
  readonly target: "PackInstalled" | "PermissionSnapshot";
  readonly name: string;
  /** Packs: lowest serial. Snapshots: lowest sequence. */
  readonly floor: number;
  /** Per-cluster serial of the revocation that set it. */
  readonly serial: number;
}

/** Key of an item: `kind/name`. */
export function itemKey(item: { readonly kind: string; readonly name: string }): string {
  return `${item.kind}/${item.name}`;
}

/** Most items one index may hold. */
export const MAX_INDEX_ITEMS = 20_000;
/** Largest canonical index body, bytes. */
export const MAX_INDEX_BYTES = 8 * 1024 * 1024;
/** Largest item body or ref, bytes (dispatcher §7.2: layer 64 MiB). */
export const MAX_BLOB_BYTES = 64 * 1024 * 1024;
