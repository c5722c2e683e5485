import { type KeyLookup, type SignedEnvelope, PAYLOAD_TYPES, verifyEnvelope } from "../../trust/dsse.ts";
import { type Floor, judgeOrdering } from "../../trust/floors/ordering.ts";
import { MAX_CLOCK_SKEW_MS } from "./limits.ts";
import { SnapshotRefused } from "./snapshot-failure.ts";
import { type SnapshotStatement, parseStatement } from "./statement.ts";

/** What a statement is verified against. */
export interface StatementChecks {
  readonly cluster: string;
  readonly keys: KeyLookup;
  /** Highest accepted position and revocation floor. */
  readonly floor: Floor;
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
  /** True for what is already held: past its end it is loaded all the same and answers SNAPSHOT_EXPIRED (permissions §10.2). */
  readonly held?: boolean;
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
  checkOrder(statement, checks.floor);
  if (statement.issuedAtMs > checks.nowMs + MAX_CLOCK_SKEW_MS)
    throw new SnapshotRefused(
      "CLOCK_SKEW",
      `issued ${Math.round((statement.issuedAtMs - checks.nowMs) / 1000)} s ahead of the local clock; set the clock`,
      version,
    );
  // An epoch is a time (permissions §8.4). Bounded like one, a stolen key cannot push it beyond every later epoch of the hub.
  if (statement.epoch * 1000 > checks.nowMs + MAX_CLOCK_SKEW_MS)
    throw new SnapshotRefused(
      "CLOCK_SKEW",
      `epoch ${statement.epoch} lies ${Math.round(statement.epoch - checks.nowMs / 1000)} s ahead of the local clock; set the clock`,
      version,
    );
  if (checks.held !== true && statement.expiresAtMs <= checks.nowMs)
    throw new SnapshotRefused(
      "EXPIRED",
      `expired ${Math.round((checks.nowMs - statement.expiresAtMs) / 1000)} s ago`,
      version,
    );
  return { statement, keyId: verdict.keyId };
}

function checkOrder(statement: SnapshotStatement, floor: Floor): void {
  const { version, epoch, sequence, contentHash } = statement;
  const verdict = judgeOrdering(floor, { epoch, sequence, digest: contentHash });
  if (verdict.verdict === "refused") throw new SnapshotRefused(verdict.code, verdict.detail, version);
  if (sequence < statement.minSequence)
    throw new SnapshotRefused(
      "REVOKED",
      `sequence ${sequence} is below its own floor ${statement.minSequence}`,
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
