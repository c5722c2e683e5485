import { type DescField, type DescMessage, type Message, ScalarType, create } from "@bufbuild/protobuf";
import { EnvelopeSchema, type Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { digestOf } from "../../src/base/digest.ts";
import { type Random, integerBetween } from "../../src/base/random.ts";

/** Texts that mean something to the protocol, and some that mean nothing. */
const TEXTS = [
  "",
  "tenant-1",
  "PackInstalled",
  "PermissionSnapshot",
  "web",
  "v1",
  "SIGNATURE_INVALID",
  digestOf("a"),
  digestOf("b"),
  "sha256:0",
  "…\u0000",
  "x".repeat(3_000),
] as const;
const NUMBERS = [0n, 1n, 2n, 3n, 7n, 64n, 65n, 2n ** 31n - 1n, 2n ** 40n, 2n ** 53n, 2n ** 63n - 1n] as const;
const MAX_DEPTH = 4;

/** A message with random fields, taken from what its descriptor allows. */
export function randomMessage(desc: DescMessage, random: Random, depth = 0): Message {
  const init: Record<string, unknown> = {};
  for (const field of desc.fields) {
    if (field.oneof !== undefined || random.next() < 0.3) continue;
    const value = valueOf(field, random, depth);
    if (value !== undefined) init[field.localName] = value;
  }
  for (const oneof of desc.oneofs) {
    const field = pick(oneof.fields, random);
    const value = field === undefined ? undefined : valueOf(field, random, depth);
    if (field !== undefined && value !== undefined) init[oneof.localName] = { case: field.localName, value };
  }
  return create(desc, init as never);
}

/** An envelope with a random payload, mostly one of `allowed`; its header is the caller's. */
export function randomEnvelope(random: Random, allowed: readonly string[] = []): Envelope {
  const any = allowed.length === 0 || random.next() < 0.01;
  const wanted = any ? undefined : pick(allowed, random);
  const field = EnvelopeSchema.oneofs[0]?.fields.find(({ localName }) => localName === wanted);
  if (field?.fieldKind === "message") {
    const payload = { case: field.localName, value: randomMessage(field.message, random, 1) };
    return create(EnvelopeSchema, { payload } as never);
  }
  return randomMessage(EnvelopeSchema, random) as Envelope;
}

/** Payloads that an agent may send once it is welcome. */
export const FROM_AGENT: readonly string[] = [
  "heartBeat",
  "acknowledge",
  "frameNack",
  "indexReport",
  "blobFetch",
  "itemReport",
  "itemReports",
  "packReceiptReport",
  "snapshotReceiptReport",
  "driftReport",
  "capabilityDeclaration",
  "revocationAck",
  "runnerConfigValidationRequest",
  "certificateRenewalRequest",
  "rangeDigestReply",
];
/** Payloads that a hub may send after Welcome. */
export const FROM_HUB: readonly string[] = [
  "heartBeat",
  "acknowledge",
  "frameNack",
  "blobChunk",
  "blobUnavailable",
  "itemRetry",
  "factRejection",
  "auditEventAck",
  "driftUpdate",
  "revocationPush",
  "runnerConfigValidationResponse",
  "certificateRenewalResponse",
];

/** One of them. */
export function pick<T>(from: readonly T[], random: Random): T | undefined {
  return from[integerBetween(random, 0, Math.max(0, from.length - 1))];
}

function valueOf(field: DescField, random: Random, depth: number): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar, random);
    case "enum":
      return random.next() < 0.9 ? (pick(field.enum.values, random)?.number ?? 0) : 99;
    case "message":
      return depth < MAX_DEPTH ? randomMessage(field.message, random, depth + 1) : undefined;
    case "list":
      return Array.from({ length: integerBetween(random, 0, 3) }, () => {
        if (field.listKind === "message") return randomMessage(field.message, random, depth + 1);
        if (field.listKind === "enum") return pick(field.enum.values, random)?.number ?? 0;
        return scalar(field.scalar, random);
      });
    case "map":
      return undefined;
  }
}

function scalar(type: ScalarType, random: Random): unknown {
  switch (type) {
    case ScalarType.STRING:
      return pick(TEXTS, random);
    case ScalarType.BYTES:
      return random.bytes(integerBetween(random, 0, 40));
    case ScalarType.BOOL:
      return random.next() < 0.5;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return random.next();
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return pick(NUMBERS, random);
    default:
      return Number(pick(NUMBERS.slice(0, 8), random) ?? 0n);
  }
}
