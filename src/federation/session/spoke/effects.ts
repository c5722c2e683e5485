import type { RevocationPush } from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { DriftUpdate } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { IndexItem, IndexRevocation } from "../../index/index-document.ts";
import type { Digest } from "../../../base/digest.ts";
import type { Frame } from "../frame.ts";
import type { ResponsePayload } from "../payload.ts";
import type { StreamEnd } from "../stream-end.ts";

/** What the agent's shell does after the writes of the same Ready are durable. */
export type SpokeEffect =
  /**
   * Open a stream to the first endpoint that answers; answer StreamOpened or DialFailed. `endpoints` empty: the configured ones. What a
   * hub named may be gone: after a failed dial the next one has none again.
   */
  | { readonly type: "Dial"; readonly generation: number; readonly endpoints: readonly string[] }
  | { readonly type: "Send"; readonly generation: number; readonly frame: Frame }
  /** Destroy the stream, after frames already sent were handed to the transport or `lingerMs` passed. */
  | {
      readonly type: "Destroy";
      readonly generation: number;
      readonly code: StreamEnd;
      readonly detail: string;
      readonly lingerMs: number;
    }
  /**
   * Run one phase of the handler of `item.kind`; answer HandlerDone with the token. Phases of one item never run concurrently.
   * A kind without a handler answers nack UNSUPPORTED.
   */
  | { readonly type: "RunHandler"; readonly token: number; readonly phase: HandlerPhase; readonly item: IndexItem }
  /** Abort the signal of a running handler: a newer version supersedes its item. HandlerDone still follows. */
  | { readonly type: "AbortHandler"; readonly token: number }
  /** Hash a completely held body against its digest; answer BlobChecked. */
  | { readonly type: "CheckBlob"; readonly digest: Digest }
  /** Read the newest pending report of each key; answer FactsLoaded. */
  | { readonly type: "LoadFacts"; readonly token: number; readonly keys: readonly string[] }
  /** Read which reports wait, after {@link SpokeWrite} ReopenFacts; answer FactPending for each. */
  | { readonly type: "ListFacts" }
  /** Read at most `maxEvents` consecutive events and `maxBytes` from number `from` on; answer AuditLoaded. */
  | {
      readonly type: "LoadAudit";
      readonly token: number;
      readonly epoch: bigint;
      readonly from: bigint;
      readonly maxEvents: number;
      readonly maxBytes: number;
    }
  /** Drop what the revocation names from every cache, durably; answer RevokeDone. */
  | { readonly type: "Revoke"; readonly push: RevocationPush }
  /** Raise these floors of the index in force, durably, and drop what lies below them; answer FloorsEnforced with the token. */
  | { readonly type: "EnforceFloors"; readonly token: number; readonly floors: readonly IndexRevocation[] }
  | { readonly type: "DriftUpdated"; readonly update: DriftUpdate }
  /** Answer to a Request. */
  | { readonly type: "Response"; readonly response: ResponsePayload }
  /** A Request cannot be answered: no stream, stream lost, or its deadline passed. */
  | { readonly type: "RequestFailed"; readonly requestId: string; readonly reason: RequestFailure }
  /** The hub will never store this report; the outbox drops that version and shows why. */
  | { readonly type: "FactRefused"; readonly key: string; readonly reason: string; readonly detail: string }
  /** The log was restored, or lost its end: what it holds has numbers higher by `by` now, behind those the hub has. */
  | { readonly type: "AuditMoved"; readonly behind: bigint; readonly by: bigint }
  /** Audit numbers the sink refused, with their codes. */
  | {
      readonly type: "AuditRefused";
      readonly rejected: readonly { readonly sequence: bigint; readonly code: string }[];
    }
  /** An index was accepted or refused; for status and metrics. */
  | { readonly type: "IndexJudged"; readonly accepted: boolean; readonly sequence: number; readonly code: string }
  /** The index in force ran out, or a newer one took its place: from now on nothing new follows from it, or again does. */
  | { readonly type: "IndexFreshness"; readonly expired: boolean; readonly expiresAt: string }
  /** Transitions only. */
  | {
      readonly type: "ChannelChanged";
      readonly connected: boolean;
      readonly degraded: boolean;
      readonly reason: string;
    };

/** Phases of an item handler. */
export type HandlerPhase = "verify" | "apply" | "healthy" | "remove";

/** Why a request failed (R-4.24: closed). */
export type RequestFailure = "FederationChannelDegraded" | "DeadlineExceeded" | "TooManyRequests" | "Unsupported";
