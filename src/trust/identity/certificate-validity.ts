import type { X509Certificate } from "node:crypto";

/** Where `nowMs` lies in a certificate's life. */
export type CertificateValidity = "NotYetValid" | "Valid" | "Expired";

/**
 * Validity at `nowMs`. A resumed TLS session skips chain verification, so listeners ask this again on every connection and on live
 * streams (conductor §20, lessons §5.2).
 */
export function certificateValidity(certificate: X509Certificate, nowMs: number): CertificateValidity {
  if (nowMs < certificate.validFromDate.getTime()) return "NotYetValid";
  return nowMs > certificate.validToDate.getTime() ? "Expired" : "Valid";
}

/** Fraction of the certificate's life that remains at `nowMs`, 0 to 1: warnings at 0.3 and 0.1 (lessons §6.5). */
export function remainingLife(certificate: X509Certificate, nowMs: number): number {
  const from = certificate.validFromDate.getTime();
  const to = certificate.validToDate.getTime();
  return Math.min(1, Math.max(0, (to - nowMs) / (to - from)));
}
