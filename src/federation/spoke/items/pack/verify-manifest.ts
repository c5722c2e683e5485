import { type Digest, digestOf } from "../../../../base/digest.ts";
import { SeamError } from "../../../../base/errors.ts";
import { tenantNamespace } from "../../../../api/names.ts";
import { identityOf, objectIdentity, type PackDocument } from "../../../../packs/artifact/pack-object.ts";
import {
  MAX_SIGNED_MANIFEST_BYTES,
  type PackManifest,
  parsePackManifest,
} from "../../../../packs/manifest/pack-manifest.ts";
import {
  decodeEnvelope,
  type KeyLookup,
  type PayloadType,
  shortKeyId,
  type SignedEnvelope,
  verifyEnvelope,
} from "../../../../trust/dsse.ts";
import { type Refusal, refuse } from "./nacks.ts";

/** A verified envelope. */
export type Verified =
  | {
      readonly ok: true;
      readonly body: Uint8Array;
      readonly bodyDigest: Digest;
      readonly keyId: string;
      readonly signature: string;
    }
  | Refusal;

/** Verifies that a trusted key signed `bytes` for one plane. Nothing of the content is read before. */
export function verifySigned(bytes: Uint8Array, type: PayloadType, keys: KeyLookup): Verified {
  const envelope: SignedEnvelope | undefined =
    bytes.length > MAX_SIGNED_MANIFEST_BYTES ? undefined : decodeEnvelope(bytes);
  if (envelope === undefined) return refuse("INVALID", "MALFORMED", "the body is not a signed envelope");
  const verdict = verifyEnvelope(envelope, type, keys);
  if (!verdict.ok) {
    // Missing keys are the tenant's trouble and pass when they are installed; everything else is the envelope's.
    const retryable = verdict.code === "KEYS_MISSING";
    return refuse("UNTRUSTED", verdict.code, SIGNATURE_TEXT[verdict.code], retryable);
  }
  const signature = envelope.signatures.find((entry) => entry.keyId === verdict.keyId)?.signature ?? new Uint8Array();
  return {
    ok: true,
    body: envelope.body,
    bodyDigest: digestOf(envelope.body),
    keyId: shortKeyId(verdict.keyId),
    signature: Buffer.from(signature).toString("base64"),
  };
}

const SIGNATURE_TEXT = {
  MALFORMED: "the envelope is malformed or signed for another purpose",
  UNSIGNED: "the envelope carries no signature",
  UNKNOWN_KEY: "no trusted key signed it; install the signing key if it is genuine",
  SIGNATURE_INVALID: "the signature does not match the content",
  KEYS_MISSING: "no signing key is installed on this tenant",
} as const;

/**
 * Checks that a pack manifest is meant for this cluster and this item.
 *
 * @throws SeamError `NotCanonical`, `BodyInvalid`, `TooLarge`, `WRONG_CLUSTER`, `WRONG_ITEM`
 */
export function readManifestFor(body: Uint8Array, cluster: string, item: string): PackManifest {
  const manifest = parsePackManifest(body);
  if (manifest.targetClusterRef !== cluster || manifest.namespace !== tenantNamespace(cluster))
    throw new SeamError({
      reason: "WRONG_CLUSTER",
      object: `pack manifest ${manifest.name}`,
      field: "targetClusterRef",
      expected: `is ${cluster}, found ${manifest.targetClusterRef} in ${manifest.namespace}`,
    });
  if (manifest.name !== item)
    throw new SeamError({
      reason: "WRONG_ITEM",
      object: `pack manifest ${manifest.name}`,
      field: "name",
      expected: `is the item's name ${item}`,
    });
  return manifest;
}

/**
 * Checks that a manifest names exactly what its artifact holds.
 *
 * @throws SeamError `ContentMismatch`
 */
export function checkInventory(manifest: PackManifest, documents: readonly PackDocument[]): void {
  const named = new Map(manifest.deployedResources.map((ref) => [identityOf(ref), ref.specHash]));
  const differing = documents
    .map(({ object }) => objectIdentity(object))
    .find((identity, i) => {
      const same = named.get(identity) === documents[i]?.contentHash;
      named.delete(identity);
      return !same;
    });
  const first = differing ?? named.keys().next().value;
  if (first !== undefined)
    throw new SeamError({
      reason: "ContentMismatch",
      object: `pack manifest ${manifest.name}`,
      field: "deployedResources",
      expected: `names exactly what the artifact holds, differs at ${first}`,
    });
}
