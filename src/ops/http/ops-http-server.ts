import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { createHttpServer } from "../../trust/tls/http-server.ts";
import type { PrometheusMetrics } from "../metrics/prometheus-metrics.ts";
import { type ReadinessCheck, readinessReport } from "./readiness.ts";

/** Answers one request; false when it is not for this handler. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** Options of {@link startOpsHttpServer}. */
export interface OpsHttpOptions {
  /** Interface to listen on. */
  readonly address: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly metrics: PrometheusMetrics;
  readonly readiness: readonly ReadinessCheck[];
  /** Tried in order before 404. */
  readonly handlers: readonly HttpHandler[];
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A running HTTP server. */
export interface OpsHttpServer {
  readonly port: number;
  /** Resolves when it is closed and every connection is gone. */
  readonly closed: Promise<void>;
}

/** Time a client has to send its headers, milliseconds. */
const HEADERS_TIMEOUT_MS = 5_000;
/** Open connections: Prometheus, a kubelet, a few browsers. */
const MAX_CONNECTIONS = 256;

/**
 * `/healthz` (the process can answer), `/readyz` (it takes work), `/metrics`, and what the handlers add.
 *
 * @throws SeamError `ListenFailed`, naming the port
 */
export async function startOpsHttpServer(options: OpsHttpOptions): Promise<OpsHttpServer> {
  const server = createHttpServer({ headersTimeout: HEADERS_TIMEOUT_MS }, (request, response) => {
    response.on("error", (error) => options.log.debug({ error: error.message }, "ops response failed"));
    route(options, request, response);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, options);
  server.on("error", (error) => options.log.error({ error: error.message }, "ops listener failed"));
  const closed = new Promise<void>((resolve) => {
    server.once("close", resolve);
  });
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  if (options.signal.aborted) stop();
  else options.signal.addEventListener("abort", stop, { once: true });
  return { port: (server.address() as AddressInfo).port, closed };
}

function route(options: OpsHttpOptions, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? "/").split("?")[0];
  switch (path) {
    case "/healthz":
      send(response, 200, "text/plain; charset=utf-8", "ok\n");
      return;
    case "/readyz": {
      const report = readinessReport(options.readiness);
      send(response, report.ready ? 200 : 503, "application/json", `${JSON.stringify(report)}\n`);
      return;
    }
    case "/metrics":
      options.metrics.scrape().then(
        (text) => send(response, 200, options.metrics.contentType, text),
        (error: unknown) => {
          options.log.error({ error: errorMessage(error) }, "metrics cannot be written");
          send(response, 500, "text/plain; charset=utf-8", "metrics cannot be written\n");
        },
      );
      return;
    default:
      if (options.handlers.some((handler) => handler(request, response))) return;
      send(response, 404, "text/plain; charset=utf-8", "not found\n");
  }
}

/** Sends a whole answer that nothing may cache. */
export function send(response: ServerResponse, code: number, contentType: string, body: string): void {
  response.writeHead(code, {
    "content-type": contentType,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

function listen(server: Server, options: OpsHttpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      reject(
        new SeamError(
          {
            reason: "ListenFailed",
            object: `ops listener ${options.address}:${options.port}`,
            field: "port",
            expected: cause.code === "EADDRINUSE" ? "a free port, but another program listens there" : cause.message,
            remedy: "stop that program or choose another port",
          },
          { cause },
        ),
      );
    };
    server.once("error", failed);
    server.listen(options.port, options.address, () => {
      server.off("error", failed);
      resolve();
    });
  });
}
