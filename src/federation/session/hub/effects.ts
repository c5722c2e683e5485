import type { Hello } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { ItemReport } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { AuditEventBatch } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { Digest } from "../../../base/digest.ts";
import type { Frame } from "../frame.ts";
import type { RequestPayload, StatePayload } from "../payload.ts";
import type { StreamEnd } from "../stream-end.ts";

/**
 * What the hub's shell does for one session. The hub keeps no store of its own: durability is StoreFact and StoreAudit,
 * whose answers let acknowledgements leave, so `Ready.persist` is always empty on this side.
 */
export type HubEffect =
  /** Write one frame to the stream of this generation. */
  | { readonly type: "Send"; readonly generation: number; readonly frame: Frame }
  /**
   * Destroy the stream (never a graceful close, lessons §1.6), after frames already sent were handed to the transport or
   * `lingerMs` passed. `code` is for the gRPC status, logs and metrics.
   */
  | {
      readonly type: "Destroy";
      readonly generation: number;
      readonly code: StreamEnd;
      readonly detail: string;
      readonly lingerMs: number;
    }
  /** Acquire ownership and read what {@link LoadedSession} holds; answer SessionLoaded or SessionLoadFailed. */
  | { readonly type: "LoadSession"; readonly generation: number; readonly hello: Hello }
  /**
   * Bring a body into memory and keep it until UnpinBlob; answer BlobPinned. Allowed digests: those of DesiredStates.blob, and the
   * current index itself (its canonical body).
   */
  | { readonly type: "PinBlob"; readonly token: number; readonly digest: Digest }
  | { readonly type: "UnpinBlob"; readonly token: number; readonly digest: Digest }
  /** Wait for a turn to compare range digests; answer CompareAcquired. At most one per session at a time. */
  | { readonly type: "AcquireCompare" }
  /** The turn, or the wait for it, is over. */
  | { readonly type: "ReleaseCompare" }
  /** Make a fact durable; answer FactStored with the token. */
  | { readonly type: "StoreFact"; readonly token: number; readonly fact: Fact }
  /** Append a batch to the sink; answer AuditStored with the token. One at a time per session. */
  | { readonly type: "StoreAudit"; readonly token: number; readonly batch: AuditEventBatch }
  /** An operator's retry is over, carried out or void: take it out of the store; RetriesChanged follows. */
  | { readonly type: "SettleRetry"; readonly id: string }
  /** A request that another room answers with a Respond event. */
  | { readonly type: "HandleRequest"; readonly generation: number; readonly request: RequestPayload }
  /** The channel changed: for the RunnerConfig condition. Transitions only. */
  | {
      readonly type: "ChannelChanged";
      readonly connected: boolean;
      readonly reason: ChannelReason;
      readonly detail: string;
    }
  /**
   * Hand in current DriftUpdates anew: those under `keys`, which the queue refused and has room for again; all of them when it is undefined,
   * since a stream went live.
   */
  | { readonly type: "Resync"; readonly keys: ReadonlySet<string> | undefined };

/** A fact to make durable. */
export type Fact =
  | { readonly kind: "state"; readonly key: string; readonly payload: StatePayload }
  /** Newest report of each item, coalesced. */
  | { readonly kind: "items"; readonly reports: readonly ItemReport[] }
  | {
      readonly kind: "revocation";
      readonly serial: bigint;
      readonly applied: boolean;
      readonly detail: string;
      /** When it took effect, Unix milliseconds by the agent's clock; 0 when only Hello or an accepted index says that it is in force. */
      readonly effectiveUnixMs: number;
    };

/** Reasons of the FederationChannelDegraded condition. */
export type ChannelReason = "Recovered" | "HeartbeatMissed" | "Disconnected";
