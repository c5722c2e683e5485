import { createServer as createHttp2Server } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { ConnectionLimits } from "../../trust/tls/connection-limits.ts";
import { createHttpServer } from "../../trust/tls/http-server.ts";
import type { HttpRequest, HttpResponse } from "./http-exchange.ts";

/** Largest header block, bytes: a token of a service account has room. */
const MAX_HEADER_BYTES = 32 * 1024;
/** Memory that one HTTP/2 connection may take, MiB. */
const MAX_SESSION_MEMORY_MIB = 8;
/** A connection without requests is closed after this time, milliseconds: beyond the pause between an API server's questions. */
const IDLE_MS = 90_000;

/** HTTP over sockets that a TLS listener has accepted. */
export interface HttpConnections {
  /** Serves a socket by the protocol that was agreed on. */
  take(socket: TLSSocket): void;
}

/** Serves HTTP/2 and HTTP/1.1 with one handler. */
export function httpConnections(
  handler: (request: HttpRequest, response: HttpResponse) => void,
  limits: Pick<ConnectionLimits, "maxConcurrentCalls">,
): HttpConnections {
  const http1 = createHttpServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: IDLE_MS }, handler);
  const http2 = createHttp2Server(
    {
      maxSessionMemory: MAX_SESSION_MEMORY_MIB,
      settings: { maxConcurrentStreams: limits.maxConcurrentCalls, maxHeaderListSize: MAX_HEADER_BYTES },
    },
    handler,
  );
  http2.setTimeout(IDLE_MS);
  // No new requests on an idle session; what is under way, such as a watch, goes on.
  http2.on("timeout", (session?: { close(): void }) => session?.close());
  // A broken session ends with its socket, which the listener watches.
  http2.on("sessionError", () => {});
  return {
    take: (socket) => {
      (socket.alpnProtocol === "h2" ? http2 : http1).emit("connection", socket);
    },
  };
}
