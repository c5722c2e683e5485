import { X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { CertificateAuthority } from "../ca/certificate-authority.ts";
import { generateCertificateKey, publicKeyDer, webCryptoPrivateKey } from "../ca/key-pair.ts";
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  PublicKey,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "../ca/x509-library.ts";
import { normalizeSerial } from "./certificate-serial.ts";
import { remainingLife } from "./certificate-validity.ts";
import { operatorIdentity } from "./operator-identity.ts";
import { parseSubjectAlternativeNames } from "./subject-alternative-name.ts";
import { tenantIdentity } from "./tenant-identity.ts";

const clock = new ManualClock();
const CLIENT = new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]);
type Names = ConstructorParameters<typeof SubjectAlternativeNameExtension>[0];
let authority: CertificateAuthority;

beforeAll(async () => {
  authority = await CertificateAuthority.create("test CA", { clock });
});

/** A certificate as a foreign CA might issue it: any extensions, CN tenant-1. */
async function certificate(
  names: Names | undefined,
  usages: readonly Extension[] = [CLIENT],
): Promise<X509Certificate> {
  const key = await generateCertificateKey();
  const san = names === undefined ? [] : [new SubjectAlternativeNameExtension(names)];
  const issued = await X509CertificateGenerator.create({
    subject: "CN=tenant-1",
    issuer: "CN=other",
    notBefore: new Date(clock.now() - 1000),
    notAfter: new Date(clock.now() + 3_600_000),
    publicKey: new PublicKey(Uint8Array.from(publicKeyDer(key))),
    signingKey: webCryptoPrivateKey(key),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [...usages, ...san],
  });
  return new X509Certificate(issued.toString("pem"));
}

function reason(subject: X509Certificate | undefined, nowMs = clock.now()): string {
  const verdict = tenantIdentity(subject, nowMs);
  return verdict.ok ? `ok ${verdict.identity.cluster}` : verdict.reason;
}

const dns = (value: string): { type: "dns"; value: string } => ({ type: "dns", value });

describe("tenant identity (R-4.2)", () => {
  it("is the one DNS name of the leaf", async () => {
    const issued = new X509Certificate((await authority.issue({ kind: "tenant", cluster: "tenant-1" })).certificatePem);
    expect(tenantIdentity(issued, clock.now())).toEqual({
      ok: true,
      identity: {
        cluster: "tenant-1",
        certificateSerial: issued.serialNumber,
        notAfterMs: issued.validToDate.getTime(),
      },
    });
  });

  it.each<[string, Names | undefined]>([
    ["SanMissing", undefined],
    ["SeveralSans", [dns("tenant-1"), dns("tenant-2")]],
    ["SeveralSans", [dns("tenant-1"), { type: "ip", value: "10.0.0.1" }]],
    ["SanWildcard", [dns("*.example")]],
    ["SanNotDns", [{ type: "ip", value: "10.0.0.1" }]],
    ["SanNotDns", [{ type: "email", value: "tenant-1@example.org" }]],
    ["SanNotDns", [{ type: "url", value: "spiffe://example.org/tenant-1" }]],
    ["ClusterIdInvalid", [dns("tenant-1.example")]],
    ["ClusterIdInvalid", [dns("Tenant-1")]],
    ["ClusterIdInvalid", [dns("-tenant")]],
    ["ClusterIdInvalid", [dns("a".repeat(41))]],
    ["ok aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", [dns("a".repeat(40))]],
    ["ClusterIdInvalid", [dns("tenant-1, DNS:tenant-2")]],
  ])("answers %s for %j", async (expected, names) => {
    expect(reason(await certificate(names))).toBe(expected);
  });

  it("requires clientAuth: absent usages and a server's usages are refused", async () => {
    expect(reason(await certificate([dns("tenant-1")], []))).toBe("ClientAuthMissing");
    const server = new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]);
    expect(reason(await certificate([dns("tenant-1")], [server]))).toBe("ClientAuthMissing");
  });

  it("refuses a missing certificate and a CA's", () => {
    expect(reason(undefined)).toBe("NoCertificate");
    expect(reason(new X509Certificate(authority.certificatePem))).toBe("CertificateIsCa");
  });

  it("checks the time itself, because a resumed TLS session does not", async () => {
    const leaf = await certificate([dns("tenant-1")]);
    expect(reason(leaf, clock.now() - 60_000)).toBe("NotYetValid");
    expect(reason(leaf, clock.now() + 3_601_000)).toBe("Expired");
    expect(remainingLife(leaf, clock.now() + 3_601_000)).toBe(0);
    expect(remainingLife(leaf, clock.now() - 10_000)).toBe(1);
    expect(remainingLife(leaf, clock.now() + 1_800_000)).toBeCloseTo(0.5, 2);
  });
});

describe("operator identity", () => {
  it("reads the user from CN and the groups from every O", async () => {
    const issued = await authority.issue({ kind: "operator", user: "ann, of ops", groups: ["seam:operators", "b+c"] });
    expect(operatorIdentity(new X509Certificate(issued.certificatePem), clock.now())).toEqual({
      ok: true,
      identity: { user: "ann, of ops", groups: ["seam:operators", "b+c"] },
    });
  });

  it("refuses a server certificate", async () => {
    const issued = await authority.issue({ kind: "server", commonName: "x", dnsNames: ["x"], ipAddresses: [] });
    expect(operatorIdentity(new X509Certificate(issued.certificatePem), clock.now())).toMatchObject({
      ok: false,
      reason: "ClientAuthMissing",
    });
  });
});

describe("reading names and serials", () => {
  it("keeps a quoted name whole", () => {
    expect(parseSubjectAlternativeNames('DNS:"a, DNS:b", IP Address:10.0.0.1')).toEqual([
      { type: "DNS", value: "a, DNS:b" },
      { type: "IP Address", value: "10.0.0.1" },
    ]);
    expect(parseSubjectAlternativeNames('DNS:"open')).toBeUndefined();
    expect(parseSubjectAlternativeNames(undefined)).toEqual([]);
  });

  it("compares serials in one form", () => {
    expect(normalizeSerial("0a:bC:00")).toBe("ABC00");
    expect(normalizeSerial("0x0abc00")).toBe("ABC00");
    expect(normalizeSerial("00")).toBe("0");
  });
});
