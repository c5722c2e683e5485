import type { SecretObject } from "../../../api/builtin.ts";
import { clusterOfNamespace } from "../../../api/names.ts";
import { digestOf } from "../../../base/digest.ts";
import { type KeyLookup, PAYLOAD_TYPES, decodeEnvelope, verifyEnvelope } from "../../../trust/dsse.ts";
import { MAX_INDEX_BYTES } from "../../index/index-document.ts";
import { parseIndex } from "../../index/parse-index.ts";
import type { DesiredIndex } from "../ports.ts";

/** The Secret's data key. */
const ENVELOPE = "envelope";
/** Base64 grows the envelope by a third, and its payload is base64 inside. */
const MAX_ENCODED_BYTES = MAX_INDEX_BYTES * 2;

/** Outcome of {@link readIndexSecret}. */
export type IndexSecretVerdict =
  | { readonly ok: true; readonly cluster: string; readonly index: DesiredIndex }
  | { readonly ok: false; readonly cluster: string | undefined; readonly reason: string; readonly detail: string };

/**
 * Reads and verifies the Secret that holds a tenant's signed index. The hub verifies what it hands out: who can write Secrets cannot
 * thereby write desired state. The namespace and the document must name the same cluster.
 */
export function readIndexSecret(secret: SecretObject, keys: KeyLookup): IndexSecretVerdict {
  const cluster = clusterOfNamespace(secret.metadata.namespace);
  const refused = (reason: string, detail: string): IndexSecretVerdict => ({ ok: false, cluster, reason, detail });
  if (cluster === undefined) return refused("NotATenantNamespace", `namespace ${secret.metadata.namespace ?? ""}`);
  const encoded = secret.data?.[ENVELOPE];
  if (encoded === undefined) return refused("EnvelopeMissing", `data.${ENVELOPE} is required`);
  if (encoded.length > MAX_ENCODED_BYTES) return refused("TOO_LARGE", `${encoded.length} characters`);
  const envelope = decodeEnvelope(Buffer.from(encoded, "base64"));
  if (envelope === undefined) return refused("MALFORMED", `data.${ENVELOPE} is not a DSSE envelope`);
  const verdict = verifyEnvelope(envelope, PAYLOAD_TYPES.index, keys);
  if (!verdict.ok) return refused(verdict.code, "the index is not signed by a trusted key");
  const parsed = parseIndex(envelope.body);
  if (!parsed.ok) return refused("MALFORMED", `${parsed.field}: expected ${parsed.expected}`);
  if (parsed.document.cluster !== cluster)
    return refused("WRONG_CLUSTER", `the index names ${parsed.document.cluster}, its namespace ${cluster}`);
  return { ok: true, cluster, index: { document: parsed.document, envelope, digest: digestOf(envelope.body) } };
}
