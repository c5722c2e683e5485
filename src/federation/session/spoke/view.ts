import type { AuditCursor } from "./record.ts";
import type { SpokeCounters } from "./counters.ts";

/** What the tenant sees of its session: a snapshot, made when asked for. */
export interface SpokeSessionView {
  /** `stopped`: not dialling. `waiting`: backoff. `dialing`: connect phases. `opening`: Welcome awaited. `live`: usable. */
  readonly phase: "stopped" | "waiting" | "dialing" | "opening" | "live";
  readonly sessionId: string;
  /** Replica of the hub that serves this agent. */
  readonly replica: string;
  readonly term: bigint;
  /** Dials since the last health. */
  readonly attempt: number;
  readonly roundTripMs: number | undefined;
  readonly index: { readonly epoch: number; readonly sequence: number; readonly digest: string } | undefined;
  /** True when the index in force is past its expiry: last good state is kept. */
  readonly stale: boolean;
  readonly items: number;
  readonly wantedBodies: number;
  readonly pendingFacts: number;
  readonly audit: AuditCursor;
  readonly revocationSerial: bigint;
  /** Queued and in flight. */
  readonly queuedBytes: number;
  readonly lastEnd: string;
  readonly counters: Readonly<SpokeCounters>;
}
