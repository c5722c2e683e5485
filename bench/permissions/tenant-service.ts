import { Server, ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { createPrometheusMetrics } from "../../src/ops/metrics/prometheus-metrics.ts";
import type { AuditLane } from "../../src/permissions/service/decision-audit.ts";
import { startPermissionService } from "../../src/permissions/service/start-permission-service.ts";
import { type SnapshotContent, encodeContent } from "../../src/permissions/snapshot/content.ts";
import { signStatement } from "../../src/permissions/snapshot/statement.ts";
import { type SnapshotStore, openSnapshotStore } from "../../src/permissions/store/snapshot-store.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import { ed25519Signer, encodeEnvelope } from "../../src/trust/dsse.ts";
import { KeyRing } from "../../src/trust/keyring/key-ring.ts";
import { type TlsMaterial, fixedTls } from "../../src/trust/tls/tls-material.ts";

/** A tenant's PermissionService as in production, and beside it a server whose one method does nothing. */
export interface TenantService {
  readonly store: SnapshotStore;
  readonly port: number;
  readonly emptyPort: number;
  /** A client that may ask about anybody. */
  readonly client: TlsMaterial;
  /** Signs and encodes content as the management side does. */
  sign(content: SnapshotContent): { readonly envelope: Uint8Array; readonly content: Uint8Array };
  close(): Promise<void>;
}

/** Path of the method that reads and writes nothing: what gRPC and TLS cost by themselves, without our adapter. */
export const EMPTY_PATH = "/bench.Empty/Call";

/** The floor: grpc-js as it comes, with its own TLS and nothing of ours around it. */
async function startEmptyServer(tls: TlsMaterial): Promise<{ readonly port: number; readonly server: Server }> {
  const identity = (bytes: Buffer): Buffer => bytes;
  const definition = {
    call: {
      path: EMPTY_PATH,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  } as const;
  const implementation: UntypedServiceImplementation = {
    call: (_call: unknown, done: (error: null, reply: Buffer) => void) => done(null, Buffer.alloc(0)),
  };
  // Bookkeeping for a debugger that nobody attaches; ours goes without as well.
  const server = new Server({ "grpc.enable_channelz": 0 });
  server.addService(definition, implementation);
  const pair = { private_key: Buffer.from(tls.privateKeyPem), cert_chain: Buffer.from(tls.certificatePem) };
  const secured = ServerCredentials.createSsl(Buffer.from(tls.caPem), [pair], true);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", secured, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { port, server };
}

/** Starts both with a first snapshot; without `audit` nothing is logged. */
export async function startTenantService(
  first: SnapshotContent,
  audit: AuditLane = { audit: () => Promise.resolve() },
): Promise<TenantService> {
  const directory = await mkdtemp(join(tmpdir(), "bench-permissions-"));
  const stop = new AbortController();
  const common = { clock: systemClock, log: silentLog, signal: stop.signal };
  const ca = await CertificateAuthority.create("bench", { clock: systemClock });
  const issued = await ca.issue({
    kind: "server",
    commonName: "bench",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const tls = fixedTls({ ...issued, caPem: ca.certificatePem });
  const operator = await ca.issue({ kind: "operator", user: "bench", groups: ["seam:operators"] });
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const signer = ed25519Signer(privateKey);
  const epoch = Math.floor(systemClock.now() / 1000);
  let sequence = 0;
  const sign: TenantService["sign"] = (content) => {
    const { bytes, contentHash } = encodeContent(content);
    sequence += 1;
    const place = { cluster: content.targetCluster, epoch, sequence, contentHash, minSequence: 0 };
    const statement = signStatement({ ...content, ...place, issuedAtMs: systemClock.now() }, signer);
    return { envelope: encodeEnvelope(statement), content: bytes };
  };
  const cluster = first.targetCluster;
  const store = await openSnapshotStore({ directory, cluster, keys: new KeyRing([publicKey]), ...common });
  const signed = sign(first);
  await store.activate(await store.prepare(signed.envelope, () => Promise.resolve(signed.content)));
  const listen = { address: "127.0.0.1", port: 0, tls, ...common };
  const service = await startPermissionService({
    ...listen,
    store,
    cluster,
    audit,
    random: systemRandom,
    metrics: createPrometheusMetrics(),
  });
  const empty = await startEmptyServer({ ...issued, caPem: ca.certificatePem });
  return {
    store,
    port: service.port,
    emptyPort: empty.port,
    client: { ...operator, caPem: ca.certificatePem },
    sign,
    close: async () => {
      stop.abort();
      empty.server.forceShutdown();
      await Promise.all([service.closed, store.closed]);
      await rm(directory, { recursive: true });
    },
  };
}
