import { create } from "@bufbuild/protobuf";
import { type Nack, type Nack_Class, NackSchema } from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  AcknowledgeSchema,
  FrameNackSchema,
  type Goodbye_Code,
  GoodbyeSchema,
  HeartBeatSchema,
  type IndexPosition,
  type ProtocolError_Code,
  ProtocolErrorSchema,
} from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { MAX_DETAIL_LENGTH } from "./limits.ts";
import type { Payload } from "./payload.ts";

/** Cuts a text for people to the limit of the protocol. */
export function clip(text: string): string {
  return text.length <= MAX_DETAIL_LENGTH ? text : `${text.slice(0, MAX_DETAIL_LENGTH - 1)}…`;
}

/** A Nack message. */
export function nackMessage(parts: Pick<Nack, "class" | "retryable" | "reason" | "detail">): Nack {
  return create(NackSchema, {
    class: parts.class,
    retryable: parts.retryable,
    reason: parts.reason.slice(0, 64),
    detail: clip(parts.detail),
  });
}

/** Shorthand for {@link nackMessage}. */
export function nack(classOf: Nack_Class, retryable: boolean, reason: string, detail: string): Nack {
  return nackMessage({ class: classOf, retryable, reason, detail });
}

/** Fields of a Goodbye. */
export interface GoodbyeParts {
  readonly code: Goodbye_Code;
  readonly retryAfterMs: number;
  readonly endpoint: string;
  readonly message: string;
}

/** Orderly end. */
export function goodbye(parts: GoodbyeParts): Payload {
  const { code, endpoint } = parts;
  const value = create(GoodbyeSchema, {
    code,
    endpoint,
    retryAfterMs: BigInt(Math.max(0, Math.round(parts.retryAfterMs))),
    message: clip(parts.message),
  });
  return { case: "goodbye", value };
}

/** Disorderly end. */
export function protocolError(code: ProtocolError_Code, message: string, offendingSeq: number): Payload {
  const value = create(ProtocolErrorSchema, { code, message: clip(message), offendingSeq: BigInt(offendingSeq) });
  return { case: "protocolError", value };
}

/** Fields of a heartbeat that differ between the sides. */
export interface HeartBeatParts {
  readonly isAck: boolean;
  readonly nonce: number | bigint;
  readonly nowMs: number;
  readonly auditBacklogEvents?: bigint;
  readonly auditBacklogBytes?: bigint;
  readonly heldIndex?: IndexPosition | undefined;
  readonly degradedReasons?: readonly string[];
}

/** Liveness. */
export function heartBeat(parts: HeartBeatParts): Payload {
  const value = create(HeartBeatSchema, {
    isAck: parts.isAck,
    nonce: BigInt(parts.nonce),
    monotonicMs: BigInt(Math.trunc(parts.nowMs)),
    auditBacklogEvents: parts.auditBacklogEvents ?? 0n,
    auditBacklogBytes: parts.auditBacklogBytes ?? 0n,
    degradedReasons: [...(parts.degradedReasons ?? [])],
  });
  if (parts.heldIndex !== undefined) value.heldIndex = parts.heldIndex;
  return { case: "heartBeat", value };
}

/** Carries nothing but the header's ack. */
export function acknowledge(): Payload {
  return { case: "acknowledge", value: create(AcknowledgeSchema) };
}

/** Answer to a payload this build does not know. */
export function frameNack(seq: number, refusal: Nack): Payload {
  return { case: "frameNack", value: create(FrameNackSchema, { seq: BigInt(seq), nack: refusal }) };
}
