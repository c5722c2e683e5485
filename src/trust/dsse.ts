import { type KeyObject, createPublicKey, sign, verify } from "node:crypto";
import { isJsonObject } from "../base/json.ts";
import { sha256Hex } from "../base/digest.ts";

/**
 * DSSE envelopes with Ed25519. One payload type per plane, so nothing can be carried from one plane to another; the
 * verified bytes are the bytes that are parsed afterwards.
 */
export interface SignedEnvelope {
  readonly payloadType: PayloadType;
  readonly body: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

/** One signature over the pre-authentication encoding. */
export interface EnvelopeSignature {
  /** Hex SHA-256 of the SPKI DER of the key. */
  readonly keyId: string;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** Payload types of the planes. */
export const PAYLOAD_TYPES = {
  index: "application/vnd.ontai.federation-index.v1+json",
  permissionSnapshot: "application/vnd.ontai.permission-snapshot.v1+json",
  packDelivery: "application/vnd.ontai.pack-delivery.v1+json",
  packInstalled: "application/vnd.ontai.pack-installed.v1+json",
  correction: "application/vnd.ontai.correction.v1+json",
  governance: "application/vnd.ontai.governance.v1+json",
  revocation: "application/vnd.ontai.revocation.v1+json",
  tombstone: "application/vnd.ontai.tombstone.v1+json",
} as const;

/** One of {@link PAYLOAD_TYPES}. */
export type PayloadType = (typeof PAYLOAD_TYPES)[keyof typeof PAYLOAD_TYPES];

/** Signs with one private key that never leaves the process. */
export interface Signer {
  readonly keyId: string;
  /** Ed25519 over `message`, 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

/** A signer that knows its public half. */
export interface OwnSigner extends Signer {
  readonly publicKey: KeyObject;
}

/** Looks up trusted public keys by id. */
export interface KeyLookup {
  key(keyId: string): KeyObject | undefined;
  /** True when no key at all is installed: nothing is accepted. */
  readonly empty: boolean;
}

/** Codes of a failed verification (R-5.10, permissions §9.3). */
export type EnvelopeFailure = "MALFORMED" | "UNSIGNED" | "UNKNOWN_KEY" | "SIGNATURE_INVALID" | "KEYS_MISSING";

/** Outcome of {@link verifyEnvelope}. */
export type EnvelopeVerdict =
  | { readonly ok: true; readonly keyId: string }
  | { readonly ok: false; readonly code: EnvelopeFailure };

/** Most signatures an envelope may carry; endless data is refused before it is verified. */
export const MAX_SIGNATURES = 8;

/** DSSE pre-authentication encoding: `DSSEv1 SP len(type) SP type SP len(body) SP body`. */
export function preAuthenticationEncoding(payloadType: string, body: Uint8Array): Uint8Array {
  const head = Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${body.length} `);
  return Buffer.concat([head, body]);
}

/** Signs `body` for one plane. */
export function signEnvelope(payloadType: PayloadType, body: Uint8Array, signer: Signer): SignedEnvelope {
  const signature = signer.sign(preAuthenticationEncoding(payloadType, body));
  return { payloadType, body, signatures: [{ keyId: signer.keyId, signature }] };
}

/** Verifies that a trusted key signed `envelope` for `payloadType`. Never throws. */
export function verifyEnvelope(envelope: SignedEnvelope, payloadType: PayloadType, keys: KeyLookup): EnvelopeVerdict {
  if (keys.empty) return { ok: false, code: "KEYS_MISSING" };
  if (envelope.payloadType !== payloadType) return { ok: false, code: "MALFORMED" };
  if (envelope.signatures.length === 0) return { ok: false, code: "UNSIGNED" };
  if (envelope.signatures.length > MAX_SIGNATURES) return { ok: false, code: "MALFORMED" };
  const message = preAuthenticationEncoding(payloadType, envelope.body);
  let known = false;
  for (const { keyId, signature } of envelope.signatures) {
    const key = keys.key(keyId);
    if (key === undefined) continue;
    known = true;
    if (signature.length === 64 && verify(null, message, key, signature)) return { ok: true, keyId };
  }
  return { ok: false, code: known ? "SIGNATURE_INVALID" : "UNKNOWN_KEY" };
}

/** JSON form (DSSE §envelope): how an envelope travels as an item body and lies in a Secret. Deterministic: fixed member order. */
export function encodeEnvelope(envelope: SignedEnvelope): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      payload: Buffer.from(envelope.body).toString("base64"),
      payloadType: envelope.payloadType,
      signatures: envelope.signatures.map(({ keyId, signature }) => ({
        keyid: keyId,
        sig: Buffer.from(signature).toString("base64"),
      })),
    }),
  );
}

/** Reads the JSON form; undefined when it is malformed. Size limits are the caller's. */
export function decodeEnvelope(bytes: Uint8Array): SignedEnvelope | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined; // malformed is an answer here, not a failure
  }
  if (!isJsonObject(value)) return undefined;
  const { payload, payloadType, signatures } = value;
  if (typeof payload !== "string" || !isPayloadType(payloadType) || !Array.isArray(signatures)) return undefined;
  if (signatures.length > MAX_SIGNATURES) return undefined;
  const parsed: EnvelopeSignature[] = [];
  for (const entry of signatures as readonly unknown[]) {
    if (!isJsonObject(entry)) return undefined;
    const { keyid, sig } = entry;
    if (typeof keyid !== "string" || typeof sig !== "string") return undefined;
    parsed.push({ keyId: keyid, signature: Buffer.from(sig, "base64") });
  }
  return { payloadType, body: Buffer.from(payload, "base64"), signatures: parsed };
}

function isPayloadType(value: unknown): value is PayloadType {
  return typeof value === "string" && Object.values<string>(PAYLOAD_TYPES).includes(value);
}

/** Key id of a public key: hex SHA-256 of its SPKI DER. */
export function keyIdOf(publicKey: KeyObject): string {
  return sha256Hex(publicKey.export({ type: "spki", format: "der" }));
}

/** Short form of a key id for status and annotations. */
export function shortKeyId(keyId: string): string {
  return keyId.slice(0, 16);
}

/** Signer over an in-memory Ed25519 private key. */
export function ed25519Signer(privateKey: KeyObject): OwnSigner {
  const publicKey = createPublicKey(privateKey);
  return { keyId: keyIdOf(publicKey), publicKey, sign: (message) => sign(null, message, privateKey) };
}
