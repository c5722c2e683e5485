import { create, toBinary } from "@bufbuild/protobuf";
import {
  type BlobChunk,
  type IndexOffer,
  IndexDiffSchema,
  IndexOfferSchema,
  IndexRangesSchema,
  IndexReferenceSchema,
  IndexSignatureSchema,
  IndexUnchangedSchema,
  BlobChunkSchema,
  InlineBlobSchema,
  SignedIndexSchema,
} from "../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { type Envelope, EnvelopeSchema } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { invariant } from "../../base/assert.ts";
import type { Digest } from "../../base/digest.ts";
import { diffIndexes } from "../index/diff-index.ts";
import { rangesOf } from "../index/replace-ranges.ts";
import type { Frame, FrameBody } from "./frame.ts";
import { traceparentOf } from "./trace-context.ts";
import type { OfferPlan } from "./hub/offer.ts";

/** Where the bodies of frames are: shared, content-addressed memory of the shell. */
export interface FrameBodies {
  /** The pinned body of a chunk; a view, not a copy, is taken of it. */
  pinned(digest: Digest): Uint8Array;
  /** A body for an offer, when it is in memory at once. */
  inline(digest: Digest): Uint8Array | undefined;
}

/** The message of a frame. Chunk data is a view of the pinned body. */
export function frameEnvelope(frame: Frame, bodies: FrameBodies): Envelope {
  const envelope = headerOf(frame);
  envelope.payload = payloadOf(frame.body, bodies);
  return envelope;
}

/**
 * The bytes of a frame. Bodies of chunks and offers are copied once, into a buffer of the right size, behind what the library
 * encodes around them: protobuf allows it because a message is the concatenation of its fields, in any order.
 */
export function encodeFrame(frame: Frame, bodies: FrameBodies): Uint8Array {
  const { body } = frame;
  switch (body.kind) {
    case "message":
      return toBinary(EnvelopeSchema, frameEnvelope(frame, bodies));
    case "chunk": {
      const { digest, offset, length, total } = body;
      const chunk = toBinary(BlobChunkSchema, chunkOf(digest, offset, total));
      const data = bodies.pinned(digest).subarray(offset, offset + length);
      return around(frame, Field.blobChunk, [chunk, ...delimited(Field.chunkData, [data])]);
    }
    case "offer": {
      const parts: Uint8Array[] = [
        toBinary(
          IndexOfferSchema,
          offerMessage(body.offer, () => undefined),
        ),
      ];
      for (const digest of body.offer.inline) {
        const data = bodies.inline(digest);
        if (data === undefined) continue;
        const name = delimited(Field.inlineDigest, [Buffer.from(digest)]);
        parts.push(...delimited(Field.offerBlobs, [...name, ...delimited(Field.inlineData, [data])]));
      }
      return around(frame, Field.indexOffer, parts);
    }
  }
}

/** The IndexOffer of a plan, with those inline bodies that are at hand. */
export function offerMessage(plan: OfferPlan, inline: (digest: Digest) => Uint8Array | undefined): IndexOffer {
  const { desired } = plan;
  const offer = create(IndexOfferSchema);
  for (const digest of plan.inline) {
    const data = inline(digest);
    if (data !== undefined) offer.blobs.push(create(InlineBlobSchema, { digest, data }));
  }
  const signatures = desired.envelope.signatures.map(({ keyId, signature }) =>
    create(IndexSignatureSchema, { keyId, signature }),
  );
  switch (plan.form) {
    case "full":
      offer.form = { case: "full", value: create(SignedIndexSchema, { body: desired.envelope.body, signatures }) };
      return offer;
    case "reference": {
      const size = BigInt(desired.envelope.body.length);
      offer.form = {
        case: "reference",
        value: create(IndexReferenceSchema, { digest: desired.digest, size, signatures }),
      };
      return offer;
    }
    case "unchanged": {
      const { epoch, sequence } = desired.document;
      const value = create(IndexUnchangedSchema, {
        epoch: BigInt(epoch),
        sequence: BigInt(sequence),
        digest: desired.digest,
      });
      offer.form = { case: "unchanged", value };
      return offer;
    }
    case "ranges": {
      const { ranges } = plan;
      invariant(ranges !== undefined, "an offer by ranges names them");
      const parts = rangesOf(desired.document, ranges.digests, ranges.paths);
      const value = create(IndexRangesSchema, {
        baseDigest: ranges.baseDigest,
        header: parts.header,
        paths: [...parts.paths],
        items: [...parts.items],
        signatures,
      });
      offer.form = { case: "ranges", value };
      return offer;
    }
    case "diff": {
      const { base } = plan;
      invariant(base !== undefined, "a diff has a base");
      const parts = diffIndexes(base.document, base.digest, desired.document);
      const value = create(IndexDiffSchema, {
        baseDigest: parts.baseDigest,
        header: parts.header,
        changed: [...parts.changed],
        dropped: [...parts.dropped],
        signatures,
      });
      offer.form = { case: "diff", value };
      return offer;
    }
  }
}

/** Numbers of the fields that are written here, as in the proto files. */
const Field = {
  indexOffer: 30,
  offerBlobs: 4,
  inlineDigest: 1,
  inlineData: 2,
  blobChunk: 33,
  chunkData: 4,
} as const;
const LENGTH_DELIMITED = 2;

function around(frame: Frame, field: number, payload: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([toBinary(EnvelopeSchema, headerOf(frame)), ...delimited(field, payload)]);
}

/** A length-delimited field whose value is the concatenation of `parts`. */
function delimited(field: number, parts: readonly Uint8Array[]): Uint8Array[] {
  let length = 0;
  for (const part of parts) length += part.length;
  return [varints((field << 3) | LENGTH_DELIMITED, length), ...parts];
}

function headerOf(frame: Frame): Envelope {
  return create(EnvelopeSchema, {
    sessionId: frame.sessionId,
    seq: BigInt(frame.seq),
    ack: BigInt(frame.ack),
    term: frame.term,
    traceparent: traceparentOf(frame.body),
  });
}

function payloadOf(body: FrameBody, bodies: FrameBodies): Envelope["payload"] {
  switch (body.kind) {
    case "message":
      return body.payload;
    case "chunk": {
      const { digest, offset, length, total } = body;
      const data = bodies.pinned(digest).subarray(offset, offset + length);
      const value = chunkOf(digest, offset, total);
      value.data = data;
      return { case: "blobChunk", value };
    }
    case "offer":
      return { case: "indexOffer", value: offerMessage(body.offer, (digest) => bodies.inline(digest)) };
  }
}

function chunkOf(digest: Digest, offset: number, total: number): BlobChunk {
  return create(BlobChunkSchema, { digest, offset: BigInt(offset), total: BigInt(total) });
}

/** Two numbers below 2^53 in protobuf's form, one after the other. */
function varints(first: number, second: number): Uint8Array {
  const bytes = new Uint8Array(varintLength(first) + varintLength(second));
  putVarint(bytes, putVarint(bytes, 0, first), second);
  return bytes;
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

/** Returns the position behind it. */
function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let next = at;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[next++] = (rest % 0x80) | 0x80;
  bytes[next++] = rest;
  return next;
}
