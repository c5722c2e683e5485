import { Nack_Class } from "../../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { SnapshotFailureCode, SnapshotRefused } from "../../../../permissions/snapshot/snapshot-failure.ts";
import type { ItemOutcome } from "../../ports.ts";

/** Longest detail of a refusal, characters. */
const MAX_DETAIL = 1024;

/** Class of a refusal, and whether the same bytes may do later: a key can be installed and a clock can be set right. */
function classOf(code: SnapshotFailureCode): { readonly class: Nack_Class; readonly retryable: boolean } {
  switch (code) {
    case "KEYS_MISSING":
    case "UNKNOWN_KEY":
    case "CLOCK_SKEW":
      return { class: Nack_Class.UNTRUSTED, retryable: true };
    case "UNSIGNED":
    case "SIGNATURE_INVALID":
    case "WRONG_CLUSTER":
    case "ROLLBACK_REJECTED":
    case "EQUIVOCATION":
    case "REVOKED":
    case "EXPIRED":
    case "CONTENT_HASH_MISMATCH":
      return { class: Nack_Class.UNTRUSTED, retryable: false };
    case "UNSUPPORTED_SCHEMA":
      return { class: Nack_Class.UNSUPPORTED, retryable: false };
    case "MALFORMED":
    case "INVALID_CONTENT":
    case "TOO_LARGE":
      return { class: Nack_Class.INVALID, retryable: false };
  }
}

/** The refusal as the hub hears it. */
export function snapshotNack(refused: SnapshotRefused): ItemOutcome {
  const detail = refused.message.slice(0, MAX_DETAIL);
  return { ok: false, nack: { ...classOf(refused.code), reason: refused.code, detail } };
}
