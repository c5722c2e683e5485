import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BatchCheckPermissionResponseSchema,
  CheckPermissionRequestSchema,
  CheckPermissionResponseSchema,
} from "../gen/ontai/security/v1alpha1/permission_pb.ts";
import { ServerReflectionResponseSchema } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { directEncoder } from "./direct-encoder.ts";

const text = fc.string({ unit: fc.constantFrom("a", "é", "字", "😀"), maxLength: 90 });
const count = fc.constantFrom(0n, 1n, 127n, 128n, 1_700_000_000n, BigInt(Number.MAX_SAFE_INTEGER));
const meta = fc.record(
  {
    snapshotVersion: text,
    epoch: count,
    sequence: count,
    contentHash: text,
    freshness: fc.constantFrom(0, 1, 5),
    ageSeconds: count,
    decisionId: text,
    insecure: fc.boolean(),
  },
  { requiredKeys: [] },
);
const decision = fc.record(
  {
    allowed: fc.boolean(),
    reason: fc.oneof(text, fc.string({ minLength: 16_400, maxLength: 16_500 })),
    code: fc.constantFrom(0, 1, 12),
    conditionalNames: fc.array(text, { maxLength: 4 }),
  },
  { requiredKeys: [] },
);
const check = fc
  .tuple(decision, fc.option(meta, { nil: undefined }))
  .map(([fields, rest]) => Object.assign({ meta: rest }, fields));

describe("directEncoder", () => {
  it("writes the bytes of toBinary for every initialiser", () => {
    const encode = directEncoder(CheckPermissionResponseSchema);
    fc.assert(
      fc.property(check, (init) => {
        const message = create(CheckPermissionResponseSchema, init);
        expect(encode(init).equals(toBinary(CheckPermissionResponseSchema, message))).toBe(true);
        expect(encode(message).equals(toBinary(CheckPermissionResponseSchema, message))).toBe(true);
      }),
    );
  });

  it("writes nested lists, of any length, and optional fields that are set to zero", () => {
    const encode = directEncoder(BatchCheckPermissionResponseSchema);
    fc.assert(
      fc.property(fc.array(fc.tuple(text, decision), { maxLength: 20 }), meta, (items, rest) => {
        const results = items.map(([correlationId, fields]) => ({ correlationId, ...fields }));
        const message = create(BatchCheckPermissionResponseSchema, { results, meta: rest });
        expect(encode({ results, meta: rest }).equals(toBinary(BatchCheckPermissionResponseSchema, message))).toBe(
          true,
        );
      }),
    );
    const request = { principal: "a", deriveGroups: false, consistency: {} };
    expect(directEncoder(CheckPermissionRequestSchema)(request)).toEqual(
      Buffer.from(toBinary(CheckPermissionRequestSchema, create(CheckPermissionRequestSchema, request))),
    );
  });

  it("passes bytes through, and refuses what it cannot write", () => {
    const encode = directEncoder(CheckPermissionResponseSchema);
    expect([...encode(Uint8Array.of(1, 2))]).toEqual([1, 2]);
    expect(() => encode({ meta: { epoch: -1n } })).toThrow("-1 is no varint below 2^53");
    expect(() => directEncoder(ServerReflectionResponseSchema)).toThrow("not for a direct encoder");
  });
});
