import { create } from "@bufbuild/protobuf";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, type TLSSocket, connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGrpcClient } from "../../api/grpc/client.ts";
import { HealthRegistry, ServingStatus, healthService } from "../../api/grpc/health.ts";
import type { Principal } from "../../api/grpc/principal.ts";
import { reflectionService } from "../../api/grpc/reflection.ts";
import { implementService } from "../../api/grpc/service-implementation.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { Health } from "../../api/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection, ServerReflectionRequestSchema } from "../../api/gen/grpc/reflection/v1/reflection_pb.ts";
import { systemClock } from "../../base/clock.ts";
import { type Log, silentLog } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { CertificateAuthority } from "../ca/certificate-authority.ts";
import {
  EC_SIGNATURE,
  generateCertificateKey,
  parsePrivateKey,
  privateKeyPem,
  publicKeyDer,
  webCryptoPrivateKey,
} from "../ca/key-pair.ts";
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  IssuedX509,
  PublicKey,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "../ca/x509-library.ts";
import { tenantIdentity } from "../identity/tenant-identity.ts";
import { clientCredentials } from "./client-credentials.ts";
import { type GrpcServer, type GrpcServerOptions, startGrpcServer } from "./grpc-server.ts";
import { type TlsMaterial, fixedTls, loadTlsFiles, watchTlsFiles } from "./tls-material.ts";

const parts = { clock: systemClock };
let ca: CertificateAuthority;
let otherCa: CertificateAuthority;
let serverMaterial: TlsMaterial;
let tenant: TlsMaterial;

async function serverOf(authority: CertificateAuthority): Promise<TlsMaterial> {
  const issued = await authority.issue({
    kind: "server",
    commonName: "hub",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  return { ...issued, caPem: authority.certificatePem };
}

async function tenantOf(authority: CertificateAuthority, trusted = authority): Promise<TlsMaterial> {
  const issued = await authority.issue({ kind: "tenant", cluster: "tenant-1" });
  return { ...issued, caPem: trusted.certificatePem };
}

beforeAll(async () => {
  ca = await CertificateAuthority.create("federation", parts);
  otherCa = await CertificateAuthority.create("other", parts);
  serverMaterial = await serverOf(ca);
  tenant = await tenantOf(ca);
});

/** Log lines of refusals, by reason. */
function refusalLog(): { readonly log: Log; readonly reasons: string[] } {
  const reasons: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (fields, message) => {
      expect(fields["peer"]).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
      if (message === "connection refused") reasons.push(String(fields["reason"]));
    },
    child: () => log,
  };
  return { log, reasons };
}

interface Running {
  readonly server: GrpcServer;
  readonly reasons: readonly string[];
  readonly health: HealthRegistry;
  stop(): Promise<void>;
}

async function start(options: Partial<GrpcServerOptions> = {}): Promise<Running> {
  const { log, reasons } = refusalLog();
  const controller = new AbortController();
  const health = new HealthRegistry();
  const server = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    tls: fixedTls(serverMaterial),
    services: [healthService(health), reflectionService([Health])],
    authenticate: (certificate) => {
      const verdict = tenantIdentity(certificate, Date.now());
      if (!verdict.ok) return verdict;
      const { cluster, certificateSerial, notAfterMs } = verdict.identity;
      return { ok: true, principal: { kind: "certificate", name: cluster, groups: [], certificateSerial, notAfterMs } };
    },
    log,
    signal: controller.signal,
    ...options,
  });
  return {
    server,
    reasons,
    health,
    stop: async () => {
      controller.abort();
      await server.closed;
    },
  };
}

async function check(running: Running, material: TlsMaterial = tenant): Promise<number> {
  const client = createGrpcClient(Health, {
    address: `127.0.0.1:${running.server.port}`,
    credentials: clientCredentials(material),
  });
  try {
    return (await client.check({}, { deadlineMs: 5_000 })).status;
  } finally {
    client.close();
  }
}

