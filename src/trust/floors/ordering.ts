/** Where an artifact stands in its order: epochs first, then sequences within one. Both only rise (lessons §2.3, §7.2). */
export interface OrderingValue {
  /** Unix seconds when the issuer's sequence store was created; rises when that store was lost. */
  readonly epoch: number;
  readonly sequence: number;
  /** Digest of the signed body. */
  readonly digest: string;
}

/** What a receiver holds for one name. */
export interface Floor {
  /** Highest value ever accepted; undefined before the first. */
  readonly accepted?: OrderingValue;
  /** Lowest sequence that may still be accepted in the epoch of `accepted`, raised by revocations; 0 when none. */
  readonly minimumSequence: number;
}

/** A floor nothing was accepted under. */
export const NO_FLOOR: Floor = { minimumSequence: 0 };

/** Decision about an offered value. The refusals are the codes of permissions §9.3. */
export type OrderingVerdict =
  /** Accept, store the floor, then act. */
  | { readonly verdict: "newer" }
  /** The very artifact that is held: acknowledge, change nothing (lessons §3.2). */
  | { readonly verdict: "equal" }
  | {
      readonly verdict: "refused";
      readonly code: "ROLLBACK_REJECTED" | "EQUIVOCATION" | "REVOKED" | "MALFORMED";
      readonly detail: string;
    };

/**
 * Compares an offered value with what is held: newer is accepted, equal is quiet, older is refused by name, and the same position
 * with another digest is equivocation. A sequence below the revocation floor is refused even when it would be newer or equal.
 */
export function judgeOrdering(floor: Floor, offered: OrderingValue): OrderingVerdict {
  if (!isCounter(offered.epoch) || !isCounter(offered.sequence) || offered.sequence === 0)
    return refused("MALFORMED", `epoch and sequence are positive integers, found ${offered.epoch}.${offered.sequence}`);
  const held = floor.accepted;
  if (held !== undefined && offered.epoch < held.epoch)
    return refused("ROLLBACK_REJECTED", `epoch ${offered.epoch} is older than the accepted ${held.epoch}`);
  const newEpoch = held === undefined || offered.epoch > held.epoch;
  if (!newEpoch && offered.sequence < held.sequence)
    return refused("ROLLBACK_REJECTED", `sequence ${offered.sequence} is older than the accepted ${held.sequence}`);
  // A new epoch restarts the counter, so a floor of the old epoch says nothing about it.
  if ((!newEpoch || held === undefined) && offered.sequence < floor.minimumSequence)
    return refused("REVOKED", `sequence ${offered.sequence} is below the revocation floor ${floor.minimumSequence}`);
  if (newEpoch || offered.sequence > held.sequence) return { verdict: "newer" };
  if (offered.digest === held.digest) return { verdict: "equal" };
  return refused("EQUIVOCATION", `${offered.epoch}.${offered.sequence} was accepted with another digest`);
}

/** The floor after `value` was accepted. @param value must have been judged newer or equal */
export function raiseAccepted(floor: Floor, value: OrderingValue): Floor {
  const sameEpoch = floor.accepted === undefined || floor.accepted.epoch === value.epoch;
  return { accepted: value, minimumSequence: sameEpoch ? floor.minimumSequence : 0 };
}

/** The floor after a revocation of everything below `sequence`; never lowers. */
export function raiseMinimum(floor: Floor, sequence: number): Floor {
  return sequence <= floor.minimumSequence ? floor : { ...floor, minimumSequence: sequence };
}

function isCounter(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function refused(
  code: "ROLLBACK_REJECTED" | "EQUIVOCATION" | "REVOKED" | "MALFORMED",
  detail: string,
): OrderingVerdict {
  return { verdict: "refused", code, detail };
}
