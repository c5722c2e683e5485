import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import type { AuditEventBatch } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { ItemNack } from "../../spoke/ports.ts";
import type { Digest } from "../../../base/digest.ts";
import type { RequestPayload, StatePayload } from "../payload.ts";

/** What happens to the agent's side of its session. `generation` is the one of the Dial effect that the stream answers. */
export type SpokeEvent =
  /** The agent leads and may dial. */
  | { readonly type: "Start" }
  /** The agent stops: Goodbye, no more dialling. */
  | { readonly type: "Stop"; readonly reason: string }
  /** Answers Dial: the stream is open, Hello may leave. */
  | { readonly type: "StreamOpened"; readonly generation: number }
  /**
   * Answers Dial: a connect phase failed or missed its deadline. `answered`: a hub had a part in it. False: no TCP connection came up, or
   * nothing was said on it until the deadline of the TLS handshake.
   */
  | {
      readonly type: "DialFailed";
      readonly generation: number;
      readonly reason: string;
      readonly answered: boolean;
    }
  | { readonly type: "FrameReceived"; readonly generation: number; readonly envelope: Envelope; readonly bytes: number }
  /** Bytes arrived that are no frame: too large, or garbage. */
  | { readonly type: "FrameInvalid"; readonly generation: number; readonly tooLarge: boolean; readonly detail: string }
  | { readonly type: "StreamClosed"; readonly generation: number; readonly reason: string }
  /** `write()` returned false: no Send until StreamDrained. */
  | { readonly type: "StreamBlocked"; readonly generation: number }
  | { readonly type: "StreamDrained"; readonly generation: number }
  /** Answers RunHandler. A thrown error is a retryable INTERNAL nack. An aborted handler answers too, with any outcome. */
  | { readonly type: "HandlerDone"; readonly token: number; readonly nack: ItemNack | undefined }
  /** What a running handler waits for, for `explain`. */
  | { readonly type: "HandlerWaiting"; readonly token: number; readonly text: string }
  /** Answers CheckBlob. */
  | { readonly type: "BlobChecked"; readonly digest: Digest; readonly ok: boolean }
  /** The outbox durably holds a new report of a key. */
  | { readonly type: "FactPending"; readonly fact: PendingFact }
  /** Answers LoadFacts: the newest report of each key still pending. A key that is gone is left out. */
  | { readonly type: "FactsLoaded"; readonly token: number; readonly facts: readonly LoadedFact[] }
  /** The audit log durably holds every number up to `last`. */
  | { readonly type: "AuditAppended"; readonly epoch: bigint; readonly last: bigint; readonly backlogBytes: bigint }
  /** Answers LoadAudit. `batch` undefined: nothing held at or after `from`. */
  | {
      readonly type: "AuditLoaded";
      readonly token: number;
      readonly batch: AuditEventBatch | undefined;
      readonly bytes: number;
    }
  /** Answers Revoke: local caches dropped the item, durably. */
  | { readonly type: "RevokeDone"; readonly serial: bigint; readonly applied: boolean; readonly detail: string }
  /** Answers EnforceFloors: the floors are durable and what lies below them is dropped, or that failed and is tried again. */
  | { readonly type: "FloorsEnforced"; readonly token: number; readonly ok: boolean }
  /** A room of the tenant asks the hub something. Fails closed (RequestFailed) without a stream. */
  | { readonly type: "Request"; readonly request: RequestPayload; readonly deadlineMs: number }
  /** Time passed; due at or after `deadlineMs`. */
  | { readonly type: "Tick" };

/** A state-lane report that waits in the outbox: a key and its counter, never the body. */
export interface PendingFact {
  readonly key: string;
  readonly kind: StatePayload["case"];
  readonly reportVersion: bigint;
}

/** A report read from the outbox. */
export interface LoadedFact extends PendingFact {
  readonly payload: StatePayload;
  /** Encoded size of the payload. */
  readonly bytes: number;
}
