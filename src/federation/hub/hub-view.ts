/** A position in the signed desired state. */
export interface IndexPositionView {
  readonly epoch: number;
  readonly sequence: number;
  /** Digest of the index body. */
  readonly digest: string;
}

/** A refusal of a whole index: the last good one stays in force on the tenant. */
export interface RefusedIndexView extends IndexPositionView {
  /** Stable code, for example UNKNOWN_KEY. */
  readonly reason: string;
  /** For people. */
  readonly detail: string;
}

/** One tenant's session as this replica sees it. Times are Unix milliseconds. */
export interface AgentView {
  readonly cluster: string;
  /** True while a verified stream carries the session. */
  readonly connected: boolean;
  /** Of the current or last stream. */
  readonly sessionId: string;
  readonly term: bigint;
  readonly agentVersion: string;
  /** Version of the protocol on the current or last stream; 0 before the first. */
  readonly protocolVersion: number;
  /** When the current stream was accepted. */
  readonly connectedAtMs?: number;
  /** Last frame of any kind. */
  readonly lastSeenMs?: number;
  /** Last measured round trip, milliseconds. */
  readonly rttMs?: number;
  /** What the agent last said it holds. */
  readonly held?: IndexPositionView;
  /** What was offered last on the current stream. */
  readonly offered?: IndexPositionView & { readonly atMs: number };
  /** The index the agent refused as a whole, while that refusal stands. */
  readonly refusedIndex?: RefusedIndexView;
  /** Audit records at the agent that the hub has not stored. */
  readonly auditBacklog: bigint;
  /** Highest contiguous audit number stored. */
  readonly auditStoredThrough: bigint;
  /** End of the client certificate of the current or last stream. */
  readonly certificateNotAfterMs?: number;
  /** When two agents with one certificate took turns last; absent when that is no news any more. */
  readonly rivalMs?: number;
  /** Why the channel is degraded; empty when it is not. */
  readonly degradedReason: string;
  /** Serial up to which revocations were sent on the current stream, or were in force when it began. */
  readonly revocationsSentThrough: bigint;
  /** Bytes queued and in flight. */
  readonly queuedBytes: number;
  /** True when the queue hit its budget. */
  readonly needsResync: boolean;
  /** Reason the last stream ended, with its time; empty when none ended. */
  readonly lastDisconnect: string;
}

/** What the hub's shell shows of its sessions: for people, metrics and status. Cheap; reads are synchronous. */
export interface HubView {
  /** Name of this replica. */
  readonly replica: string;
  /** Streams that carry a session now. */
  readonly connected: number;
  /** Undefined when this replica never had a session of the cluster. */
  agent(cluster: string): AgentView | undefined;
  /** Every session since this replica started, connected or not. */
  agents(): readonly AgentView[];
  /** Calls `listener` after something about an agent changed; not coalesced. Returns the way to stop. */
  subscribe(listener: (cluster: string) => void): () => void;
}
