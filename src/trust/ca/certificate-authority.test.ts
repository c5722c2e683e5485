import { X509Certificate, createPrivateKey, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { SeededRandom } from "../../base/random.ts";
import { CertificateAuthority } from "./certificate-authority.ts";
import { MAX_REQUEST_BYTES, createCertificateRequest, publicKeyOfRequest } from "./certificate-request.ts";
import { generateCertificateKey } from "./key-pair.ts";

const DAY_MS = 86_400_000;

async function authority(clock = new ManualClock()): Promise<CertificateAuthority> {
  return CertificateAuthority.create("test CA", { clock, random: new SeededRandom(7) });
}

describe("certificate authority", () => {
  it("issues a server certificate that its own CA verifies, for exactly the names asked for", async () => {
    const ca = await authority();
    const issued = await ca.issue({
      kind: "server",
      commonName: "hub",
      dnsNames: ["hub.example"],
      ipAddresses: ["127.0.0.1", "::1"],
    });
    const certificate = new X509Certificate(issued.certificatePem);
    const issuer = new X509Certificate(ca.certificatePem);
    expect(certificate.verify(issuer.publicKey)).toBe(true);
    expect(certificate.checkIssued(issuer)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(issued.privateKeyPem))).toBe(true);
    expect(certificate.checkHost("hub.example")).toBe("hub.example");
    expect(certificate.checkHost("other.example")).toBeUndefined();
    expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    expect(certificate.ca).toBe(false);
  });

  it("gives every certificate its own positive serial", async () => {
    const ca = await authority();
    const profile = { kind: "tenant", cluster: "tenant-1" } as const;
    const serials = new Set<string>();
    for (let i = 0; i < 20; i++)
      serials.add(new X509Certificate((await ca.issue(profile)).certificatePem).serialNumber);
    expect(serials.size).toBe(20);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  it("starts a certificate a little in the past and never lets it outlive its CA", async () => {
    const clock = new ManualClock();
    const ca = await CertificateAuthority.create("short CA", { clock }, 2 * DAY_MS);
    const issued = await ca.issue({ kind: "operator", user: "ann", groups: [] }, 30 * DAY_MS);
    const certificate = new X509Certificate(issued.certificatePem);
    expect(certificate.validToDate.getTime()).toBe(clock.now() + 2 * DAY_MS);
    expect(certificate.validFromDate.getTime()).toBe(clock.now() - 5 * 60_000);
  });

  it("refuses a cluster id that could not be a namespace suffix", async () => {
    const ca = await authority();
    await expect(ca.issue({ kind: "tenant", cluster: "Tenant_1" })).rejects.toThrow(
      'tenant certificate "Tenant_1": cluster: a DNS-1123 label (lower-case letters, digits and inner hyphens), found "Tenant_1"',
    );
  });

  it("loads what it stored, and refuses a key that belongs to another", async () => {
    const clock = new ManualClock();
    const [first, second] = [await authority(clock), await authority(clock)];
    const loaded = CertificateAuthority.load(
      { certificatePem: first.certificatePem, privateKeyPem: first.privateKeyPem },
      { clock },
    );
    const issued = await loaded.issue({ kind: "tenant", cluster: "tenant-1" });
    expect(new X509Certificate(issued.certificatePem).verify(new X509Certificate(first.certificatePem).publicKey)).toBe(
      true,
    );
    expect(() =>
      CertificateAuthority.load(
        { certificatePem: first.certificatePem, privateKeyPem: second.privateKeyPem },
        { clock },
      ),
    ).toThrow("the private key that belongs to the certificate");
    expect(() =>
      CertificateAuthority.load(
        { certificatePem: issued.certificatePem, privateKeyPem: issued.privateKeyPem },
        { clock },
      ),
    ).toThrow("basicConstraints CA");
  });
});

describe("certificate request", () => {
  it("gives the certificate the request's key and nothing else of it", async () => {
    const ca = await authority();
    const key = await generateCertificateKey();
    const request = await createCertificateRequest(key, "system:masters");
    const pem = await ca.issueForRequest(request, { kind: "tenant", cluster: "tenant-7" });
    const certificate = new X509Certificate(pem);
    expect(certificate.checkPrivateKey(key)).toBe(true);
    expect(certificate.subjectAltName).toBe("DNS:tenant-7");
    expect(certificate.subject).not.toContain("system:masters");
  });

  it("refuses a request whose signature is not by the requested key", async () => {
    const request = await createCertificateRequest(await generateCertificateKey(), "tenant-1");
    const forged = Uint8Array.from(request);
    const last = forged.length - 1;
    forged[last] = (forged[last] ?? 0) ^ 1;
    await expect(publicKeyOfRequest(forged)).rejects.toThrow(/proof of possession|PKCS#10/);
  });

  it("refuses garbage and anything larger than the limit before parsing it", async () => {
    await expect(publicKeyOfRequest(Buffer.from("not a request"))).rejects.toThrow("a PKCS#10 request in DER");
    await expect(publicKeyOfRequest(new Uint8Array(MAX_REQUEST_BYTES + 1))).rejects.toThrow(
      `at most ${MAX_REQUEST_BYTES} bytes`,
    );
  });

  it("keeps the private key on its side: the request holds only the public half", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const der = Buffer.from(await createCertificateRequest(privateKey, "tenant-1"));
    const scalar = privateKey.export({ format: "jwk" }).d ?? "";
    expect(der.includes(Buffer.from(scalar, "base64url"))).toBe(false);
  });
});