/** Dials with plain TLS and resolves when the socket is closed from the other end. */
async function dialUntilClosed(port: number, options: ConnectionOptions): Promise<void> {
  const socket: TLSSocket = connectTls({
    host: "127.0.0.1",
    port,
    ca: ca.certificatePem,
    ALPNProtocols: ["h2"],
    ...options,
  });
  socket.on("error", () => {
    // refused connections end in a reset or an alert; the listener's log says why
  });
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("the condition did not come true within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("startGrpcServer", () => {
  let running: Running;
  beforeAll(async () => {
    running = await start({ limits: { handshakeMs: 300, firstCallMs: 400 } });
  });
  afterAll(() => running.stop());

  it("serves health to a client with a certificate of the federation CA", async () => {
    expect(await check(running)).toBe(ServingStatus.SERVING);
  });

  it.each([
    ["a certificate of another CA", async () => pem(await tenantOf(otherCa, ca)), "CertificateUntrusted"],
    ["no certificate", async () => ({}), "NoCertificate"],
    ["TLS 1.2", async () => ({ ...pem(tenant), maxVersion: "TLSv1.2" as const }), "TlsVersion"],
    ["no ALPN", async () => ({ ...pem(tenant), ALPNProtocols: [] }), "AlpnMissing"],
    ["another ALPN protocol", async () => ({ ...pem(tenant), ALPNProtocols: ["http/1.1"] }), "AlpnMissing"],
    [
      "a Common Name only",
      async () => pem({ ...(await ca.issue({ kind: "operator", user: "tenant-1", groups: [] })), caPem: "" }),
      "SanMissing",
    ],
    ["a server certificate", async () => pem(await serverOf(ca)), "CertificateUntrusted"],
    ["a certificate with two SANs", async () => pem(await twoSans(ca)), "SeveralSans"],
    [
      "an expired certificate",
      async () => pem({ ...(await ca.issue({ kind: "tenant", cluster: "tenant-1" }, -1_000)), caPem: "" }),
      "CertificateUntrusted",
    ],
  ])("refuses %s and leaves other connections alone", async (_name, options, reason) => {
    const before = running.reasons.length;
    const neighbour = createGrpcClient(Health, {
      address: `127.0.0.1:${running.server.port}`,
      credentials: clientCredentials(tenant),
    });
    await neighbour.check({});
    await dialUntilClosed(running.server.port, await options());
    await until(() => running.reasons.length > before);
    expect(running.reasons.slice(before)).toEqual([reason]);
    expect((await neighbour.check({})).status).toBe(ServingStatus.SERVING);
    neighbour.close();
  });

  it.each([
    ["garbage instead of TLS", "GET / HTTP/1.1\r\n\r\n", "NotTls"],
    ["silence", "", "HandshakeTimeout"],
  ])("refuses %s", async (_name, bytes, reason) => {
    const before = running.reasons.length;
    const socket = connectTcp(running.server.port, "127.0.0.1");
    socket.on("error", () => {
      // a reset is as good as an end here
    });
    if (bytes !== "") socket.write(bytes);
    socket.resume();
    await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    await until(() => running.reasons.length > before);
    expect(running.reasons.slice(before)).toEqual([reason]);
  });

  it.each([
    ["never speaks HTTP/2 after the handshake", ""],
    ["speaks garbage after the handshake", "\0\0\0garbage that is no HTTP/2 preface at all"],
  ])("destroys a client that %s", async (_name, bytes) => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: running.server.port,
      ALPNProtocols: ["h2"],
      ...pem(tenant),
      ca: ca.certificatePem,
    });
    socket.on("error", () => {
      // the end of the connection is what is tested
    });
    await new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()));
    if (bytes !== "") socket.write(bytes);
    socket.resume();
    await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    expect(await check(running)).toBe(ServingStatus.SERVING);
  });

  it("shows its services by reflection", async () => {
    const client = createGrpcClient(ServerReflection, {
      address: `127.0.0.1:${running.server.port}`,
      credentials: clientCredentials(tenant),
    });
    const call = client.serverReflectionInfo();
    const answers: string[] = [];
    call.on("data", ({ messageResponse }) => {
      if (messageResponse.case === "listServicesResponse")
        answers.push(...messageResponse.value.service.map((service: { name: string }) => service.name));
      if (messageResponse.case === "fileDescriptorResponse")
        answers.push(`files: ${messageResponse.value.fileDescriptorProto.length}`);
      if (messageResponse.case === "errorResponse") answers.push(`error: ${messageResponse.value.errorCode}`);
    });
    const ask = (messageRequest: { case: "listServices" | "fileContainingSymbol"; value: string }): void => {
      call.write(create(ServerReflectionRequestSchema, { messageRequest }));
    };
    ask({ case: "listServices", value: "" });
    ask({ case: "fileContainingSymbol", value: "grpc.health.v1.Health.Check" });
    ask({ case: "fileContainingSymbol", value: "no.such.Thing" });
    call.end();
    await new Promise<void>((resolve) => call.once("end", () => resolve()));
    expect(answers).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "files: 1",
      `error: ${Status.NOT_FOUND}`,
    ]);
    client.close();
  });

  it("watches health and ends the watch when the server stops", async () => {
    const own = await start();
    const client = createGrpcClient(Health, {
      address: `127.0.0.1:${own.server.port}`,
      credentials: clientCredentials(tenant),
    });
    const seen: number[] = [];
    const watching = (async () => {
      for await (const { status } of client.watch({ service: "later" })) seen.push(status);
    })();
    const outcome = watching.then(
      () => "ended",
      (error: unknown) => (error instanceof GrpcStatusError ? "status" : "other"),
    );
    await until(() => seen.length === 1);
    own.health.set("later", ServingStatus.NOT_SERVING);
    await until(() => seen.length === 2);
    await own.stop();
    expect(["ended", "status"]).toContain(await outcome);
    expect(seen).toEqual([ServingStatus.SERVICE_UNKNOWN, ServingStatus.NOT_SERVING]);
    client.close();
  });
});

