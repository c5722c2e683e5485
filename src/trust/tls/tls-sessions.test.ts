import { X509Certificate } from "node:crypto";
import { type SecureContext, createSecureContext } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { createGrpcClient } from "../../api/grpc/client.ts";
import { HealthRegistry, healthService } from "../../api/grpc/health.ts";
import { Health } from "../../api/gen/grpc/health/v1/health_pb.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { CertificateAuthority } from "../ca/certificate-authority.ts";
import { tenantIdentity } from "../identity/tenant-identity.ts";
import { clientCredentials } from "./client-credentials.ts";
import { startGrpcServer } from "./grpc-server.ts";
import type { TlsMaterial, TlsSource } from "./tls-material.ts";
import { TlsSessions } from "./tls-sessions.ts";

/** Material that a test replaces. */
class Replaceable implements TlsSource {
  #material: TlsMaterial;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();

  constructor(material: TlsMaterial) {
    this.#material = material;
  }

  current(): TlsMaterial {
    return this.#material;
  }

  subscribe(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  replace(material: TlsMaterial): void {
    this.#material = material;
    for (const listener of this.#listeners) listener(material);
  }
}

describe("sessions resumed by an agent", () => {
  let ca: CertificateAuthority;
  let server: TlsMaterial;
  let tenant: TlsMaterial;
  let nowMs = Date.now();
  const denied = new Set<string>();
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    ca = await CertificateAuthority.create("federation", { clock: systemClock });
    server = await issueServer();
    tenant = { ...(await ca.issue({ kind: "tenant", cluster: "tenant-1" })), caPem: ca.certificatePem };
  });
  afterEach(async () => {
    nowMs = Date.now();
    denied.clear();
    for (const stop of stops.splice(0)) await stop();
  });

  async function issueServer(): Promise<TlsMaterial> {
    const issued = await ca.issue({
      kind: "server",
      commonName: "hub",
      dnsNames: ["localhost"],
      ipAddresses: ["127.0.0.1"],
    });
    return { ...issued, caPem: ca.certificatePem };
  }

  async function listen(tls: TlsSource, port = 0): Promise<{ readonly port: number; stop(): Promise<void> }> {
    const controller = new AbortController();
    const running = await startGrpcServer({
      address: "127.0.0.1",
      port,
      tls,
      services: [healthService(new HealthRegistry())],
      authenticate: (certificate) => {
        const verdict = tenantIdentity(certificate, nowMs);
        if (!verdict.ok) return verdict;
        const { cluster, certificateSerial, notAfterMs } = verdict.identity;
        if (denied.has(certificateSerial)) return { ok: false, reason: "CertificateRevoked", detail: cluster };
        return {
          ok: true,
          principal: { kind: "certificate", name: cluster, groups: [], certificateSerial, notAfterMs },
        };
      },
      log: silentLog,
      signal: controller.signal,
    });
    const stop = async (): Promise<void> => {
      controller.abort();
      await running.closed;
    };
    stops.push(stop);
    return { port: running.port, stop };
  }

  /** Calls once on a connection of its own; says whether it resumed a session. */
  async function call(port: number, sessions: TlsSessions): Promise<boolean> {
    let reused = false;
    const client = createGrpcClient(Health, {
      address: `127.0.0.1:${port}`,
      credentials: clientCredentials(tenant, {
        sessions,
        onTls: (socket) => {
          reused = socket.isSessionReused();
        },
      }),
    });
    try {
      await client.check({}, { deadlineMs: 5_000 });
      return reused;
    } finally {
      client.close();
    }
  }

  it("resumes with the same server, and with one that restarted with the same certificate", async () => {
    const sessions = new TlsSessions();
    const first = await listen(new Replaceable(server));
    expect(await call(first.port, sessions)).toBe(false);
    expect(await call(first.port, sessions)).toBe(true);
    expect(await call(first.port, sessions)).toBe(true);
    await first.stop();
    const again = await listen(new Replaceable(server), first.port);
    expect(await call(again.port, sessions)).toBe(true);
  });

  it("begins anew after the server's certificate or CA changed", async () => {
    const sessions = new TlsSessions();
    const tls = new Replaceable(server);
    const { port } = await listen(tls);
    await call(port, sessions);
    tls.replace(await issueServer());
    expect(await call(port, sessions)).toBe(false);
    expect(await call(port, sessions)).toBe(true);
    const other = await CertificateAuthority.create("new", { clock: systemClock });
    tls.replace({ ...tls.current(), caPem: `${ca.certificatePem}\n${other.certificatePem}` });
    expect(await call(port, sessions)).toBe(false);
  });

  it("is refused with a denied serial and with an expired certificate all the same", async () => {
    const sessions = new TlsSessions();
    const { port } = await listen(new Replaceable(server));
    await call(port, sessions);
    const verdict = tenantIdentity(new X509Certificate(tenant.certificatePem), nowMs);
    if (!verdict.ok) throw new Error(verdict.reason);
    denied.add(verdict.identity.certificateSerial);
    await expect(call(port, sessions)).rejects.toThrow("No connection established");
    denied.clear();
    await call(port, sessions);
    nowMs = verdict.identity.notAfterMs + 1_000;
    await expect(call(port, sessions)).rejects.toThrow("No connection established");
  });

  it("makes the context of its certificate once, for every dial", () => {
    const sessions = new TlsSessions();
    let made = 0;
    const make = (): SecureContext => createSecureContext({ minVersion: ++made === 1 ? "TLSv1.3" : "TLSv1.2" });
    expect(sessions.context(make)).toBe(sessions.context(make));
    expect(made).toBe(1);
  });

  it("remembers the newest sessions of a few servers", () => {
    const sessions = new TlsSessions();
    for (let i = 0; i < 20; i++) sessions.put(`hub-${i}`, Buffer.from(`${i}`));
    expect(sessions.get("hub-3")).toBeUndefined();
    expect(sessions.get("hub-4")?.toString()).toBe("4");
  });
});
