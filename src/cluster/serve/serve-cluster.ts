import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { errorMessage, SeamError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { ApiServer } from "./api-server.ts";
import { startRbac } from "./rbac/start-rbac.ts";
import { ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
import type { ServedCluster } from "./served-cluster.ts";

/** Connections at the same time; each watch holds one. */
const MAX_CONNECTIONS = 4096;
/** Longest time for the headers of a request, and for the whole of it. */
const HEADERS_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** Idle connections are kept longer than clients keep them, so that the client closes first. */
const KEEP_ALIVE_MS = 90_000;
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
  const api = new ApiServer({
    cluster,
    authorizer: rbac.authorizer,
    escalation: rbac.escalation,
    adminToken: options.adminToken,
    tokens,
    clock,
    random,
    log,
  });
  const running = new Set<Promise<void>>();
  const server = createServer(
    {
      cert: options.tls.cert,
      key: options.tls.key,
      ca: options.tls.clientCa,
      requestCert: true,
      // Whoever has no certificate may have a token; who may do what is decided per request.
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      keepAlive: true,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    },
    (request: IncomingMessage, response: ServerResponse) => {
      const gone = new AbortController();
      response.once("close", () => gone.abort());
      // A reset connection has already ended the request; there is nobody to tell.
      response.on("error", () => gone.abort());
      const done = api.handle(request, response, AbortSignal.any([gone.signal, signal]));
      running.add(done);
      void done.finally(() => running.delete(done));
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on("tlsClientError", (error) => {
    log.debug({ error: errorMessage(error) }, "a TLS handshake failed");
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
  const closed = new Promise<void>((resolve) => {
    const stop = (): void => {
      const over = new AbortController();
      server.close(() => {
        over.abort();
        resolve();
      });
      server.closeIdleConnections();
      void Promise.allSettled(running).then(() => server.closeIdleConnections());
      clock.sleep(STOP_GRACE_MS, over.signal).then(
        () => server.closeAllConnections(),
        () => undefined, // everything ended by itself
      );
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  const host = address.includes(":") ? `[${address}]` : address;
  return { port, url: `https://${host}:${port}`, closed: Promise.all([closed, rbac.closed]).then(() => undefined) };
}
