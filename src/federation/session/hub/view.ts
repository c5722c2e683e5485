import type { ChannelReason } from "./effects.ts";
import type { HeldIndex, QuarantinedItem, RefusedIndex } from "./agent-claims.ts";
import type { HubCounters } from "./counters.ts";

/** What operators see of one session: a snapshot, made when asked for. */
export interface HubSessionView {
  readonly cluster: string;
  /** `absent`: no stream. `opening`: Hello awaited. `loading`: facts of the session awaited. `live`: usable. */
  readonly phase: "absent" | "opening" | "loading" | "live";
  readonly sessionId: string;
  readonly term: bigint;
  readonly agentVersion: string;
  /** Protocol version of the current or last stream; 0 before the first Welcome. */
  readonly protocolVersion: number;
  /** Agent process; two that alternate mean two agents with one certificate. */
  readonly instanceId: string;
  readonly storeId: string;
  /** When two agents with one certificate took turns last, wall clock, Unix milliseconds; undefined when never. */
  readonly rivalMs: number | undefined;
  /** Wall clock, Unix milliseconds; 0 when never. */
  readonly connectedAtMs: number;
  readonly lastSeenMs: number;
  readonly roundTripMs: number | undefined;
  readonly held: HeldIndex | undefined;
  readonly refused: RefusedIndex | undefined;
  readonly quarantined: ReadonlyMap<string, QuarantinedItem>;
  /** Serial up to which revocations were sent on this stream, or were in force when it began. */
  readonly revocationsSentThrough: bigint;
  readonly pendingRevocations: number;
  /** By the agent's last heartbeat. */
  readonly auditBacklogEvents: bigint;
  readonly auditBacklogBytes: bigint;
  readonly auditStoredThrough: bigint;
  /** Queued and in flight. */
  readonly queuedBytes: number;
  readonly needsResync: boolean;
  readonly degradedReasons: readonly string[];
  readonly lastDisconnect:
    | { readonly reason: ChannelReason; readonly detail: string; readonly atMs: number }
    | undefined;
  readonly counters: Readonly<HubCounters>;
}
