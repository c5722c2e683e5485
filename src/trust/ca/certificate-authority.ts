import { type KeyObject, X509Certificate } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import { type Random, systemRandom } from "../../base/random.ts";
import { type CertificateProfile, certificateContent } from "./certificate-profile.ts";
import { publicKeyOfRequest } from "./certificate-request.ts";
import {
  EC_KEY,
  EC_SIGNATURE,
  generateCertificateKey,
  parsePrivateKey,
  privateKeyPem,
  publicKeyDer,
  webCryptoPrivateKey,
} from "./key-pair.ts";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  IssuedX509,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PublicKey,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "./x509-library.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Life of a development CA certificate. */
export const CA_LIFETIME_MS = 10 * 365 * DAY_MS;
/** Life of a leaf certificate when the caller does not say. */
export const LEAF_LIFETIME_MS = 365 * DAY_MS;
/** Certificates start this long ago, so that a peer whose clock is a little behind accepts them. */
const BACKDATE_MS = 5 * 60 * 1000;

/** A certificate and the private key it was issued for. */
export interface IssuedKeyPair {
  /** PEM, leaf only. */
  readonly certificatePem: string;
  /** PKCS#8 PEM. */
  readonly privateKeyPem: string;
}

/** Time and randomness of a CA. */
export interface CertificateAuthorityParts {
  readonly clock: Clock;
  readonly random?: Random;
}

/**
 * A certification authority for development, enrolment and tests: ECDSA P-256, one level, serials of 127 random bits. It holds its
 * private key in memory and never gives it away except through {@link CertificateAuthority.privateKeyPem} to the one who stores it.
 */
export class CertificateAuthority {
  readonly certificatePem: string;
  readonly #certificate: IssuedX509;
  readonly #privateKey: KeyObject;
  readonly #clock: Clock;
  readonly #random: Random;

  private constructor(certificatePem: string, privateKey: KeyObject, parts: CertificateAuthorityParts) {
    this.certificatePem = certificatePem;
    this.#certificate = new IssuedX509(certificatePem);
    this.#privateKey = privateKey;
    this.#clock = parts.clock;
    this.#random = parts.random ?? systemRandom;
  }

  /** A new authority with a new key and a self-signed certificate. */
  static async create(
    commonName: string,
    parts: CertificateAuthorityParts,
    lifetimeMs = CA_LIFETIME_MS,
  ): Promise<CertificateAuthority> {
    const privateKey = await generateCertificateKey();
    const publicKey = new PublicKey(Uint8Array.from(publicKeyDer(privateKey)));
    const now = parts.clock.now();
    const name = new Name([{ CN: [commonName] }, { O: ["Seam"] }]);
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serialNumber(parts.random ?? systemRandom),
      subject: name,
      issuer: name,
      notBefore: new Date(now - BACKDATE_MS),
      notAfter: new Date(now + lifetimeMs),
      publicKey,
      signingKey: webCryptoPrivateKey(privateKey),
      signingAlgorithm: EC_SIGNATURE,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(publicKey),
      ],
    });
    return new CertificateAuthority(pem(certificate), privateKey, parts);
  }

  /** @throws SeamError `CertificateAuthorityInvalid` when the two do not belong together or the certificate is no CA's */
  static load(
    stored: { readonly certificatePem: string; readonly privateKeyPem: string },
    parts: CertificateAuthorityParts,
  ): CertificateAuthority {
    let certificate: X509Certificate;
    let privateKey: KeyObject;
    try {
      certificate = new X509Certificate(stored.certificatePem);
      privateKey = parsePrivateKey(stored.privateKeyPem);
    } catch (cause) {
      throw invalid("a PEM certificate and its PKCS#8 PEM private key", cause);
    }
    if (!certificate.ca) throw invalid("a certificate with basicConstraints CA");
    if (!certificate.checkPrivateKey(privateKey)) throw invalid("the private key that belongs to the certificate");
    return new CertificateAuthority(certificate.toString(), privateKey, parts);
  }

  /** PKCS#8 PEM of the authority's own key, for whoever keeps it (mode 0600). */
  get privateKeyPem(): string {
    return privateKeyPem(this.#privateKey);
  }

  /** Issues a certificate for a new key. */
  async issue(profile: CertificateProfile, lifetimeMs = LEAF_LIFETIME_MS): Promise<IssuedKeyPair> {
    const key = await generateCertificateKey();
    return {
      certificatePem: await this.#sign(profile, publicKeyDer(key), lifetimeMs),
      privateKeyPem: privateKeyPem(key),
    };
  }

  /**
   * Issues a certificate for the key of a PKCS#10 request (DER). Only the public key is taken from it.
   *
   * @returns the certificate, PEM
   * @throws SeamError `CertificateRequestInvalid`
   */
  async issueForRequest(
    requestDer: Uint8Array,
    profile: CertificateProfile,
    lifetimeMs = LEAF_LIFETIME_MS,
  ): Promise<string> {
    return this.#sign(profile, publicKeyDer(await publicKeyOfRequest(requestDer)), lifetimeMs);
  }

  async #sign(profile: CertificateProfile, spki: Uint8Array, lifetimeMs: number): Promise<string> {
    const { subject, extensions } = certificateContent(profile);
    const publicKey = new PublicKey(Uint8Array.from(spki));
    const now = this.#clock.now();
    const all: Extension[] = [
      ...extensions,
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
    ];
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serialNumber(this.#random),
      subject,
      issuer: this.#certificate.subjectName,
      notBefore: new Date(now - BACKDATE_MS),
      notAfter: new Date(Math.min(now + lifetimeMs, this.#certificate.notAfter.getTime())),
      publicKey,
      signingKey: webCryptoPrivateKey(this.#privateKey),
      signingAlgorithm: { ...EC_KEY, ...EC_SIGNATURE },
      extensions: all,
    });
    return pem(certificate);
  }
}

/** 127 random bits: positive in DER without a padding byte, never zero (RFC 5280 §4.1.2.2). */
function serialNumber(random: Random): string {
  const bytes = Uint8Array.from(random.bytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

function pem(certificate: IssuedX509): string {
  return `${certificate.toString("pem")}\n`;
}

function invalid(expected: string, cause?: unknown): SeamError {
  return new SeamError(
    {
      reason: "CertificateAuthorityInvalid",
      object: "certification authority",
      expected,
      remedy: "restore both files, or remove both to create a new authority (every certificate is then reissued)",
    },
    { cause },
  );
}