describe("limits and reload", () => {
  it("refuses connections over the cap and over the accept rate", async () => {
    const capped = await start({ limits: { maxConnections: 1 } });
    const client = createGrpcClient(Health, {
      address: `127.0.0.1:${capped.server.port}`,
      credentials: clientCredentials(tenant),
    });
    await client.check({});
    await dialUntilClosed(capped.server.port, pem(tenant));
    expect(capped.reasons).toEqual(["TooManyConnections"]);
    client.close();
    await capped.stop();

    const own = await start({ limits: { maxConnectionsPerIdentity: 2 } });
    const clients = [1, 2, 3].map(() =>
      createGrpcClient(Health, {
        address: `127.0.0.1:${own.server.port}`,
        credentials: clientCredentials(tenant),
        // Channels of one process share connections otherwise.
        channel: { "grpc.use_local_subchannel_pool": 1 },
      }),
    );
    for (const one of clients) await one.check({});
    await until(() => own.server.connections === 2);
    expect(own.reasons).toEqual(["ConnectionsPerIdentity"]);
    for (const one of clients) one.close();
    await own.stop();

    const slow = await start({ limits: { accept: { perSecond: 0.001, burst: 1 } } });
    expect(await check(slow)).toBe(ServingStatus.SERVING);
    await dialUntilClosed(slow.server.port, pem(tenant));
    expect(slow.reasons).toEqual(["AcceptRate"]);
    await slow.stop();
  });

  it.each([
    ["at once when asked", 60_000, true],
    ["within the interval by itself", 160, false],
  ])("destroys a live connection whose identity no longer passes, %s", async (_name, recheckMs, ask) => {
    let denied = false;
    const own = await start({
      limits: { recheckMs },
      authenticate: () =>
        denied
          ? { ok: false, reason: "CertificateRevoked", detail: "serial is denied" }
          : { ok: true, principal: undefined },
    });
    const client = createGrpcClient(Health, {
      address: `127.0.0.1:${own.server.port}`,
      credentials: clientCredentials(tenant),
    });
    await client.check({});
    denied = true;
    if (ask) own.server.recheck();
    await until(() => own.server.connections === 0);
    expect(own.reasons).toEqual(["CertificateRevoked"]);
    client.close();
    await own.stop();
  });

  it("takes new certificate files for the next connection and keeps the last good ones", async () => {
    const directory = await mkdtemp(join(tmpdir(), "seam-tls-"));
    const files = {
      certificateFile: join(directory, "tls.crt"),
      privateKeyFile: join(directory, "tls.key"),
      caFile: join(directory, "ca.crt"),
    };
    const write = async (material: TlsMaterial): Promise<void> => {
      await writeFile(files.certificateFile, material.certificatePem);
      await writeFile(files.privateKeyFile, material.privateKeyPem);
      await writeFile(files.caFile, material.caPem);
    };
    await write(serverMaterial);
    const stop = new AbortController();
    const tls = await watchTlsFiles({
      files,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      signal: stop.signal,
    });
    const own = await start({ tls });
    expect(await check(own)).toBe(ServingStatus.SERVING);

    await writeFile(files.certificateFile, "not a certificate");
    await tls.reload();
    expect(await check(own)).toBe(ServingStatus.SERVING);
    await expect(loadTlsFiles(files)).rejects.toThrow(/tls\.crt.*a PEM certificate, its private key and a CA bundle/s);

    // Roll the CA: the new server certificate and the new clients pass, old clients no longer do.
    await write(await serverOf(otherCa));
    await tls.reload();
    expect(await check(own, await tenantOf(otherCa))).toBe(ServingStatus.SERVING);
    await dialUntilClosed(own.server.port, { ...pem(tenant), ca: otherCa.certificatePem });
    expect(own.reasons).toEqual(["CertificateUntrusted"]);

    stop.abort();
    await tls.closed;
    await own.stop();
    await rm(directory, { recursive: true });
  });

  it("names address and port when the port is taken", async () => {
    const own = await start();
    await expect(start({ port: own.server.port })).rejects.toThrow(
      new RegExp(`listener 127\\.0\\.0\\.1:${own.server.port}: port: a free port, but another program listens there`),
    );
    await own.stop();
  });
});

