import { Nack_Class } from "../../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { SeamError, errorMessage } from "../../../../base/errors.ts";
import { ApplyFailure } from "../../../../packs/apply/apply-failure.ts";
import type { ItemNack, ItemOutcome } from "../../ports.ts";

/** Longest detail of a refusal, characters. */
const MAX_DETAIL = 1024;

/** An outcome that is not ok. */
export type Refusal = Extract<ItemOutcome, { ok: false }>;

/** Everything is as it should be. */
export const DONE: ItemOutcome = { ok: true };

/** A refusal. Not retryable means: the same digest will never do. */
export function refuse(kind: keyof typeof Nack_Class, reason: string, detail: string, retryable = false): Refusal {
  return { ok: false, nack: nack(kind, reason, detail, retryable) };
}

function nack(kind: keyof typeof Nack_Class, reason: string, detail: string, retryable: boolean): ItemNack {
  return { class: Nack_Class[kind], reason, detail: detail.slice(0, MAX_DETAIL), retryable };
}

/** Reasons of pack content that say its bytes are not what was signed. */
const UNTRUSTED = new Set(["DigestMismatch", "ChecksumMismatch"]);

/** What reading content failed with: trouble with the content is final, anything else may pass. */
export function refuseContent(error: unknown): Refusal {
  if (!(error instanceof SeamError)) return refuse("INTERNAL", "ContentUnreadable", errorMessage(error), true);
  return refuse(UNTRUSTED.has(error.reason) ? "UNTRUSTED" : "INVALID", error.reason, error.message);
}

/** What applying failed with. */
export function refuseApply(error: unknown): Refusal {
  if (!(error instanceof ApplyFailure)) return refuse("INTERNAL", "ApplyFailed", errorMessage(error), true);
  const kind =
    error.reason === "AdoptionRefused" || error.reason === "Conflict"
      ? "CONFLICT"
      : error.category === "ValidationFailure"
        ? "INVALID"
        : "INTERNAL";
  return refuse(kind, error.reason, error.message, error.retryable);
}
