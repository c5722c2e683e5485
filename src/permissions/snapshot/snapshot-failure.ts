import type { EnvelopeFailure } from "../../trust/dsse.ts";

/** Codes of a refused snapshot, in the order of the checks (permissions §9.3). */
export type SnapshotFailureCode =
  | EnvelopeFailure
  | "WRONG_CLUSTER"
  | "ROLLBACK_REJECTED"
  | "EQUIVOCATION"
  | "REVOKED"
  | "CLOCK_SKEW"
  | "EXPIRED"
  | "CONTENT_HASH_MISMATCH"
  | "UNSUPPORTED_SCHEMA"
  | "INVALID_CONTENT"
  | "TOO_LARGE";

/** A refusal: the code is the contract, the detail is for people. */
export class SnapshotRefused extends Error {
  override readonly name = "SnapshotRefused";
  readonly code: SnapshotFailureCode;
  /** Version of what was refused, as far as it could be read. */
  readonly version: string;

  constructor(code: SnapshotFailureCode, detail: string, version = "") {
    super(detail);
    this.code = code;
    this.version = version;
  }
}
