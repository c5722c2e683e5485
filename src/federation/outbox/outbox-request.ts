import type { Digest } from "../../base/digest.ts";
import type { StatePayload } from "../session/payload.ts";
import type { SpokeWrite } from "../session/spoke/record.ts";

/** An audit event on its way into the log. */
export interface NewAuditEvent {
  /** Canonical JSON. */
  readonly event: Uint8Array;
  /** True for what may be dropped when the log is full. */
  readonly droppable: boolean;
}

/** What the store is asked. Writes of one turn are one group: one fsync answers them all. */
export type OutboxRequest =
  | { readonly op: "apply"; readonly writes: readonly SpokeWrite[]; readonly nowMs: number }
  | { readonly op: "putFact"; readonly key: string; readonly kind: StatePayload["case"]; readonly payload: Uint8Array }
  | { readonly op: "appendAudit"; readonly events: readonly NewAuditEvent[]; readonly nowMs: number }
  | { readonly op: "record" }
  | { readonly op: "loadFacts"; readonly keys: readonly string[] }
  | {
      readonly op: "loadAudit";
      readonly epoch: bigint;
      readonly from: bigint;
      readonly maxEvents: number;
      readonly maxBytes: number;
    }
  | { readonly op: "readChunks"; readonly digest: Digest; readonly from: number; readonly most: number }
  | { readonly op: "readBlob"; readonly digest: string }
  | { readonly op: "auditCursor" }
  | { readonly op: "status" };

/**
 * True for a write that a crash may undo: that a hub has stored audit events is only said once more by the hub. It waits for no fsync of its
 * own; the next write that must last takes it along.
 */
export function isRepeatable(request: OutboxRequest): boolean {
  return request.op === "apply" && request.writes.every(({ type }) => type === "AcknowledgeAudit");
}

/** True for requests that change the store. */
export function isWrite(request: OutboxRequest): boolean {
  return request.op === "apply" || request.op === "putFact" || request.op === "appendAudit";
}