describe("tokens", () => {
  it("asks clients without certificate for a bearer token on each call", async () => {
    const callers: (Principal | undefined)[] = [];
    const own = await start({
      services: [
        implementService(Health, {
          check: (_request, { principal }) => {
            callers.push(principal);
            return { status: ServingStatus.SERVING };
          },
          list: () => ({}),
          // eslint-disable-next-line require-yield
          async *watch() {
            throw new GrpcStatusError(Status.UNIMPLEMENTED, "not here");
          },
        }),
      ],
      authenticateToken: async (token) =>
        token === "good"
          ? {
              ok: true,
              principal: { kind: "token", name: "sa", groups: [], certificateSerial: "", notAfterMs: Infinity },
            }
          : { ok: false, reason: "TokenInvalid", detail: "a token of this cluster" },
    });
    const client = createGrpcClient(Health, {
      address: `127.0.0.1:${own.server.port}`,
      credentials: clientCredentials({ caPem: ca.certificatePem }),
    });
    await expect(client.check({})).rejects.toMatchObject({
      code: Status.UNAUTHENTICATED,
      parts: { reason: "CredentialsMissing" },
    });
    await expect(client.check({}, { headers: { authorization: "Bearer bad" } })).rejects.toMatchObject({
      code: Status.UNAUTHENTICATED,
      parts: { reason: "TokenInvalid" },
    });
    await client.check({}, { headers: { authorization: "Bearer good" } });
    expect(callers.map((caller) => caller?.name)).toEqual(["sa"]);
    client.close();
    await own.stop();
  });
});

/** What our own CA refuses to issue, signed with its key. */
async function twoSans(authority: CertificateAuthority): Promise<TlsMaterial> {
  const key = await generateCertificateKey();
  const caKey = parsePrivateKey(authority.privateKeyPem);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: "01",
    subject: "CN=tenant-1",
    issuer: new IssuedX509(authority.certificatePem).subject,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 60_000),
    publicKey: new PublicKey(Uint8Array.from(publicKeyDer(key))),
    signingKey: webCryptoPrivateKey(caKey),
    signingAlgorithm: EC_SIGNATURE,
    extensions: [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([
        { type: "dns", value: "tenant-1" },
        { type: "dns", value: "tenant-2" },
      ]),
    ],
  });
  return {
    certificatePem: certificate.toString("pem"),
    privateKeyPem: privateKeyPem(key),
    caPem: authority.certificatePem,
  };
}

function pem(material: TlsMaterial): { readonly cert: string; readonly key: string } {
  return { cert: material.certificatePem, key: material.privateKeyPem };
}
