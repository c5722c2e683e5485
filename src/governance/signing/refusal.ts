import { SeamError } from "../../base/errors.ts";

/** Why the signer does not sign; becomes condition `SigningRefused`. */
export class SigningRefused extends Error {
  override readonly name = "SigningRefused";
  /** CamelCase reason of the condition. */
  readonly reason: string;

  constructor(reason: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}

/** Reasons of an artifact that was fetched and found wrong, by what the reader says. */
const REASONS: Readonly<Record<string, string>> = {
  BlobNotFound: "ArtifactUnreachable",
  DigestMismatch: "DigestMismatch",
  ChecksumMismatch: "ChecksumMismatch",
  TooLarge: "TooLarge",
};

/**
 * Turns what reading an artifact threw into a refusal. Bad content is a refusal with its reason; anything else (a broken disk, a
 * registry that answers nothing) is an artifact that cannot be reached now.
 */
export function refusalOf(error: unknown): SigningRefused {
  if (error instanceof SigningRefused) return error;
  if (error instanceof SeamError)
    return new SigningRefused(REASONS[error.reason] ?? "ArtifactInvalid", error.message, { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new SigningRefused("ArtifactUnreachable", `the artifact could not be read: ${message}`, { cause: error });
}
