import { type JsonObject, isJsonObject } from "../../base/json.ts";
import { type AuditRange, auditHash, closedRange, parseAuditEvent } from "./audit-chain.ts";
import type { SinkEvent } from "./sink-batch.ts";

/** Codes of refused events (AuditEventAck.rejected). */
export type AuditRejection = "AUDIT_CONFLICT" | "AUDIT_INVALID" | "AUDIT_HASH_MISMATCH" | "AUDIT_CLUSTER_MISMATCH";

/** What a sink needs to know of one event before it stores it. */
export type JudgedEvent =
  | {
      readonly fault: undefined;
      readonly columns: AuditColumns;
      /** Numbers that the event closes; it is an `audit.gap` or `audit.dropped` record. */
      readonly range: AuditRange | undefined;
    }
  | { readonly fault: Exclude<AuditRejection, "AUDIT_CONFLICT"> };

/** Members of an event that can be searched. */
export interface AuditColumns {
  readonly eventId: string;
  readonly time: string;
  readonly subject: string;
  readonly action: string;
  readonly resource: string;
  readonly decision: string;
}

/**
 * Longest searchable text, UTF-16 units: its longest UTF-8 form still fits a B-tree key of PostgreSQL (2,704 bytes). The event itself
 * keeps every byte.
 */
const COLUMN_UNITS = 512;

/** Searchable form of a text: bounded, and without NUL, which PostgreSQL cannot hold. A tenant's nonsense must not stop the sink. */
export function columnText(text: string): string {
  const bounded = text.length > COLUMN_UNITS ? text.slice(0, COLUMN_UNITS) : text;
  return bounded.includes("\0") ? bounded.replaceAll("\0", "\uFFFD") : bounded;
}

/** Checks form, hash and declared cluster of an event (permissions §12.3, R-4.44). */
export function judgeEvent(cluster: string, event: SinkEvent): JudgedEvent {
  if (event.hash.length !== 32 || event.prevHash.length !== 32) return { fault: "AUDIT_INVALID" };
  let fields: JsonObject;
  try {
    fields = parseAuditEvent(event.event);
  } catch {
    return { fault: "AUDIT_INVALID" }; // the answer names the number; the bytes are kept in quarantine
  }
  if (Buffer.compare(auditHash(event.prevHash, event.sequence, event.event), event.hash) !== 0)
    return { fault: "AUDIT_HASH_MISMATCH" };
  const declared = fields["clusterId"];
  if (declared !== undefined && declared !== cluster) return { fault: "AUDIT_CLUSTER_MISMATCH" };
  return { fault: undefined, columns: auditColumns(fields), range: closedRange(fields) };
}

/** Searchable members of an event that was judged before it was stored. */
export function storedColumns(event: Uint8Array): AuditColumns {
  const fields: unknown = JSON.parse(Buffer.from(event.buffer, event.byteOffset, event.length).toString());
  return auditColumns(isJsonObject(fields) ? fields : {});
}

function auditColumns(fields: JsonObject): AuditColumns {
  return {
    eventId: member(fields, "eventId"),
    time: member(fields, "time"),
    subject: member(fields, "subject"),
    action: member(fields, "action"),
    resource: member(fields, "resource"),
    decision: member(fields, "decision"),
  };
}

function member(fields: JsonObject, name: string): string {
  const value = fields[name];
  return typeof value === "string" ? columnText(value) : "";
}
