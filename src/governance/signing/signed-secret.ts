import { Secret, type SecretObject } from "../../api/builtin.ts";
import { FIELD_MANAGERS, SECRET_TYPES } from "../../api/names.ts";
import type { OwnerReference } from "../../api/object.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import {
  type KeyLookup,
  type PayloadType,
  type SignedEnvelope,
  decodeEnvelope,
  encodeEnvelope,
  verifyEnvelope,
} from "../../trust/dsse.ts";
import { SigningRefused } from "./refusal.ts";
import type { BlobRef } from "../../federation/index/index-document.ts";

/** Data of a Secret, bytes (Kubernetes: 1 MiB; some room is left for keys). */
export const MAX_SECRET_BYTES = 1024 * 1024 - 4096;

/** Contents of a Secret that holds one signed body (resources-seam §3.4). */
export interface SignedSecret {
  readonly namespace: string;
  readonly name: string;
  readonly envelope: SignedEnvelope;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner?: OwnerReference;
  /** Bodies the signed body names by digest, with their sizes. */
  readonly refs?: readonly BlobRef[];
}

/**
 * Writes a signed body. `existing` makes the write conditional on what was read.
 *
 * @throws SigningRefused `TooLarge` when not even the envelope fits into a Secret
 */
export async function writeSignedSecret(
  cluster: Cluster,
  content: SignedSecret,
  existing: SecretObject | undefined,
): Promise<SecretObject> {
  const data = dataOf(content);
  const metadata = {
    name: content.name,
    namespace: content.namespace,
    labels: content.labels,
    ...(content.annotations === undefined ? {} : { annotations: content.annotations }),
    ...(content.owner === undefined ? {} : { ownerReferences: [content.owner] }),
  };
  const object: SecretObject = { apiVersion: "v1", kind: "Secret", type: SECRET_TYPES.signedArtifact, metadata, data };
  const options = { fieldManager: FIELD_MANAGERS.signer };
  if (existing === undefined) return cluster.create(Secret, object, options);
  const { resourceVersion, uid } = existing.metadata;
  return cluster.update(
    Secret,
    {
      ...object,
      metadata: {
        ...metadata,
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        ...(uid === undefined ? {} : { uid }),
      },
    },
    options,
  );
}

/** The envelope a Secret holds; undefined when it holds none that can be read. */
export function envelopeOf(secret: SecretObject | undefined): SignedEnvelope | undefined {
  const bytes = envelopeBytesOf(secret);
  return bytes === undefined ? undefined : decodeEnvelope(bytes);
}

/** The bytes of the envelope a Secret holds: the body of the index item. */
export function envelopeBytesOf(secret: SecretObject | undefined): Uint8Array | undefined {
  const text = secret?.data?.["envelope"];
  if (text === undefined || text.length > (MAX_SECRET_BYTES * 4) / 3 + 4) return undefined;
  return Buffer.from(text, "base64");
}

/** The body of a Secret when a trusted key signed it for `payloadType`. */
export function verifiedBody(
  secret: SecretObject | undefined,
  payloadType: PayloadType,
  keys: KeyLookup,
): { readonly body: Uint8Array; readonly keyId: string } | undefined {
  const envelope = envelopeOf(secret);
  if (envelope === undefined) return undefined;
  const verdict = verifyEnvelope(envelope, payloadType, keys);
  return verdict.ok ? { body: envelope.body, keyId: verdict.keyId } : undefined;
}

/** `artifact` and `signature` repeat what the envelope says; a body for which both do not fit is told by the envelope alone. */
function dataOf({ name, envelope, refs }: SignedSecret): Record<string, string> {
  const encoded = encodeEnvelope(envelope);
  const refsText = refs === undefined ? undefined : Buffer.from(JSON.stringify(refs));
  const size = encoded.length + (refsText?.length ?? 0);
  if (size > MAX_SECRET_BYTES)
    throw new SigningRefused("TooLarge", `Secret ${name} would hold ${size} bytes, at most ${MAX_SECRET_BYTES} fit`);
  const [first] = envelope.signatures;
  return {
    envelope: base64(encoded),
    ...(refsText === undefined ? {} : { refs: base64(refsText) }),
    ...(size + envelope.body.length + 64 > MAX_SECRET_BYTES
      ? {}
      : { artifact: base64(envelope.body), signature: base64(first?.signature ?? new Uint8Array()) }),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
