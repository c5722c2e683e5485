import type { X509Certificate } from "node:crypto";
import { certificateValidity } from "./certificate-validity.ts";
import { normalizeSerial } from "./certificate-serial.ts";
import { clusterIdFault } from "./cluster-id.ts";
import { parseSubjectAlternativeNames } from "./subject-alternative-name.ts";

/** Extended key usage clientAuth (RFC 5280 §4.2.1.12). */
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** Who a tenant's agent is, from its verified leaf certificate and from nothing else. */
export interface TenantIdentity {
  readonly cluster: string;
  /** Normalised: upper-case hex. */
  readonly certificateSerial: string;
  /** End of the certificate, Unix milliseconds. */
  readonly notAfterMs: number;
}

/** Why a certificate gives no identity. Stable: log field and metric label. */
export type IdentityRefusal =
  | "NoCertificate"
  | "CertificateIsCa"
  | "NotYetValid"
  | "Expired"
  | "ClientAuthMissing"
  | "SanMissing"
  | "SanMalformed"
  | "SeveralSans"
  | "SanNotDns"
  | "SanWildcard"
  | "ClusterIdInvalid";

/** Outcome of {@link tenantIdentity}. */
export type TenantIdentityVerdict =
  | { readonly ok: true; readonly identity: TenantIdentity }
  | { readonly ok: false; readonly reason: IdentityRefusal; readonly detail: string };

/**
 * Identity of a tenant's agent: exactly one subject alternative name, a DNS name, equal to the cluster id. The Common Name
 * is never used, wildcards are refused, clientAuth is required, and the time is checked again because a resumed TLS session is not.
 * The caller's TLS stack has verified the chain against the federation CA; this function never does.
 */
export function tenantIdentity(certificate: X509Certificate | undefined, nowMs: number): TenantIdentityVerdict {
  if (certificate === undefined) return refused("NoCertificate", "a client certificate is required");
  if (certificate.ca) return refused("CertificateIsCa", "a leaf certificate is required, found a CA's");
  const validity = certificateValidity(certificate, nowMs);
  if (validity !== "Valid")
    return refused(
      validity,
      `valid from ${certificate.validFrom} to ${certificate.validTo}, now it is ${new Date(nowMs).toISOString()}`,
    );
  if (!hasClientAuth(certificate)) return refused("ClientAuthMissing", "extended key usage must contain clientAuth");
  const names = parseSubjectAlternativeNames(certificate.subjectAltName);
  if (names === undefined) return refused("SanMalformed", "the subject alternative names cannot be read");
  const [name, ...others] = names;
  if (name === undefined) return refused("SanMissing", "one DNS name is required; the Common Name is not used");
  if (others.length > 0) return refused("SeveralSans", `exactly one name is allowed, found ${names.length}`);
  if (name.type !== "DNS") return refused("SanNotDns", `a DNS name is required, found ${name.type}`);
  if (name.value.includes("*")) return refused("SanWildcard", "wildcards are refused");
  const fault = clusterIdFault(name.value);
  if (fault !== undefined) return refused("ClusterIdInvalid", `expected ${fault}`);
  return {
    ok: true,
    identity: {
      cluster: name.value,
      certificateSerial: normalizeSerial(certificate.serialNumber),
      notAfterMs: certificate.validToDate.getTime(),
    },
  };
}

/** True when the extended key usage allows client authentication. */
export function hasClientAuth(certificate: X509Certificate): boolean {
  // Node types this as always present; it is undefined for a certificate without the extension.
  const usages = certificate.keyUsage as readonly string[] | undefined;
  return usages?.includes(CLIENT_AUTH) === true;
}

function refused(reason: IdentityRefusal, detail: string): TenantIdentityVerdict {
  return { ok: false, reason, detail };
}
