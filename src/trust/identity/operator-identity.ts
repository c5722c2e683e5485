import type { X509Certificate } from "node:crypto";
import { certificateValidity } from "./certificate-validity.ts";
import { type IdentityRefusal, hasClientAuth } from "./tenant-identity.ts";

/** A person or program with a client certificate of the internal CA, in Kubernetes' reading: CN is the user, each O a group. */
export interface OperatorIdentity {
  readonly user: string;
  readonly groups: readonly string[];
}

/** Outcome of {@link operatorIdentity}. */
export type OperatorIdentityVerdict =
  | { readonly ok: true; readonly identity: OperatorIdentity }
  | { readonly ok: false; readonly reason: IdentityRefusal | "UserMissing"; readonly detail: string };

/** Identity of a caller of the internal services; the chain was verified by the TLS stack against the internal CA. */
export function operatorIdentity(certificate: X509Certificate | undefined, nowMs: number): OperatorIdentityVerdict {
  if (certificate === undefined)
    return { ok: false, reason: "NoCertificate", detail: "a client certificate is required" };
  if (certificate.ca)
    return { ok: false, reason: "CertificateIsCa", detail: "a leaf certificate is required, found a CA's" };
  const validity = certificateValidity(certificate, nowMs);
  if (validity !== "Valid")
    return { ok: false, reason: validity, detail: `valid from ${certificate.validFrom} to ${certificate.validTo}` };
  if (!hasClientAuth(certificate))
    return { ok: false, reason: "ClientAuthMissing", detail: "extended key usage must contain clientAuth" };
  const attributes = subjectAttributes(certificate.subject);
  const user = attributes.find(({ type }) => type === "CN")?.value ?? "";
  if (user === "") return { ok: false, reason: "UserMissing", detail: "the subject has no Common Name" };
  return {
    ok: true,
    identity: { user, groups: attributes.filter(({ type }) => type === "O").map(({ value }) => value) },
  };
}

/** Node prints one `TYPE=value` per line and escapes special characters with a backslash (RFC 2253 §2.4). */
function subjectAttributes(subject: string): readonly { readonly type: string; readonly value: string }[] {
  return subject.split("\n").flatMap((line) => {
    const at = line.indexOf("=");
    if (at < 0) return [];
    return [{ type: line.slice(0, at), value: line.slice(at + 1).replaceAll(/\\(.)/g, "$1") }];
  });
}
