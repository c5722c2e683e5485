import { generateKeyPairSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { type SnapshotContent, encodeContent } from "../../src/permissions/snapshot/content.ts";
import { signStatement } from "../../src/permissions/snapshot/statement.ts";
import { openSnapshotStore } from "../../src/permissions/store/snapshot-store.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import { ed25519Signer, encodeEnvelope } from "../../src/trust/dsse.ts";
import { KeyRing } from "../../src/trust/keyring/key-ring.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

/** What a tenant's process needs to start from a snapshot it held before, with its hub away. */
export interface TenantOnDisk {
  readonly environment: Readonly<Record<string, string>>;
  /** Of its PermissionService, loopback. */
  readonly port: number;
  /** A client that may ask about anybody. */
  readonly operator: TlsMaterial;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Writes certificates, keys and a held snapshot of `content` for `conductor agent` in the tenant role, embedded cluster and all. */
export async function tenantOnDisk(directory: string, content: SnapshotContent): Promise<TenantOnDisk> {
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const ca = await CertificateAuthority.create("test", { clock: systemClock });
  const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const server = await ca.issue({ kind: "server", commonName: "tenant", ...names });
  const operator = await ca.issue({ kind: "operator", user: "ops", groups: ["seam:operators"] });
  const cluster = content.targetCluster;
  const agent = await ca.issue({ kind: "tenant", cluster });
  const caFile = await file("ca.crt", ca.certificatePem);
  const certificate = await file("server.crt", server.certificatePem);
  const key = await file("server.key", server.privateKeyPem);
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  await mkdir(join(directory, "keys"));
  await file("keys/current.pem", publicKey.export({ type: "spki", format: "pem" }).toString());

  const { bytes, contentHash } = encodeContent(content);
  const now = systemClock.now();
  const place = { cluster, epoch: Math.floor(now / 1000), sequence: 1, minSequence: 0 };
  const statement = signStatement({ ...content, ...place, contentHash, issuedAtMs: now }, ed25519Signer(privateKey));
  const stop = new AbortController();
  const store = await openSnapshotStore({
    directory: join(directory, "snapshots"),
    cluster,
    keys: new KeyRing([publicKey]),
    clock: systemClock,
    log: silentLog,
    signal: stop.signal,
  });
  await store.activate(await store.prepare(encodeEnvelope(statement), () => Promise.resolve(bytes)));
  stop.abort();
  await store.closed;

  const [port, api, ops, hub] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const environment = {
    PATH: process.env["PATH"] ?? "",
    HOME: directory,
    CONDUCTOR_ROLE: "tenant",
    CLUSTER_REF: cluster,
    METRICS_ADDR: `127.0.0.1:${ops}`,
    MGMT_FEDERATION_ADDR: `127.0.0.1:${hub}`,
    FEDERATION_CA_CERT_PATH: caFile,
    FEDERATION_CLIENT_CERT_PATH: await file("agent.crt", agent.certificatePem),
    FEDERATION_CLIENT_KEY_PATH: await file("agent.key", agent.privateKeyPem),
    SIGNING_KEYS_DIR: join(directory, "keys"),
    WAL_PATH: join(directory, "outbox"),
    SNAPSHOT_DIR: join(directory, "snapshots"),
    PERMISSION_SERVICE_ADDR: `127.0.0.1:${port}`,
    PERMISSION_SERVICE_CA_CERT_PATH: caFile,
    PERMISSION_SERVICE_CERT_PATH: certificate,
    PERMISSION_SERVICE_KEY_PATH: key,
    EMBEDDED_CLUSTER_DIR: join(directory, "cluster"),
    EMBEDDED_API_ADDR: `127.0.0.1:${api}`,
    EMBEDDED_API_CA_CERT_PATH: caFile,
    EMBEDDED_API_CERT_PATH: certificate,
    EMBEDDED_API_KEY_PATH: key,
  };
  return { environment, port, operator: { ...operator, caPem: ca.certificatePem } };
}
