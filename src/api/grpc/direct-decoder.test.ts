import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BatchCheckPermissionRequestSchema } from "../gen/ontai/security/v1alpha1/permission_pb.ts";
import { ServerReflectionRequestSchema } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { directDecoder } from "./direct-decoder.ts";

const text = fc.string({ unit: fc.constantFrom("a", "é", "字", "😀", "\0"), maxLength: 60 });
const check = fc.record(
  {
    principal: text,
    groups: fc.array(text, { maxLength: 4 }),
    resource: text,
    verb: text,
    deriveGroups: fc.boolean(),
    consistency: fc.record({ mode: fc.constantFrom(0, 2, 4), token: text, waitMs: fc.nat() }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);
const batch = fc
  .tuple(fc.array(fc.record({ correlationId: text, check }), { maxLength: 5 }), text)
  .map(([items, cluster]) => create(BatchCheckPermissionRequestSchema, { items, cluster }));

describe("directDecoder", () => {
  const decode = directDecoder(BatchCheckPermissionRequestSchema);
  const known = (bytes: Uint8Array) =>
    fromBinary(BatchCheckPermissionRequestSchema, bytes, { readUnknownFields: false });

  it("reads what fromBinary reads", () => {
    fc.assert(
      fc.property(batch, (message) => {
        expect(decode(toBinary(BatchCheckPermissionRequestSchema, message))).toEqual(message);
      }),
    );
  });

  it("refuses damaged bytes, or reads a whole message from them", () => {
    let refused = 0;
    fc.assert(
      fc.property(
        batch,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        (message, damage) => {
          const bytes = toBinary(BatchCheckPermissionRequestSchema, message);
          if (bytes.length === 0) return;
          for (const [at, value] of damage) bytes[at % bytes.length] = value;
          let found;
          try {
            found = decode(bytes);
          } catch {
            refused++;
            return;
          }
          // Not compared with fromBinary, which reads a field by its number even when the wire type is another's.
          expect(decode(toBinary(BatchCheckPermissionRequestSchema, found))).toEqual(found);
        },
      ),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(20);
  });

  it("refuses cut messages, broken text, numbers beyond 2^53 and groups; drops unknown fields", () => {
    expect(() => decode(Uint8Array.of(0x12, 5, 0x61))).toThrow("ends within a field");
    expect(() => decode(Uint8Array.of(0x12, 1, 0xff))).toThrow(TypeError);
    expect(() => decode(Uint8Array.from([0x12, ...Array<number>(9).fill(0xff), 1]))).toThrow("larger than 2^53");
    expect(() => decode(Uint8Array.of(0x7b))).toThrow("wire type 3");
    expect(() => decode(Uint8Array.of(0x02, 0))).toThrow("field 0");
    expect(decode(Uint8Array.of(0x78, 1, 0x12, 1, 0x61))).toEqual(known(Uint8Array.of(0x12, 1, 0x61)));
    expect(() => directDecoder(ServerReflectionRequestSchema)).toThrow("not for a direct decoder");
  });
});
