import { canonicalJson, parseCanonicalJson } from "../../base/canonical-json.ts";
import { rfc3339 } from "../../base/clock.ts";
import { type Digest, isDigest } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import { type SignedEnvelope, type Signer, PAYLOAD_TYPES, signEnvelope } from "../../trust/dsse.ts";
import { FieldMismatch, JsonFields, NOWHERE } from "./json-fields.ts";
import { MAX_STATEMENT_BYTES } from "./limits.ts";
import { SnapshotRefused } from "./snapshot-failure.ts";
import { type SnapshotPosition, snapshotVersion } from "./snapshot-version.ts";

/** The small signed document that says which content is current for a cluster, and until when (permissions §9.1). */
export interface SnapshotStatement extends SnapshotPosition {
  readonly cluster: string;
  /** `e{epoch}.s{sequence}.{hash12}`. */
  readonly version: string;
  readonly contentHash: Digest;
  /** Unix milliseconds. */
  readonly issuedAtMs: number;
  /** issuedAt + freshness window, Unix milliseconds. */
  readonly freshUntilMs: number;
  /** issuedAt + maximal offline time, Unix milliseconds. */
  readonly expiresAtMs: number;
  /** Revocation floor: lowest sequence of this epoch that may be in force. */
  readonly minSequence: number;
  /** Key that is to sign it. */
  readonly keyId: string;
}

/** Members of a statement. */
const MEMBERS = [
  "_type",
  "contentHash",
  "cluster",
  "epoch",
  "sequence",
  "version",
  "issuedAt",
  "freshUntil",
  "expiresAt",
  "minSequence",
  "keyId",
];
const TYPE = "PermissionSnapshotStatement/v1";
const RFC3339_UTC = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const KEY_ID = /^[0-9a-f]{64}$/;
/** JSON integers stay below 2^53 (permissions §6.4). */
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

/** What a statement is made from. */
export interface StatementInput extends SnapshotPosition {
  readonly cluster: string;
  readonly contentHash: Digest;
  readonly issuedAtMs: number;
  readonly freshnessWindowSeconds: number;
  readonly maxOfflineSeconds: number;
  readonly minSequence: number;
}

/** Builds and signs a statement. */
export function signStatement(input: StatementInput, signer: Signer): SignedEnvelope {
  const { epoch, sequence, cluster, contentHash, issuedAtMs } = input;
  const body = canonicalJson({
    _type: TYPE,
    cluster,
    contentHash,
    epoch,
    expiresAt: rfc3339(issuedAtMs + input.maxOfflineSeconds * 1000),
    freshUntil: rfc3339(issuedAtMs + input.freshnessWindowSeconds * 1000),
    issuedAt: rfc3339(issuedAtMs),
    keyId: signer.keyId,
    minSequence: input.minSequence,
    sequence,
    version: snapshotVersion({ epoch, sequence }, contentHash),
  });
  return signEnvelope(PAYLOAD_TYPES.permissionSnapshot, Buffer.from(body), signer);
}

function time(fields: JsonFields, name: string): number {
  const ms = Date.parse(fields.text(name, RFC3339_UTC));
  if (Number.isNaN(ms)) throw new FieldMismatch(`${name}: expected an RFC 3339 time`);
  return ms;
}

/**
 * Reads the body of an envelope strictly. Says nothing about its signature.
 *
 * @throws SnapshotRefused MALFORMED, naming the field
 */
export function parseStatement(body: Uint8Array): SnapshotStatement {
  try {
    if (body.length > MAX_STATEMENT_BYTES) throw new FieldMismatch(`statement: at most ${MAX_STATEMENT_BYTES} bytes`);
    const fields = new JsonFields(parseCanonicalJson(body), NOWHERE);
    fields.oneOf("_type", [TYPE]);
    const contentHash = fields.text("contentHash");
    if (!isDigest(contentHash)) throw new FieldMismatch("contentHash: expected sha256: and 64 hex digits");
    const statement: SnapshotStatement = {
      cluster: fields.text("cluster", /^.+$/),
      epoch: fields.integer("epoch", 0, MAX_INTEGER),
      sequence: fields.integer("sequence", 1, MAX_INTEGER),
      version: fields.text("version"),
      contentHash,
      issuedAtMs: time(fields, "issuedAt"),
      freshUntilMs: time(fields, "freshUntil"),
      expiresAtMs: time(fields, "expiresAt"),
      minSequence: fields.integer("minSequence", 0, MAX_INTEGER),
      keyId: fields.text("keyId", KEY_ID),
    };
    fields.end(MEMBERS);
    if (statement.version !== snapshotVersion(statement, contentHash))
      throw new FieldMismatch("version: expected e{epoch}.s{sequence}.{hash12} of this statement");
    if (statement.freshUntilMs < statement.issuedAtMs || statement.expiresAtMs < statement.issuedAtMs)
      throw new FieldMismatch("expiresAt: expected times after issuedAt");
    return statement;
  } catch (error) {
    throw new SnapshotRefused("MALFORMED", errorMessage(error));
  }
}
