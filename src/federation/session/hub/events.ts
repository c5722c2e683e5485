import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import type { Goodbye_Code } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { RevocationPush } from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { ItemReport } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { AuditAppendResult, AuditResumePoint, DesiredIndex } from "../../hub/ports.ts";
import type { HubMessage } from "../payload.ts";
import type { RetryOrder } from "./retry-order.ts";

/**
 * What happens to the hub's side of one session (one tenant cluster). `generation` numbers the streams of the session, rising,
 * chosen by the shell; events of any but the newest are ignored (lessons §1.2).
 */
export type HubEvent =
  /** A verified stream of this cluster was accepted. Supersedes the one before. */
  | { readonly type: "StreamOpened"; readonly generation: number }
  /** A frame was parsed. `bytes` is its encoded size. */
  | { readonly type: "FrameReceived"; readonly generation: number; readonly envelope: Envelope; readonly bytes: number }
  /** Bytes arrived that are no frame: too large, or garbage. */
  | { readonly type: "FrameInvalid"; readonly generation: number; readonly tooLarge: boolean; readonly detail: string }
  /** The stream ended, whoever ended it. */
  | { readonly type: "StreamClosed"; readonly generation: number; readonly reason: string }
  /** `write()` returned false: no Send until StreamDrained. */
  | { readonly type: "StreamBlocked"; readonly generation: number }
  | { readonly type: "StreamDrained"; readonly generation: number }
  /** Answers LoadSession. */
  | { readonly type: "SessionLoaded"; readonly generation: number; readonly loaded: LoadedSession }
  | {
      readonly type: "SessionLoadFailed";
      readonly generation: number;
      readonly code: Goodbye_Code;
      readonly message: string;
      readonly retryAfterMs: number;
      /** Where the agent should go instead; empty when there is nowhere else. */
      readonly endpoint: string;
    }
  /** The tenant's desired index changed (or is known for the first time). */
  | { readonly type: "DesiredChanged"; readonly desired: DesiredIndex | undefined }
  /** The whole list of revocations not yet acknowledged, ascending by serial. */
  | { readonly type: "RevocationsChanged"; readonly pending: readonly RevocationPush[] }
  /** Answers PinBlob. `size` undefined: not named by the current index or not at hand; `corrupt`: the stored bytes were altered. */
  | {
      readonly type: "BlobPinned";
      readonly token: number;
      readonly size: number | undefined;
      readonly busy: boolean;
      readonly corrupt?: true;
    }
  /** Answers AcquireCompare. */
  | { readonly type: "CompareAcquired" }
  /** Answers StoreFact. */
  | { readonly type: "FactStored"; readonly token: number; readonly outcome: StoreOutcome }
  /** Answers StoreAudit. `result` undefined: the sink failed; the batch is stored again later. */
  | { readonly type: "AuditStored"; readonly token: number; readonly result: AuditAppendResult | undefined }
  /** Answers a HandleRequest, or tells the agent something (DriftUpdate). `key` set: a newer message of the same key replaces it. */
  | { readonly type: "Respond"; readonly payload: HubMessage; readonly key: string }
  /** The whole list of operator's retries that were not carried out yet. */
  | { readonly type: "RetriesChanged"; readonly orders: readonly RetryOrder[] }
  /** End the stream in order: shutdown, revoked certificate, ownership moved, lame duck. */
  | {
      readonly type: "Evict";
      readonly code: Goodbye_Code;
      readonly message: string;
      readonly retryAfterMs: number;
      readonly endpoint: string;
    }
  /** Time passed; due at or after `deadlineMs`. */
  | { readonly type: "Tick" };

/** What the shell knows about a session when an agent says Hello. */
export interface LoadedSession {
  /** New at each stream. */
  readonly sessionId: string;
  /** Fencing term under which this replica owns the session, durable. */
  readonly term: bigint;
  /** Name of this replica. */
  readonly replica: string;
  /** Position of the sink for the epoch that Hello named; zeros when Hello named none. */
  readonly audit: AuditResumePoint;
  /** The store knew less than the agent: what it has of facts may be of a backup. */
  readonly storeWentBack: boolean;
  /** Last stored level of every item (FactStore.itemLevels). */
  readonly itemLevels: readonly ItemReport[];
  /** Endpoints for Welcome. */
  readonly endpoints: readonly string[];
}

/** What became of a fact. `refused` is final; `failed` is tried again and holds the acknowledgement back. */
export type StoreOutcome =
  | { readonly kind: "stored" }
  | { readonly kind: "refused"; readonly reason: string; readonly detail: string }
  | { readonly kind: "failed" };
