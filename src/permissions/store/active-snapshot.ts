import type { PermissionIndex } from "../index/permission-index.ts";
import type { SnapshotFailureCode } from "../snapshot/snapshot-failure.ts";
import type { SnapshotStatement } from "../snapshot/statement.ts";
import type { Freshness } from "./freshness.ts";

/** The snapshot that answers questions. Immutable: a renewal or a change makes another one. */
export interface ActiveSnapshot {
  readonly statement: SnapshotStatement;
  readonly index: PermissionIndex;
  /** Of its position, for answers (permissions §11.1). */
  readonly consistencyToken: string;
  /** Key that verified the statement: hex SHA-256 of its SPKI DER. */
  readonly keyId: string;
  /** Monotonic milliseconds at which age 0 was. */
  readonly verifiedMonotonicMs: number;
  /** Wall clock of the last verification, Unix milliseconds; for people. */
  readonly verifiedAtMs: number;
}

/** A refused offer. */
export interface SnapshotRejection {
  /** As far as it could be read. */
  readonly version: string;
  readonly code: SnapshotFailureCode;
  /** For people. */
  readonly detail: string;
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** State of the store at one moment. */
export interface SnapshotState {
  readonly freshness: Freshness;
  /** Monotonic milliseconds since the last verified statement; 0 while nothing is held. */
  readonly ageMs: number;
  /** True after a refused offer until one verifies; orthogonal to freshness, decisions go on. */
  readonly degraded: boolean;
  /** Last refused offer, kept after it healed. */
  readonly lastRejection: SnapshotRejection | undefined;
}

/** What a listener of the store hears, after it happened. */
export type SnapshotStoreEvent =
  | { readonly type: "activated"; readonly previous: ActiveSnapshot | undefined; readonly current: ActiveSnapshot }
  | { readonly type: "renewed"; readonly current: ActiveSnapshot }
  /** `what`: an offer, or what is held (at the start, or after keys changed). */
  | { readonly type: "refused"; readonly what: "offer" | "held"; readonly rejection: SnapshotRejection }
  | { readonly type: "healed"; readonly what: "offer" | "held" }
  | { readonly type: "freshness"; readonly freshness: Freshness }
  | { readonly type: "revoked"; readonly minSequence: number };
