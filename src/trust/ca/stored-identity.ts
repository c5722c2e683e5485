import { X509Certificate, createPrivateKey } from "node:crypto";
import { PRIVATE_FILE_MODE, PUBLIC_FILE_MODE, readFileIfPresent, writeFileDurably } from "../durable-file.ts";
import { certificateValidity, remainingLife } from "../identity/certificate-validity.ts";
import { parseSubjectAlternativeNames } from "../identity/subject-alternative-name.ts";
import { CertificateAuthority, type CertificateAuthorityParts } from "./certificate-authority.ts";
import type { CertificateProfile } from "./certificate-profile.ts";
import type { AuthorityFiles, TlsFiles } from "./development-trust-paths.ts";

/** A stored certificate with less than this fraction of its life left is replaced at the next start. */
const RENEW_BELOW = 0.3;

/** Loads the authority in `files`, or creates it when neither file exists or it has expired. */
export async function ensureAuthority(
  files: AuthorityFiles,
  commonName: string,
  parts: CertificateAuthorityParts,
): Promise<CertificateAuthority> {
  const [certificate, key] = await Promise.all([readFileIfPresent(files.certificate), readFileIfPresent(files.key)]);
  // The key is written first: a certificate without a key means somebody took the key away, and load says so.
  if (certificate !== undefined) {
    const loaded = CertificateAuthority.load(
      { certificatePem: certificate.toString(), privateKeyPem: key?.toString() ?? "" },
      parts,
    );
    if (certificateValidity(new X509Certificate(certificate), parts.clock.now()) === "Valid") return loaded;
  }
  const created = await CertificateAuthority.create(commonName, parts);
  await writeFileDurably(files.key, created.privateKeyPem, PRIVATE_FILE_MODE);
  await writeFileDurably(files.certificate, created.certificatePem, PUBLIC_FILE_MODE);
  return created;
}

/**
 * Makes `files` hold a certificate of `authority` for `profile` that will live for a while, and `trustedCa` as the bundle its peer
 * is verified against. Keeps what is already good, so that running processes and copied files stay valid.
 */
export async function ensureIdentity(
  files: TlsFiles,
  profile: CertificateProfile,
  authority: CertificateAuthority,
  trustedCa: string,
  nowMs: number,
): Promise<void> {
  const [ca, certificate, key] = await Promise.all(
    [files.ca, files.certificate, files.key].map((path) => readFileIfPresent(path)),
  );
  if (!isUsable(certificate, key, profile, authority, nowMs)) {
    const issued = await authority.issue(profile);
    await writeFileDurably(files.key, issued.privateKeyPem, PRIVATE_FILE_MODE);
    await writeFileDurably(files.certificate, issued.certificatePem, PUBLIC_FILE_MODE);
  }
  if (ca?.toString() !== trustedCa) await writeFileDurably(files.ca, trustedCa, PUBLIC_FILE_MODE);
}

function isUsable(
  certificatePem: Buffer | undefined,
  keyPem: Buffer | undefined,
  profile: CertificateProfile,
  authority: CertificateAuthority,
  nowMs: number,
): boolean {
  if (certificatePem === undefined || keyPem === undefined) return false;
  try {
    const certificate = new X509Certificate(certificatePem);
    const issuer = new X509Certificate(authority.certificatePem);
    return (
      certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
      certificate.checkIssued(issuer) &&
      certificate.verify(issuer.publicKey) &&
      certificateValidity(certificate, nowMs) === "Valid" &&
      remainingLife(certificate, nowMs) >= RENEW_BELOW &&
      namesMatch(certificate, profile)
    );
  } catch {
    return false; // unreadable files are replaced, which is what the caller does with false
  }
}

function namesMatch(certificate: X509Certificate, profile: CertificateProfile): boolean {
  const names = parseSubjectAlternativeNames(certificate.subjectAltName)?.map(({ value }) => value) ?? [];
  switch (profile.kind) {
    case "tenant":
      return names.length === 1 && names[0] === profile.cluster;
    case "operator":
      return names.length === 0 && certificate.subject.split("\n").includes(`CN=${profile.user}`);
    case "server":
      return (
        profile.dnsNames.every((name) => certificate.checkHost(name) !== undefined) &&
        profile.ipAddresses.every((address) => certificate.checkIP(address) !== undefined)
      );
  }
}
