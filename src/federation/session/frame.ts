import type { Digest } from "../../base/digest.ts";
import type { OfferPlan } from "./hub/offer.ts";
import type { Lane } from "./lane.ts";
import type { Payload, PayloadCase } from "./payload.ts";

/**
 * One frame to write, before it is encoded. Always this shape, so that the hot path sees one hidden class. `frameEnvelope` turns it
 * into a message; bodies of chunks and offers are referred to and taken from shared memory there.
 */
export interface Frame {
  readonly lane: Lane;
  readonly sessionId: string;
  /** Number on this stream, from 1; 0 for unnumbered frames. */
  readonly seq: number;
  /** Highest contiguous peer frame whose effect is durable. */
  readonly ack: number;
  /** Fencing term; 0n from an agent. */
  readonly term: bigint;
  /** Bytes this frame counts in the budget. */
  readonly bytes: number;
  readonly body: FrameBody;
}

/** What a frame carries. */
export type FrameBody = MessageBody | ChunkBody | OfferBody;

/** A message of its own. */
export interface MessageBody {
  readonly kind: "message";
  readonly payload: Payload;
}

/** A BlobChunk whose bytes are `[offset, offset + length)` of the pinned blob. */
export interface ChunkBody {
  readonly kind: "chunk";
  readonly digest: Digest;
  readonly offset: number;
  readonly length: number;
  readonly total: number;
}

/** An IndexOffer, encoded once per content by the shell. */
export interface OfferBody {
  readonly kind: "offer";
  readonly offer: OfferPlan;
}

/** Name of the payload a frame will carry, for logs, metrics and tests. */
export function payloadCase(body: FrameBody): PayloadCase {
  if (body.kind === "chunk") return "blobChunk";
  if (body.kind === "offer") return "indexOffer";
  return body.payload.case;
}
