import type { ChainState } from "./audit-verification.ts";

/** Most rows that one look at the log examines: some milliseconds, between which appends go on. */
export const MAX_SCANNED = 500;

/** Which events; absent members mean all. */
export interface AuditFilter {
  readonly cluster?: string;
  readonly subject?: string;
  readonly action?: string;
  readonly decision?: string;
  /** `{namespace}/{name}` of the LineageRecord that the event names. */
  readonly lineage?: string;
  /** Received at or after, RFC 3339 with milliseconds in UTC. */
  readonly since?: string;
  /** Received before, likewise. */
  readonly until?: string;
}

/** One look: at most `limit` events and {@link MAX_SCANNED} rows, from `position` on (exclusive), newest or oldest first. */
export interface AuditScan {
  readonly filter: AuditFilter;
  readonly order: "newest" | "oldest";
  /** Arrival number; undefined starts at the end that `order` names. */
  readonly position: bigint | undefined;
  readonly limit: number;
}

/** What a look found. */
export interface AuditScanResult {
  readonly events: readonly StoredAuditEvent[];
  /** Where the next look goes on; undefined when there is nothing further. */
  readonly next: bigint | undefined;
}

/** One event as it is stored. */
export interface StoredAuditEvent {
  /** Place in this sink's order of arrival. */
  readonly arrival: bigint;
  readonly cluster: string;
  readonly epoch: bigint;
  readonly sequence: bigint;
  /** As the tenant dated it; empty when it did not. */
  readonly time: string;
  /** When the hub stored it. */
  readonly receivedAt: string;
  readonly subject: string;
  readonly action: string;
  readonly resource: string;
  readonly decision: string;
  /** Canonical JSON, the bytes of the chain. */
  readonly event: Uint8Array;
  readonly hash: Uint8Array;
}

/** Where a chain begins since retention removed its older events. */
export interface AuditFloor {
  /** Numbers up to this one were removed. */
  readonly through: bigint;
  /** Events removed. */
  readonly removed: bigint;
  /** Breaks that the removed part had. */
  readonly breaks: bigint;
  /** When events were removed last, RFC 3339. */
  readonly removedAt: string;
}

/** One chain: the log of a cluster in one epoch of its numbering. */
export interface AuditChain {
  readonly cluster: string;
  readonly epoch: bigint;
  /** Highest number stored. */
  readonly highest: bigint;
  /** Events in quarantine: refused, or of a number that another event has. */
  readonly quarantined: bigint;
  readonly floor: AuditFloor | undefined;
}

/** Outcome of one verification. */
export interface ChainVerdict {
  readonly chain: AuditChain;
  readonly state: ChainState;
}

/** The audit log as people read it. Every method looks in small steps; appends never wait for a whole answer. */
export interface AuditLogReader {
  scan(scan: AuditScan): Promise<AuditScanResult>;
  /** Arrival number of the newest event; zero when there is none. */
  newest(): Promise<bigint>;
  /** Chains, sorted by cluster and epoch. */
  chains(cluster: string | undefined): Promise<readonly AuditChain[]>;
  /** Checks every hash and link from the floor to the end. @throws the signal's reason */
  verify(chain: AuditChain, signal: AbortSignal): Promise<ChainVerdict>;
  /** Calls `listener` after events were stored. Returns the way to stop. */
  subscribe(listener: () => void): () => void;
}
