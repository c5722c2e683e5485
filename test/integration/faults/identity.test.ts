import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap } from "../../../src/api/builtin.ts";
import { EnvelopeSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { HelloSchema } from "../../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { NAMESPACES } from "../../../src/api/names.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { dialStream } from "../../../src/federation/wire/dial-stream.ts";
import { managementPorts } from "../../../src/roles/mesh/ports.ts";
import { CertificateAuthority } from "../../../src/trust/ca/certificate-authority.ts";
import { HUB_SERVER_NAME } from "../../../src/trust/ca/development-trust.ts";
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  IssuedX509,
  Name,
  PublicKey,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "../../../src/trust/ca/x509-library.ts";
import type { TlsMaterial } from "../../../src/trust/tls/tls-material.ts";
import { MeshProcess, until } from "../../support/mesh-process.ts";

const OFFSET = 5400;
const PORT = managementPorts(OFFSET).federation;
const HOUR_MS = 3_600_000;

describe("identities that are none, at the real hub", () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-identity-"));
  const mesh = new MeshProcess({ directory: join(directory, "mesh"), tenants: 2, portOffset: OFFSET });
  let ca: CertificateAuthority;
  let sessions: readonly string[];

  beforeAll(async () => {
    mesh.start();
    await mesh.ready();
    const trust = join(mesh.layout.management, "trust", "federation-ca");
    const read = (file: string): string => readFileSync(join(trust, file), "utf8");
    ca = CertificateAuthority.load(
      { certificatePem: read("ca.crt"), privateKeyPem: read("ca.key") },
      { clock: systemClock },
    );
    sessions = await sessionIds();
  }, 90_000);
  afterEach(async () => {
    // Nothing about it on other streams.
    expect(await sessionIds()).toEqual(sessions);
  });
  afterAll(async () => {
    await mesh.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function sessionIds(): Promise<readonly string[]> {
    return (await mesh.agents()).map(({ cluster, connected, sessionId }) => `${cluster} ${connected} ${sessionId}`);
  }

  /** A leaf of the federation CA with any subject and names. */
  async function odd(names: readonly string[], commonName = "tenant-1"): Promise<TlsMaterial> {
    const trust = join(mesh.layout.management, "trust", "federation-ca");
    const issuer = new IssuedX509(ca.certificatePem);
    const signingKey = createPrivateKey(readFileSync(join(trust, "ca.key"), "utf8"));
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const spki = createPublicKey(privateKey.export({ type: "pkcs8", format: "pem" })).export({
      type: "spki",
      format: "der",
    });
    const extensions: Extension[] = [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])];
    if (names.length > 0)
      extensions.push(new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))));
    const certificate = await X509CertificateGenerator.create({
      serialNumber: "4a4b4c4d",
      subject: new Name([{ CN: [commonName] }]),
      issuer: issuer.subjectName,
      notBefore: new Date(Date.now() - HOUR_MS),
      notAfter: new Date(Date.now() + HOUR_MS),
      publicKey: new PublicKey(Uint8Array.from(spki)),
      signingKey: await crypto.subtle.importKey(
        "pkcs8",
        Uint8Array.from(signingKey.export({ type: "pkcs8", format: "der" })),
        algorithm,
        false,
        ["sign"],
      ),
      signingAlgorithm: algorithm,
      extensions,
    });
    return {
      caPem: ca.certificatePem,
      certificatePem: certificate.toString("pem"),
      privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    };
  }

  /** Tries to open a stream; resolves with the end of it, whatever it is. */
  function dial(tls: TlsMaterial, clusterId: string): Promise<string> {
    return new Promise((resolve) => {
      dialStream({
        endpoint: `127.0.0.1:${PORT}`,
        serverName: HUB_SERVER_NAME,
        tls,
        generation: 1,
        signal: AbortSignal.timeout(15_000),
        listener: { received: () => {}, drained: () => {}, closed: (reason) => resolve(reason) },
      }).then(
        (pipe) => {
          const hello = create(HelloSchema, { clusterId, protocolVersions: [1] });
          pipe.send(
            toBinary(EnvelopeSchema, create(EnvelopeSchema, { seq: 1n, payload: { case: "hello", value: hello } })),
          );
        },
        (error: unknown) => resolve(String(error)),
      );
    });
  }

  async function refused(metric: string, reason: string, before = 0): Promise<void> {
    await until(`${metric} of ${reason}`, 10_000, async () => {
      const count = await counted(metric, reason);
      return count > before ? undefined : `${count}`;
    });
    await until(`a log line about ${reason}`, 5_000, async () =>
      mesh.log("management").includes(`"reason":"${reason}"`) ? undefined : "none",
    );
  }

  async function counted(metric: string, reason: string): Promise<number> {
    const line = (await mesh.metrics("management"))
      .split("\n")
      .find((text) => text.startsWith(`${metric}{`) && text.includes(`reason="${reason}"`));
    return Number(line?.split(" ").at(-1) ?? 0);
  }

  const TLS_REFUSED = "tls_connections_refused_total";

  it("refuses a certificate of another CA", async () => {
    const other = await CertificateAuthority.create("other", { clock: systemClock });
    const issued = await other.issue({ kind: "tenant", cluster: "tenant-1" });
    await dial({ ...issued, caPem: ca.certificatePem }, "tenant-1");
    await refused(TLS_REFUSED, "CertificateUntrusted");
  });

  it("refuses a connection without a certificate, and TLS 1.2", async () => {
    const ended = (options: object): Promise<string> =>
      new Promise((resolve) => {
        const session = connectHttp2(`https://127.0.0.1:${PORT}`, {
          createConnection: () =>
            connectTls({ host: "127.0.0.1", port: PORT, ALPNProtocols: ["h2"], rejectUnauthorized: false, ...options }),
        });
        session.on("error", (error: Error) => resolve(error.message));
        session.on("close", () => resolve("closed"));
      });
    await ended({});
    await refused(TLS_REFUSED, "NoCertificate");
    const issued = await ca.issue({ kind: "tenant", cluster: "tenant-1" });
    await ended({ maxVersion: "TLSv1.2", cert: issued.certificatePem, key: issued.privateKeyPem });
    await refused(TLS_REFUSED, "TlsVersion");
  });

  it.each<[string, () => Promise<TlsMaterial>, string]>([
    ["two names", () => odd(["tenant-1", "tenant-2"]), "SeveralSans"],
    ["only a Common Name", () => odd([]), "SanMissing"],
    ["the name of a cluster nobody registered", () => odd(["stranger"]), "UnknownCluster"],
    ["the name of the management cluster", () => odd(["management"]), "NotATenant"],
  ])("refuses a certificate with %s", async (_what, certificate, reason) => {
    await dial(await certificate(), "tenant-1");
    await refused(TLS_REFUSED, reason);
  });

  it("refuses a Hello that names another tenant than its certificate", async () => {
    const file = (name: string): string =>
      readFileSync(join(mesh.layout.tenant("tenant-1"), "federation", name), "utf8");
    const tls = { caPem: file("ca.crt"), certificatePem: file("tls.crt"), privateKeyPem: file("tls.key") };
    // The real tenant-1 is not superseded by it: see afterEach.
    expect(await dial(tls, "tenant-2")).toContain('"tenant-1" as in the certificate (R-4.4), found "tenant-2"');
    expect(await counted("federation_streams_ended_total", "IdentityRefused")).toBe(1);
    expect(mesh.log("management")).toContain('"code":"IdentityRefused"');
  });

  it("ends the live stream of a denied serial within 10 s, and touches nobody else's", async () => {
    const file = join(mesh.layout.tenant("tenant-2"), "federation", "tls.crt");
    const { serialNumber } = new IssuedX509(readFileSync(file, "utf8"));
    const key = { namespace: NAMESPACES.ont, name: "federation-denied" };
    const denied = systemClock.monotonic();
    await mesh.management.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: key,
      data: { serials: `${serialNumber} # lost laptop\n` },
    });
    await until("the end of the stream", 10_000, async () => {
      const agent = (await mesh.agents()).find(({ cluster }) => cluster === "tenant-2");
      return agent?.connected === false ? undefined : "still connected";
    });
    expect(systemClock.monotonic() - denied).toBeLessThan(10_000);
    await refused("federation_refused_total", "CertificateRevoked");
    expect((await mesh.agents()).find(({ cluster }) => cluster === "tenant-1")?.connected).toBe(true);
    sessions = await sessionIds();
  });
});
