import { ANNOTATIONS } from "../../api/names.ts";
import type { PackArtifactSeal } from "../../api/kinds/pack-artifact-seal.ts";
import type { PackDelivery } from "../../api/kinds/pack-delivery.ts";
import { SeamError } from "../../base/errors.ts";
import {
  type EnvelopeVerdict,
  type KeyLookup,
  type SignedEnvelope,
  PAYLOAD_TYPES,
  verifyEnvelope,
} from "../../trust/dsse.ts";
import { packDeliveryBody } from "./pack-delivery-body.ts";

/** Outcome of {@link verifyPackDelivery}: what was signed, so that nobody encodes it a second time. */
export type DeliveryVerdict =
  | { readonly ok: true; readonly keyId: string; readonly body: Uint8Array; readonly signature: string }
  | { readonly ok: false; readonly code: string };

/**
 * Verifies the signature annotation of a PackDelivery against what its spec says now. The status and the mere presence of an
 * annotation are never trusted.
 */
export function verifyPackDelivery(delivery: PackDelivery, keys: KeyLookup): DeliveryVerdict {
  const annotations = delivery.metadata.annotations ?? {};
  const signature = annotations[ANNOTATIONS.packSignature];
  const keyId = annotations[ANNOTATIONS.signingKeyId];
  if (signature === undefined || keyId === undefined) return { ok: false, code: "UNSIGNED" };
  let body: Uint8Array;
  try {
    body = packDeliveryBody(delivery);
  } catch (error) {
    if (error instanceof SeamError) return { ok: false, code: error.reason };
    throw error;
  }
  const verdict = verifyBare(body, signature, keyId, keys);
  return verdict.ok ? { ok: true, keyId: verdict.keyId, body, signature } : { ok: false, code: verdict.code };
}

/** Verifies the signature that a seal carries over its own body (dispatcher §9.5). The caller compares the other fields. */
export function verifySeal(seal: PackArtifactSeal, keys: KeyLookup): EnvelopeVerdict {
  return verifyBare(Buffer.from(seal.signedBody), seal.signature, seal.signingKeyID, keys);
}

function verifyBare(body: Uint8Array, signature: string, keyId: string, keys: KeyLookup): EnvelopeVerdict {
  const envelope: SignedEnvelope = {
    payloadType: PAYLOAD_TYPES.packDelivery,
    body,
    signatures: [{ keyId, signature: Buffer.from(signature, "base64") }],
  };
  return verifyEnvelope(envelope, PAYLOAD_TYPES.packDelivery, keys);
}
