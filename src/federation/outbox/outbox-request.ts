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

/** Audit events as they cross to the store's thread: their buffers are moved. */
export interface PackedAppend {
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** 1 for what may be dropped. */
  readonly droppable: Uint8Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Packs events; {@link unpackAppend} undoes it. */
export function packAppend(events: readonly NewAuditEvent[]): PackedAppend {
  const lengths = Uint32Array.from(events, ({ event }) => event.length);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const { event } of events) {
    bytes.set(event, at);
    at += event.length;
  }
  return { lengths, droppable: Uint8Array.from(events, ({ droppable }) => (droppable ? 1 : 0)), bytes };
}

/** The events that were packed: views of one buffer. */
export function unpackAppend({ lengths, droppable, bytes }: PackedAppend): readonly NewAuditEvent[] {
  let at = 0;
  return Array.from(lengths, (length, i) => {
    const event = bytes.subarray(at, at + length);
    at += length;
    return { event, droppable: droppable[i] === 1 };
  });
}

/** Buffers of a request that are moved to the store's thread. */
export function movedWith(request: OutboxRequest): readonly ArrayBuffer[] {
  if (request.op !== "appendAudit") return [];
  const { lengths, droppable, bytes } = request.events;
  return [lengths.buffer, droppable.buffer, bytes.buffer];
}

/** What the worker is asked. Writes of one turn are one group: one fsync answers them all. */
export type OutboxRequest =
  | { readonly op: "apply"; readonly writes: readonly SpokeWrite[]; readonly nowMs: number }
  | { readonly op: "putFact"; readonly key: string; readonly kind: StatePayload["case"]; readonly payload: Uint8Array }
  | { readonly op: "appendAudit"; readonly events: PackedAppend; readonly nowMs: number }
  | { readonly op: "record" }
  | { readonly op: "loadFacts"; readonly keys: readonly string[] }
  | {
      readonly op: "loadAudit";
      readonly epoch: bigint;
      readonly from: bigint;
      readonly maxEvents: number;
      readonly maxBytes: number;
    }
  | { readonly op: "checkBlob"; readonly digest: Digest }
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
