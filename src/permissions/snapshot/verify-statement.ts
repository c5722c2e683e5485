import type { Digest } from "../../base/digest.ts";
import { type KeyLookup, type SignedEnvelope, PAYLOAD_TYPES, verifyEnvelope } from "../../trust/dsse.ts";
import { MAX_CLOCK_SKEW_MS } from "./limits.ts";
import { SnapshotRefused } from "./snapshot-failure.ts";
import { type SnapshotPosition, comparePositions } from "./snapshot-version.ts";
import { type SnapshotStatement, parseStatement } from "./statement.ts";

/** Highest accepted position with its content, and the revocation floor of its epoch. Persisted before anything is activated. */
export interface SnapshotFloors extends SnapshotPosition {
  /** Hash at the highest position; empty while nothing was accepted. */
  readonly contentHash: Digest | "";
  /** Lowest sequence that may be in force in `minEpoch`. */
  readonly minSequence: number;
  /** Epoch the floor belongs to: sequences of another epoch are not comparable. */
  readonly minEpoch: number;
}

/** Floors of a tenant that has never accepted anything. */
export const NO_FLOORS: SnapshotFloors = { epoch: 0, sequence: 0, contentHash: "", minSequence: 0, minEpoch: 0 };

/** True when `position` lies under the revocation floor. */
export function underFloor(position: SnapshotPosition, floors: SnapshotFloors): boolean {
  return position.epoch === floors.minEpoch
    ? position.sequence < floors.minSequence
    : position.epoch < floors.minEpoch && floors.minSequence > 0;
}

/** Floors after accepting `statement`; they only rise. */
export function raisedFloors(floors: SnapshotFloors, statement: SnapshotStatement): SnapshotFloors {
  const newEpoch = statement.epoch > floors.minEpoch;
  return {
    epoch: statement.epoch,
    sequence: statement.sequence,
    contentHash: statement.contentHash,
    minEpoch: newEpoch ? statement.epoch : floors.minEpoch,
    minSequence: newEpoch ? statement.minSequence : Math.max(floors.minSequence, statement.minSequence),
  };
}

/** What a statement is verified against. */
export interface StatementChecks {
  readonly cluster: string;
  readonly keys: KeyLookup;
  readonly floors: SnapshotFloors;
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
}

/** A statement that passed, with the key that vouches for it. */
export interface VerifiedStatement {
  readonly statement: SnapshotStatement;
  readonly keyId: string;
}

/**
 * Verifies an envelope in the order of permissions §9.3, up to the content hash. The body that is parsed is the body that was
 * verified.
 *
 * @throws SnapshotRefused with the code of the first check that fails
 */
export function verifyStatement(envelope: SignedEnvelope, checks: StatementChecks): VerifiedStatement {
  if (envelope.payloadType !== PAYLOAD_TYPES.permissionSnapshot)
    throw new SnapshotRefused("MALFORMED", `payload type ${envelope.payloadType} is not a permission snapshot`);
  const statement = parseStatement(envelope.body);
  const { version } = statement;
  const verdict = verifyEnvelope(envelope, PAYLOAD_TYPES.permissionSnapshot, checks.keys);
  if (!verdict.ok) throw new SnapshotRefused(verdict.code, signatureDetail(verdict.code), version);
  if (verdict.keyId !== statement.keyId)
    throw new SnapshotRefused(
      "SIGNATURE_INVALID",
      `signed by key ${verdict.keyId.slice(0, 16)}, the statement names ${statement.keyId.slice(0, 16)}`,
      version,
    );
  if (statement.cluster !== checks.cluster)
    throw new SnapshotRefused(
      "WRONG_CLUSTER",
      `statement is for cluster ${statement.cluster}, this is ${checks.cluster}`,
      version,
    );
  checkOrder(statement, checks.floors);
  if (statement.issuedAtMs > checks.nowMs + MAX_CLOCK_SKEW_MS)
    throw new SnapshotRefused(
      "CLOCK_SKEW",
      `issued ${Math.round((statement.issuedAtMs - checks.nowMs) / 1000)} s ahead of the local clock; set the clock`,
      version,
    );
  if (statement.expiresAtMs <= checks.nowMs)
    throw new SnapshotRefused(
      "EXPIRED",
      `expired ${Math.round((checks.nowMs - statement.expiresAtMs) / 1000)} s ago`,
      version,
    );
  return { statement, keyId: verdict.keyId };
}

function checkOrder(statement: SnapshotStatement, floors: SnapshotFloors): void {
  const { version } = statement;
  const order = comparePositions(statement, floors);
  if (order < 0)
    throw new SnapshotRefused(
      "ROLLBACK_REJECTED",
      `older than e${floors.epoch}.s${floors.sequence}, which was accepted before`,
      version,
    );
  if (order === 0 && floors.contentHash !== "" && statement.contentHash !== floors.contentHash)
    throw new SnapshotRefused("EQUIVOCATION", "two contents claim the same epoch and sequence", version);
  if (underFloor(statement, floors) || statement.sequence < statement.minSequence)
    throw new SnapshotRefused(
      "REVOKED",
      `sequence is under the revocation floor ${Math.max(floors.minSequence, statement.minSequence)}`,
      version,
    );
}

function signatureDetail(code: string): string {
  switch (code) {
    case "KEYS_MISSING":
      return "no signing key is installed; nothing is accepted until one is";
    case "UNKNOWN_KEY":
      return "no signature is by a trusted key";
    case "UNSIGNED":
      return "the envelope carries no signature";
    default:
      return "no signature verifies";
  }
}
