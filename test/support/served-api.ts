import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, request } from "undici";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../../src/cluster/embedded/embedded-cluster.ts";
import { type ConnectedCluster, httpCluster } from "../../src/cluster/kubernetes/http-cluster.ts";
import type { PodLogs } from "../../src/cluster/pod-logs.ts";
import { kubeconfigFor } from "../../src/cluster/serve/kubeconfig.ts";
import { type ServedApi, serveCluster } from "../../src/cluster/serve/serve-cluster.ts";
import { CertificateAuthority, type IssuedKeyPair } from "../../src/trust/ca/certificate-authority.ts";

/** Token of the static administrator in tests. */
export const ADMIN_TOKEN = "test-admin-token";

/** An answer of {@link TestApi.send}. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

/** An embedded cluster behind its REST API, for one test file. */
export interface TestApi {
  readonly cluster: EmbeddedCluster;
  readonly api: ServedApi;
  readonly ca: CertificateAuthority;
  /** Of group system:masters. */
  readonly admin: IssuedKeyPair;
  /** A user without any right. */
  readonly bob: IssuedKeyPair;
  /** File with the contexts admin and bob. */
  readonly kubeconfig: string;
  /** A scratch folder. */
  readonly directory: string;
  /** A client of its own; closed with the rest. */
  connect(): ConnectedCluster;
  /** Sends one request as it is, by default as the holder of the admin token. */
  send(path: string, options?: RawRequest): Promise<RawAnswer>;
  /** Aborts the server's signal, leaving the cluster open. */
  stopServing(): void;
  close(): Promise<void>;
}

export interface RawRequest {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Presented instead of the token. */
  readonly certificate?: IssuedKeyPair;
  /** Neither token nor certificate. */
  readonly anonymous?: boolean;
}

/** Opens an embedded cluster in a fresh folder and serves it on a free port. */
export async function serveTestApi(options: { readonly podLogs?: PodLogs } = {}): Promise<TestApi> {
  const directory = await mkdtemp(join(tmpdir(), "seam-api-"));
  const parts = { clock: systemClock, random: systemRandom, log: silentLog };
  const cluster = await openEmbeddedCluster({ directory: join(directory, "cluster"), ...parts });
  const ca = await CertificateAuthority.create("test API CA", parts);
  const server = await ca.issue({
    kind: "server",
    commonName: "api",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  const admin = await ca.issue({ kind: "operator", user: "admin", groups: ["system:masters"] });
  const bob = await ca.issue({ kind: "operator", user: "bob", groups: ["developers"] });
  const stop = new AbortController();
  const api = await serveCluster({
    cluster,
    address: "127.0.0.1",
    port: 0,
    tls: { cert: server.certificatePem, key: server.privateKeyPem, clientCa: ca.certificatePem },
    adminToken: ADMIN_TOKEN,
    serviceAccountKeyPath: join(directory, "service-account.key"),
    ...options,
    ...parts,
    signal: stop.signal,
  });
  const kubeconfig = join(directory, "kubeconfig");
  const entry = (name: string, pair: IssuedKeyPair) => ({
    name,
    server: api.url,
    caPem: ca.certificatePem,
    clientCertPem: pair.certificatePem,
    clientKeyPem: pair.privateKeyPem,
  });
  await writeFile(kubeconfig, kubeconfigFor([entry("admin", admin), entry("bob", bob)]), { mode: 0o600 });
  const connections: ConnectedCluster[] = [];
  const agents = new Map<IssuedKeyPair | undefined, Agent>();
  const agentFor = (pair: IssuedKeyPair | undefined): Agent => {
    const known = agents.get(pair);
    if (known !== undefined) return known;
    const agent = new Agent({
      connect: {
        ca: ca.certificatePem,
        ...(pair === undefined ? {} : { cert: pair.certificatePem, key: pair.privateKeyPem }),
      },
    });
    agents.set(pair, agent);
    return agent;
  };
  return {
    cluster,
    api,
    ca,
    admin,
    bob,
    kubeconfig,
    directory,
    connect: () => {
      const connected = httpCluster({
        server: api.url,
        caPem: ca.certificatePem,
        clientCertPem: admin.certificatePem,
        clientKeyPem: admin.privateKeyPem,
        ...parts,
      });
      connections.push(connected);
      return connected;
    },
    send: async (path, options = {}) => {
      const presentsToken = options.certificate === undefined && options.anonymous !== true;
      const answer = await request(`${api.url}${path}`, {
        dispatcher: agentFor(options.certificate),
        method: options.method ?? "GET",
        headers: {
          "user-agent": "test",
          ...(presentsToken ? { authorization: `Bearer ${ADMIN_TOKEN}` } : {}),
          ...options.headers,
        },
        body: options.body ?? null,
      });
      const text = await answer.body.text();
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        json = undefined; // plain text is an answer too
      }
      return { status: answer.statusCode, headers: answer.headers, text, json };
    },
    stopServing: () => stop.abort(),
    close: async () => {
      await Promise.all(connections.map((connected) => connected.close()));
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
      stop.abort();
      await api.closed;
      await cluster.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
