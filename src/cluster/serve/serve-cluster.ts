import { createSecureServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { errorMessage, SeamError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { PodLogs } from "../pod-logs.ts";
import { ApiMetrics, type ScrapedGauge } from "./api-metrics.ts";
import type { ApiRequest, ApiResponse } from "./api-request.ts";
import { ApiServer } from "./api-server.ts";
import { Connections, KEEP_ALIVE_MS } from "./connections.ts";
import type { Health } from "./health.ts";
import { REQUEST_TIMEOUT_MS } from "./request-body.ts";
import { startRbac } from "./rbac/start-rbac.ts";
import { ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
import type { ServedCluster } from "./served-cluster.ts";

/** Longest time for a TLS handshake, and for the headers of a request. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** How often what takes too long or is idle too long is looked for. */
const SWEEP_INTERVAL_MS = 5_000;
/** Largest headers of a request, and most of them. */
const MAX_HEADER_BYTES = 64 * 1024;
const MAX_HEADERS = 200;
const HTTP1_LIMITS = {
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: SWEEP_INTERVAL_MS,
  maxHeaderSize: MAX_HEADER_BYTES,
} as const;
/** HTTP/2: streams of one client at the same time (as kube-apiserver), and memory that its session may hold, MiB. */
const MAX_STREAMS = 100;
const MAX_SESSION_MEMORY_MIB = 32;
/** HTTP/2: streams that a client may reset at once and per second, and frames that make no sense, before it is cut (rapid reset). */
const STREAM_RESET_BURST = 200;
const STREAM_RESETS_PER_SECOND = 50;
const MAX_INVALID_FRAMES = 100;
/** Requests in flight get this long when the server stops; watches are ended at once. */
const STOP_GRACE_MS = 500;

/** What {@link serveCluster} needs. */
export interface ServeOptions {
  readonly cluster: ServedCluster;
  /** Address to listen on, for example `127.0.0.1`. */
  readonly address: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** PEM texts. `clientCa` signs the certificates of clients: CN is the user, every O a group. */
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string };
  /** PEM file of the key that signs tokens of ServiceAccounts; made with mode 0600 when there is none. */
  readonly serviceAccountKeyPath: string;
  /** Where `kubectl logs` finds what containers wrote; without it no pod has a log. */
  readonly podLogs?: PodLogs;
  /** Bearer token of the user `admin` in group `system:masters`. */
  readonly adminToken?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Stops the server within a second. */
  readonly signal: AbortSignal;
}

/** A running API server. */
export interface ServedApi {
  readonly port: number;
  /** `https://address:port`. */
  readonly url: string;
  /** Resolves when every connection is gone. */
  readonly closed: Promise<void>;
}

/**
 * Serves a cluster over the Kubernetes REST API, so that kubectl and any other client work with it. Who may do what is decided by the
 * stored roles and bindings; the default ones are created when they are missing.
 *
 * @throws SeamError `PortInUse`, `ListenFailed`
 */
export async function serveCluster(options: ServeOptions): Promise<ServedApi> {
  const { cluster, address, clock, random, log, signal } = options;
  signal.throwIfAborted();
  const tokens = await ServiceAccountTokens.open({ ...options, keyPath: options.serviceAccountKeyPath });
  const rbac = await startRbac(options);
  const connections = new Connections();
  const metrics = new ApiMetrics(scrapedGauges(cluster, connections));
  const api = new ApiServer({
    cluster,
    authorizer: rbac.authorizer,
    escalation: rbac.escalation,
    adminToken: options.adminToken,
    tokens,
    podLogs: options.podLogs,
    health: healthOf(cluster, signal),
    metrics,
    clock,
    random,
    log,
  });
  const running = new Set<AbortController>();
  const server = createSecureServer(
    {
      cert: options.tls.cert,
      key: options.tls.key,
      ca: options.tls.clientCa,
      requestCert: true,
      // Whoever has no certificate may have a token; who may do what is decided per request.
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      keepAlive: true,
      noDelay: true,
      allowHTTP1: true,
      ...HTTP1_LIMITS,
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEADER_BYTES, enablePush: false },
      maxHeaderListPairs: MAX_HEADERS,
      maxSessionMemory: MAX_SESSION_MEMORY_MIB,
      maxSessionInvalidFrames: MAX_INVALID_FRAMES,
      streamResetBurst: STREAM_RESET_BURST,
      streamResetRate: STREAM_RESETS_PER_SECOND,
    },
    (request: ApiRequest, response: ApiResponse) => {
      const id = connectionId(request.socket);
      const gone = new AbortController();
      running.add(gone);
      connections.begin(id);
      response.once("close", () => {
        running.delete(gone);
        connections.end(id, clock.monotonic());
        gone.abort();
      });
      // A reset connection has already ended the request; there is nobody to tell.
      response.on("error", () => gone.abort());
      if (signal.aborted) gone.abort();
      void api.handle(request, response, gone.signal);
    },
  );
  server.on("connection", (socket: Socket) => {
    const id = connectionId(socket);
    if (!connections.add(id, () => socket.destroy(), clock.monotonic())) {
      socket.destroy();
      return;
    }
    socket.once("close", () => connections.remove(id));
  });
  server.on("tlsClientError", (error) => {
    metrics.handshakeFailed();
    log.debug({ error: errorMessage(error) }, "a TLS handshake failed");
  });
  server.on("sessionError", (error: Error) => {
    log.debug({ error: errorMessage(error) }, "an HTTP/2 connection was cut");
  });

  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const inUse = error.code === "EADDRINUSE";
      reject(
        new SeamError(
          {
            reason: inUse ? "PortInUse" : "ListenFailed",
            object: `Kubernetes API on ${address}:${options.port}`,
            expected: inUse ? "a free port, but another program listens there" : `to listen (${error.message})`,
            remedy: "stop the other program or choose another port",
          },
          { cause: error },
        ),
      );
    });
    server.listen({ host: address, port: options.port }, resolve);
  });
  server.removeAllListeners("error");
  server.on("error", (error) => log.error({ error: errorMessage(error) }, "the API listener failed"));

  const { port } = server.address() as AddressInfo;
  const sweeping = sweep(connections, clock, signal);
  const closed = new Promise<void>((resolve) => {
    const stop = (): void => {
      const over = new AbortController();
      for (const gone of running) gone.abort();
      server.close(() => {
        over.abort();
        resolve();
      });
      connections.closeIdle();
      clock.sleep(STOP_GRACE_MS, over.signal).then(
        () => connections.closeAll(),
        () => undefined, // everything ended by itself
      );
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  const host = address.includes(":") ? `[${address}]` : address;
  return {
    port,
    url: `https://${host}:${port}`,
    closed: Promise.all([closed, rbac.closed, sweeping]).then(() => undefined),
  };
}

async function sweep(connections: Connections, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await clock.sleep(SWEEP_INTERVAL_MS, signal);
    } catch {
      return; // the server stops: that is how the loop ends
    }
    connections.sweep(clock.monotonic());
  }
}

