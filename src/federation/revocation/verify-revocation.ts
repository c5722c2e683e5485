import type { RevocationPush } from "../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { type KeyLookup, PAYLOAD_TYPES, decodeEnvelope, verifyEnvelope } from "../../trust/dsse.ts";
import { type RevocationBody, parseRevocation } from "./revocation-body.ts";

/** Largest envelope of a revocation, bytes. */
export const MAX_REVOCATION_BYTES = 64 * 1024;

/** Outcome of {@link verifyRevocation}. */
export type RevocationVerdict =
  | { readonly ok: true; readonly revocation: RevocationBody }
  | { readonly ok: false; readonly detail: string };

/**
 * Verifies that a trusted key signed a revocation for this cluster. What is put in force is the signed body; the fields of the
 * frame beside it only number it.
 */
export function verifyRevocation(push: RevocationPush, cluster: string, keys: KeyLookup): RevocationVerdict {
  const { envelope, serial } = push;
  const verdict = verifySignedRevocation(envelope, cluster, keys);
  if (verdict.ok && BigInt(verdict.revocation.serial) !== serial)
    return refused("WRONG_SERIAL", `serial ${verdict.revocation.serial} was signed, ${serial} was sent`);
  return verdict;
}

/** {@link verifyRevocation} of an envelope that did not come in a frame: one replica hands it to another. */
export function verifySignedRevocation(envelope: Uint8Array, cluster: string, keys: KeyLookup): RevocationVerdict {
  const signed = envelope.length > MAX_REVOCATION_BYTES ? undefined : decodeEnvelope(envelope);
  if (signed === undefined) return refused("MALFORMED", "the revocation carries no signed envelope");
  const verdict = verifyEnvelope(signed, PAYLOAD_TYPES.revocation, keys);
  if (!verdict.ok) return refused(verdict.code, "its signature does not hold on this tenant");
  const revocation = parseRevocation(signed.body);
  if (revocation === undefined) return refused("MALFORMED", "the signed body is not a revocation this agent knows");
  if (revocation.cluster !== cluster)
    return refused("WRONG_CLUSTER", `it is for ${revocation.cluster}, this cluster is ${cluster}`);
  return { ok: true, revocation };
}

function refused(code: string, detail: string): RevocationVerdict {
  return { ok: false, detail: `${code}: ${detail}` };
}
