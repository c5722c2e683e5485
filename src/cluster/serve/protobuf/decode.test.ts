import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtobufDecoder } from "./decode.ts";

/** The other direction, for tests: one field after the other. */
function field(number: number, value: string | number | bigint | Uint8Array): Uint8Array {
  if (typeof value === "number" || typeof value === "bigint") return concat(varint((number << 3) | 0), varint(value));
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return concat(varint((number << 3) | 2), varint(bytes.length), bytes);
}

function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  do {
    out.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(out);
}

const concat = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

function enveloped(apiVersion: string, kind: string, raw: Uint8Array): Uint8Array {
  return concat(Buffer.from("k8s\0"), field(1, concat(field(1, apiVersion), field(2, kind))), field(2, raw));
}

describe("ProtobufDecoder", () => {
  const decoder = new ProtobufDecoder();
  const outcome = (bytes: Uint8Array): string => {
    try {
      decoder.decode(bytes);
      return "answered";
    } catch (error) {
      return error instanceof RangeError ? "answered" : String(error);
    }
  };

  it("decodes scalars, maps, bytes, times and empty values as Go writes them in JSON", () => {
    const label = field(11, concat(field(1, "app"), field(2, "shop")));
    const metadata = concat(field(1, "s"), field(2, ""), field(7, 0), field(8, field(1, 1_700_000_000)), label);
    const data = field(2, concat(field(1, "key"), field(2, Uint8Array.from([0, 255]))));
    const secret = concat(field(1, metadata), data, field(3, "Opaque"), field(5, 0));
    expect(decoder.decode(enveloped("v1", "Secret", secret))).toEqual({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "s", creationTimestamp: "2023-11-14T22:13:20Z", labels: { app: "shop" } },
      data: { key: Buffer.from([0, 255]).toString("base64") },
      type: "Opaque",
      immutable: false,
    });
  });

  it("decodes lists, inlined members, quantities, negative numbers and int-or-string", () => {
    const limits = field(1, concat(field(1, "cpu"), field(2, field(1, "100m"))));
    const probe = concat(field(1, field(2, concat(field(2, concat(field(1, 1), field(3, "http")))))), field(3, 5));
    const container = concat(field(1, "c"), field(2, "image:1"), field(8, limits), field(10, probe));
    const volume = concat(field(1, "v"), field(2, field(2, new Uint8Array())));
    const spec = concat(field(1, volume), field(2, container), field(25, -1n));
    expect(decoder.decode(enveloped("v1", "Pod", concat(field(1, field(1, "p")), field(2, spec))))).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p" },
      spec: {
        volumes: [{ name: "v", emptyDir: {} }],
        containers: [
          {
            name: "c",
            image: "image:1",
            resources: { limits: { cpu: "100m" } },
            livenessProbe: { httpGet: { port: "http" }, timeoutSeconds: 5 },
          },
        ],
        priority: -1,
      },
    });
  });

  it("passes over fields of newer versions and knows no custom kinds", () => {
    const raw = concat(field(1, field(1, "n")), field(900, "new"), field(901, 3));
    expect(decoder.decode(enveloped("v1", "Namespace", raw))).toEqual({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "n" },
    });
    expect(decoder.decode(enveloped("example.com/v1", "Widget", raw))).toBeUndefined();
  });

  it("answers every input with an object, nothing or a RangeError", () => {
    const valid = enveloped("apps/v1", "Deployment", concat(field(1, field(1, "d")), field(2, concat(field(1, 2)))));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(valid.length), (noise, at) => {
        const bytes = concat(valid.subarray(0, at), noise);
        expect(outcome(bytes)).toBe("answered");
      }),
      { numRuns: 500 },
    );
  });
});