/** The same for a TCP socket and for what runs over it. */
function connectionId(socket: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): string {
  return `${socket.remoteAddress ?? ""}:${socket.remotePort ?? ""}`;
}

function healthOf(cluster: ServedCluster, signal: AbortSignal): Health {
  const ping = { name: "ping", failure: () => undefined };
  return {
    livez: [ping],
    readyz: [
      ping,
      { name: "storage", failure: () => cluster.storageFailure() },
      { name: "shutdown", failure: () => (signal.aborted ? "the server is stopping" : undefined) },
    ],
  };
}

function scrapedGauges(cluster: ServedCluster, connections: Connections): readonly ScrapedGauge[] {
  const objects = (labelsOf: (group: string, resource: string) => Readonly<Record<string, string>>) => () =>
    [...cluster.objectCounts()].map(({ group, resource, count }) => ({
      labels: labelsOf(group, resource),
      value: count,
    }));
  const single = (value: () => number) => () => [{ labels: {}, value: value() }];
  return [
    {
      name: "apiserver_resource_objects",
      help: "Stored objects by resource.",
      labelNames: ["group", "resource"],
      read: objects((group, resource) => ({ group, resource })),
    },
    {
      name: "apiserver_storage_objects",
      help: "Stored objects by resource, as older versions of Kubernetes name them.",
      labelNames: ["resource"],
      read: objects((group, resource) => ({ resource: group === "" ? resource : `${resource}.${group}` })),
    },
    {
      name: "apiserver_connections",
      help: "Open client connections.",
      labelNames: [],
      read: single(() => connections.size),
    },
    {
      name: "process_resident_memory_bytes",
      help: "Resident memory of the process.",
      labelNames: [],
      read: single(() => process.memoryUsage.rss()),
    },
    {
      name: "process_cpu_seconds_total",
      help: "User and system CPU time of the process.",
      labelNames: [],
      read: single(() => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1e6;
      }),
    },
    {
      name: "process_start_time_seconds",
      help: "When the process started, Unix seconds.",
      labelNames: [],
      read: single(() => performance.timeOrigin / 1000),
    },
  ];
}
