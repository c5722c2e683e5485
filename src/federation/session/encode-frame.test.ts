import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bodies, indexOf } from "../../../test/transcript/fixture.ts";
import { EnvelopeSchema } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { AcknowledgeSchema } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { encodeFrame, frameEnvelope } from "./encode-frame.ts";
import type { Frame, FrameBody } from "./frame.ts";
import { RangeDigests } from "../index/range-digest.ts";
import type { OfferPlan } from "./hub/offer.ts";

const bodies = new Bodies();
const source = {
  pinned: (digest: string): Uint8Array => bodies.get(digest) ?? new Uint8Array(),
  inline: (digest: string): Uint8Array | undefined => bodies.get(digest),
};

function desired(sequence: number, items: string): ReturnType<typeof indexOf> {
  const args = new Map([
    ["sequence", String(sequence)],
    ["items", items],
  ]);
  return indexOf({ name: "desired", args, words: [], json: "" }, bodies, 0);
}

function frame(body: FrameBody, seq = 7): Frame {
  return { lane: "update", sessionId: "session", seq, ack: 3, term: 5n, bytes: 0, body };
}

describe("encodeFrame", () => {
  it("takes a chunk's bytes from the pinned body", () => {
    const { digest, size } = bodies.put("abc*1000");
    const bytes = encodeFrame(frame({ kind: "chunk", digest, offset: 10, length: 20, total: size }), source);
    const { payload, seq, ack, term, sessionId } = fromBinary(EnvelopeSchema, bytes);
    expect({ seq, ack, term, sessionId }).toEqual({ seq: 7n, ack: 3n, term: 5n, sessionId: "session" });
    expect(payload.case === "blobChunk" && Buffer.from(payload.value.data)).toEqual(
      Buffer.from(bodies.get(digest) ?? []).subarray(10, 30),
    );
  });

  it("leaves out inline bodies that are not in memory: the agent fetches them", () => {
    const index = desired(1, "web@1:here");
    const plan: OfferPlan = {
      form: "full",
      desired: index,
      base: undefined,
      ranges: undefined,
      inline: [bodies.put("here").digest, "sha256:gone"],
    };
    const { payload } = fromBinary(EnvelopeSchema, encodeFrame(frame({ kind: "offer", offer: plan }), source));
    expect(payload.case === "indexOffer" && payload.value.blobs.map((blob) => blob.digest)).toEqual([
      bodies.put("here").digest,
    ]);
  });
});

describe("bodies behind the message", () => {
  it("say what the library's encoding of the whole message says, for every form", () => {
    const base = desired(1, "a@1:one,b@1:two");
    const next = desired(2, "a@1:one,b@2:three");
    const { digest, size } = bodies.put("abc*100000");
    const inline = [bodies.put("three").digest, bodies.put("longer*5000").digest];
    const frames: readonly FrameBody[] = [
      { kind: "offer", offer: { form: "full", desired: next, base: undefined, ranges: undefined, inline } },
      { kind: "offer", offer: { form: "reference", desired: next, base: undefined, ranges: undefined, inline: [] } },
      { kind: "offer", offer: { form: "unchanged", desired: next, base: undefined, ranges: undefined, inline: [] } },
      { kind: "offer", offer: { form: "diff", desired: next, base, ranges: undefined, inline } },
      {
        kind: "offer",
        offer: {
          form: "ranges",
          desired: next,
          base: undefined,
          ranges: {
            baseDigest: base.digest,
            paths: [Uint8Array.of(), Uint8Array.of(3, 200)],
            digests: new RangeDigests(next.document),
          },
          inline,
        },
      },
      { kind: "chunk", digest, offset: 0, length: 70_000, total: size },
      { kind: "chunk", digest, offset: 99_990, length: 10, total: size },
    ];
    fc.assert(
      fc.property(fc.constantFrom(...frames), fc.integer({ min: 1, max: 2 ** 40 }), (body, seq) => {
        const ours = fromBinary(EnvelopeSchema, encodeFrame(frame(body, seq), source));
        const library = toBinary(EnvelopeSchema, frameEnvelope(frame(body, seq), source));
        expect(Buffer.from(toBinary(EnvelopeSchema, ours)).equals(library)).toBe(true);
      }),
    );
  });
});

describe("messages of their own", () => {
  it("travel unchanged", () => {
    const payload = { case: "acknowledge", value: create(AcknowledgeSchema) } as const;
    expect(fromBinary(EnvelopeSchema, encodeFrame(frame({ kind: "message", payload }, 0), source)).payload.case).toBe(
      "acknowledge",
    );
  });
});
