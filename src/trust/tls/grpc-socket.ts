import { Server, ServerCredentials } from "@grpc/grpc-js";
import { chmod, lstat, rm } from "node:fs/promises";
import { type Socket, connect, createServer } from "node:net";
import { type GrpcService, addService } from "../../api/grpc/service-implementation.ts";
import { UnaryCalls } from "../../api/grpc/unary-call.ts";
import type { Clock } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { principalOfToken } from "./bearer-principal.ts";
import { DEFAULT_CONNECTION_LIMITS, SESSION_MEMORY_MIB } from "./connection-limits.ts";
import type { Authentication } from "./tls-listener.ts";

/** Longest path a socket can have, bytes (`sun_path` of Linux, less its end). */
const MAX_PATH_BYTES = 107;
/** Callers of one machine. */
const MAX_CONNECTIONS = 256;
/** Owner and group: the token is what counts, the file keeps strangers from trying. */
const SOCKET_MODE = 0o660;

/** Options of {@link startGrpcSocket}. */
export interface GrpcSocketOptions {
  /** Where the socket lies; what a process left there that is gone is removed. */
  readonly path: string;
  readonly services: readonly GrpcService[];
  /** Each call carries `authorization: Bearer ...`: a socket file says nothing about who is at its other end. */
  readonly authenticateToken: (token: string) => Promise<Authentication>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Serves gRPC on a Unix socket, without TLS: what passes there does not leave the machine.
 *
 * @throws SeamError `ListenFailed`, naming the path
 */
export async function startGrpcSocket(options: GrpcSocketOptions): Promise<{ readonly closed: Promise<void> }> {
  const { path, log, signal, clock } = options;
  const { maxMessageBytes, maxConcurrentCalls, stopGraceMs } = DEFAULT_CONNECTION_LIMITS;
  await freePath(path);
  const unary = new UnaryCalls();
  const grpc = new Server({
    "grpc.enable_channelz": 0,
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.max_concurrent_streams": maxConcurrentCalls,
    "grpc-node.max_session_memory": SESSION_MEMORY_MIB,
    interceptors: [unary.interceptor],
  });
  const hooks = {
    principal: (_: string, metadata: Parameters<typeof principalOfToken>[0]) =>
      principalOfToken(metadata, options.authenticateToken),
    signal,
    log,
  };
  for (const service of options.services) addService(grpc, unary, service, hooks);
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", (error) => log.debug({ path, err: error }, "connection failed"));
    injector.injectConnection(socket);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(listenFailed(path, errorMessage(cause), "choose a path this process may write")),
    );
    server.listen(path, resolve);
  });
  server.on("error", (error) => log.error({ path, err: error }, "listener failed"));
  await chmod(path, SOCKET_MODE);

  const stop = async (): Promise<void> => {
    const gone = new Promise<void>((resolve) => server.close(() => resolve())); // removes the file as well
    const ended = new Promise<void>((resolve) => grpc.tryShutdown(() => resolve()));
    const grace = new AbortController();
    await Promise.race([
      ended,
      clock.sleep(stopGraceMs, grace.signal).catch(() => {
        // the calls ended first
      }),
    ]);
    grace.abort();
    grpc.forceShutdown();
    for (const socket of sockets) socket.destroy();
    await gone;
  };
  const closed = new Promise<void>((resolve, reject) => {
    const begin = (): void => {
      stop().then(resolve, reject);
    };
    if (signal.aborted) begin();
    else signal.addEventListener("abort", begin, { once: true });
  });
  return { closed };
}

/** Removes the socket of a process that is gone; anything else that lies there is somebody's. @throws SeamError `ListenFailed` */
async function freePath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw listenFailed(path, `a path of at most ${MAX_PATH_BYTES} bytes`, "choose a shorter one");
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw listenFailed(path, "a free path, but another file lies there", "choose another path");
  if (await answers(path))
    throw listenFailed(
      path,
      "a free path, but another program listens there",
      "stop that program or choose another path",
    );
  await rm(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function listenFailed(path: string, expected: string, remedy: string): SeamError {
  return new SeamError({ reason: "ListenFailed", object: `socket ${path}`, field: "path", expected, remedy });
}
