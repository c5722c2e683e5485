import { hash } from "node:crypto";
import { canonicalJson, parseCanonicalJson } from "../../base/canonical-json.ts";
import { SeamError } from "../../base/errors.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";

/** `prev_hash` of the first event of a log. */
export const CHAIN_START: Uint8Array = new Uint8Array(32);

/** SHA-256 of (prev_hash, sequence as u64 big-endian, event): 32 bytes (facts.proto, AuditEvent.hash). */
export function auditHash(previous: Uint8Array, sequence: bigint, event: Uint8Array): Uint8Array {
  const input = Buffer.allocUnsafe(previous.length + 8 + event.length);
  input.set(previous);
  input.writeBigUInt64BE(sequence, previous.length);
  input.set(event, previous.length + 8);
  return hash("sha256", input, "buffer");
}

/** Numbers that a record explains as gone; inclusive. */
export interface AuditRange {
  readonly from: bigint;
  readonly to: bigint;
}

/** An `audit.gap` record: numbers lost with their store. It carries a number of its own. */
export function gapEvent(range: AuditRange, reason: string, time: string): Uint8Array {
  return lossEvent("audit.gap", range, time, { reason });
}

/**
 * An `audit.dropped` record. It stands in place of the first dropped number and speaks for the whole range; `lastHash` is the
 * hash of the last dropped event, where the chain goes on.
 */
export function droppedEvent(range: AuditRange, lastHash: Uint8Array, time: string): Uint8Array {
  return lossEvent("audit.dropped", range, time, { lastHash: Buffer.from(lastHash).toString("hex") });
}

/**
 * An `audit.gap` record for numbers that a damaged store had. Like {@link droppedEvent} it stands in place of the first of them, and
 * `lastHash` is where the chain goes on.
 */
export function corruptEvent(range: AuditRange, lastHash: Uint8Array, time: string): Uint8Array {
  return lossEvent("audit.gap", range, time, { reason: "corrupt", lastHash: Buffer.from(lastHash).toString("hex") });
}

function lossEvent(action: string, range: AuditRange, time: string, more: JsonObject): Uint8Array {
  return Buffer.from(
    canonicalJson({
      action,
      count: Number(range.to - range.from + 1n),
      decision: "system",
      from: range.from.toString(),
      time,
      to: range.to.toString(),
      ...more,
    }),
  );
}

/**
 * Reads an event that must be canonical JSON of an object.
 *
 * @throws SeamError `AuditEventInvalid`
 */
export function parseAuditEvent(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = parseCanonicalJson(bytes);
  } catch (cause) {
    throw new SeamError(
      { reason: "AuditEventInvalid", object: "audit event", expected: "canonical JSON (RFC 8785)" },
      { cause },
    );
  }
  if (!isJsonObject(value))
    throw new SeamError({ reason: "AuditEventInvalid", object: "audit event", expected: "a JSON object" });
  return value;
}

/** The range that an `audit.gap` or `audit.dropped` record closes; undefined for any other event. */
export function closedRange(event: JsonObject): AuditRange | undefined {
  if (event["action"] !== "audit.gap" && event["action"] !== "audit.dropped") return undefined;
  const { from, to } = event;
  if (typeof from !== "string" || typeof to !== "string" || !NUMBER.test(from) || !NUMBER.test(to)) return undefined;
  const range = { from: BigInt(from), to: BigInt(to) };
  return range.from >= 1n && range.from <= range.to && range.to <= MAX_SEQUENCE ? range : undefined;
}

/** {@link closedRange} of an event's bytes; undefined also for what is no event. */
export function closedBy(event: Uint8Array): AuditRange | undefined {
  try {
    return closedRange(parseAuditEvent(event));
  } catch (error) {
    if (error instanceof SeamError) return undefined;
    throw error;
  }
}

const NUMBER = /^[0-9]{1,19}$/;
/** Highest audit number and epoch accepted: far above any log, far below what SQLite can hold, so that sums never overflow. */
export const MAX_SEQUENCE = 2n ** 53n;
