import { create } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { AuditEventAckSchema } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { World } from "./world.ts";

/** Where a frame lies in a way that whoever reads it must notice. */
type Lie = "header" | "payload";
const forged: WeakMap<Envelope, Lie> = new WeakMap();

/** True for a frame that {@link forge} made. */
export function isForged(envelope: Envelope): boolean {
  return forged.has(envelope);
}

/** True for a frame of {@link forge} whose header is honest: what it acknowledges is acknowledged, and what it carries is a lie. */
export function hasHonestHeader(envelope: Envelope): boolean {
  return forged.get(envelope) === "payload";
}

/** A frame with a header that lies; the frame itself where every header would do, because it opens or ends a stream. */
export function forge(world: World, envelope: Envelope, toAgent: boolean): Envelope {
  const { sessionId, seq, ack, term, traceparent, payload } = envelope;
  switch (payload.case) {
    case "hello":
    case "welcome":
    case "goodbye":
    case "protocolError":
      return envelope;
    default:
  }
  const header = { sessionId, seq, ack, term, traceparent };
  const lies = [
    { ...header, ack: ack + 10_000n },
    { ...header, sessionId: `${sessionId}-of-another` },
    // An older owner of the session, or an agent that gives itself a term.
    { ...header, term: toAgent ? term - 1n : 7n },
    ...(seq > 0n ? [{ ...header, seq: seq + 3n }] : []),
    ...(ack > 0n ? [{ ...header, ack: -1n }] : []),
  ];
  const lie = lies[world.between(0, lies.length - 1)] ?? header;
  const copy = create(EnvelopeSchema, lie);
  copy.payload = payload;
  let where: Lie = "header";
  if (payload.case === "auditEventAck" && world.chance(0.5)) {
    // An acknowledgement of events that never were, under an honest header.
    const value = create(AuditEventAckSchema, { ...payload.value, ackedThrough: payload.value.ackedThrough + 10_000n });
    Object.assign(copy, header, { payload: { case: "auditEventAck", value } });
    where = "payload";
  }
  forged.set(copy, where);
  return copy;
}

/** The frame as a peer sees it that does not know what it carries: only of those that may be lost without being refused. */
export function unknownToPeer(envelope: Envelope): Envelope {
  switch (envelope.payload.case) {
    case "indexOffer":
    case "indexReport":
    case "blobFetch":
    case "blobChunk":
    case "rangeDigestRequest":
    case "rangeDigestReply":
    case "runnerConfigValidationRequest": {
      const { sessionId, seq, ack, term, traceparent } = envelope;
      return create(EnvelopeSchema, { sessionId, seq, ack, term, traceparent });
    }
    default:
      return envelope;
  }
}
