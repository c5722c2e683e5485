import { generateKeyPairSync } from "node:crypto";
import { systemClock } from "../../src/base/clock.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

/** Certificates and keys of one run; the same for ours and for the floor. */
export interface Material {
  readonly server: TlsMaterial;
  readonly agents: readonly AgentMaterial[];
  readonly signingKeyPem: string;
  readonly publicKeyPem: string;
}

/** What one agent dials with. */
export interface AgentMaterial {
  readonly cluster: string;
  readonly tls: TlsMaterial;
}

/** Issues everything for `count` agents; some 250 certificates a second. */
export async function issueMaterial(count: number): Promise<Material> {
  const ca = await CertificateAuthority.create("bench", { clock: systemClock });
  const caPem = ca.certificatePem;
  const server = await ca.issue({
    kind: "server",
    commonName: "bench",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const agents: AgentMaterial[] = [];
  for (let i = 0; i < count; i++) {
    const cluster = `tenant-${i}`;
    agents.push({ cluster, tls: { ...(await ca.issue({ kind: "tenant", cluster })), caPem } });
  }
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    server: { ...server, caPem },
    agents,
    signingKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}
