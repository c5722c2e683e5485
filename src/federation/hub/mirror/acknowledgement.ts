/** What was signed for one pack on one cluster, as it stands in the tenant's index. */
export interface SignedManifestRef {
  /** Serial inside the signed body. */
  readonly serial: number;
  /** Digest of its envelope. */
  readonly digest: string;
}

/** What a tenant says it accepted. */
export interface ReportedManifest {
  readonly serial: number;
  readonly digest: string;
}

/** Outcome of {@link judgeAcknowledgement}. */
export type Acknowledgement =
  | { readonly state: "acknowledged" }
  /** An older manifest than the signed one, or none is signed: not wrong, not there yet. */
  | { readonly state: "behind" }
  /** Serial or digest contradict what was signed (conductor §5.3): a security finding. */
  | { readonly state: "degraded"; readonly reason: string };

/**
 * Compares what a tenant accepted with what was signed.
 *
 * @param earlier what the mirror acknowledged before: a manifest that was signed again (another key) keeps its serial, and the tenant
 *   rightly reports the earlier envelope until it has the new one
 */
export function judgeAcknowledgement(
  signed: SignedManifestRef | undefined,
  reported: ReportedManifest,
  earlier: ReportedManifest | undefined,
): Acknowledgement {
  if (signed === undefined || reported.serial === 0) return { state: "behind" };
  if (reported.serial > signed.serial)
    return {
      state: "degraded",
      reason: `serial ${reported.serial} was never signed; the signed one is ${signed.serial}`,
    };
  if (reported.serial < signed.serial) return { state: "behind" };
  if (reported.digest === signed.digest) return { state: "acknowledged" };
  if (earlier !== undefined && earlier.serial === reported.serial && earlier.digest === reported.digest)
    return { state: "behind" };
  return {
    state: "degraded",
    reason: `serial ${reported.serial} was signed as ${signed.digest}, not ${reported.digest}`,
  };
}
