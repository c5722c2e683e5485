import { rfc3339 } from "../../base/clock.ts";
import type { DeniedEntry } from "../../federation/hub/tenant-directory/deny-list.ts";

/** A revoked client certificate, as the deny list keeps it. */
export interface CertificateRevocation {
  readonly revocationId: string;
  /** Normalised serial number. */
  readonly serial: string;
  readonly reason: string;
  readonly orderedBy: string;
  /** Unix milliseconds. */
  readonly atMs: number;
}

const REMARK = /^(\S+) by (.*?) at (\d{4}-\S+Z): (.*)$/;

/** The remark of a line in the deny list: who, when and why. One line. */
export function certificateRemark(revocation: Omit<CertificateRevocation, "serial">): string {
  const { revocationId, orderedBy, atMs, reason } = revocation;
  return `${revocationId} by ${orderedBy === "" ? "unknown" : orderedBy} at ${rfc3339(atMs)}: ${reason}`;
}

/** Reads a line; undefined for one that a person wrote by hand. */
export function readCertificateRemark({ entry, remark }: DeniedEntry): CertificateRevocation | undefined {
  const [, revocationId, orderedBy, at, reason] = REMARK.exec(remark) ?? [];
  if (revocationId === undefined || orderedBy === undefined || at === undefined || reason === undefined)
    return undefined;
  return { revocationId, serial: entry, reason, orderedBy, atMs: Date.parse(at) };
}
