import { type Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import type { X509Certificate } from "node:crypto";
import { type GrpcService, addService } from "../../api/grpc/service-implementation.ts";
import { UnaryCalls } from "../../api/grpc/unary-call.ts";
import { GrpcStatusError, Status } from "../../api/grpc/status-error.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { type Metrics, silentMetrics } from "../../base/metrics.ts";
import {
  type ConnectionLimits,
  DEFAULT_CONNECTION_LIMITS,
  KEEPALIVE_PING_MS,
  KEEPALIVE_TIMEOUT_MS,
  SESSION_MEMORY_MIB,
} from "./connection-limits.ts";
import type { TlsConnection } from "./live-connection.ts";
import { type Authentication, startTlsListener } from "./tls-listener.ts";
import { principalOfToken } from "./bearer-principal.ts";
import type { TlsSource } from "./tls-material.ts";

/** Options of {@link startGrpcServer}. */
export interface GrpcServerOptions {
  /** Interface to listen on. */
  readonly address: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly tls: TlsSource;
  /** Services to serve; add reflectionService and healthService here. */
  readonly services: readonly GrpcService[];
  /** Who holds a certificate: called at accept and again on live connections. Usually over tenantIdentity or operatorIdentity. */
  authenticate(certificate: X509Certificate | undefined): Authentication;
  /** When given, clients without certificate are let in and each of their calls must carry `authorization: Bearer …`. */
  readonly authenticateToken?: (token: string) => Promise<Authentication>;
  readonly limits?: Partial<ConnectionLimits>;
  readonly clock?: Clock;
  readonly log: Log;
  readonly metrics?: Metrics;
  readonly signal: AbortSignal;
}

/** A running gRPC server behind our own TLS listener. */
export interface GrpcServer {
  readonly port: number;
  /** Live connections. */
  readonly connections: number;
  /** The live connection of a call's peer. */
  connection(peer: string): TlsConnection | undefined;
  /** Authenticates live connections, or those of one identity, again now (a deny list changed). */
  recheck(identity?: string): void;
  /** Lame duck: closes the listening socket; live connections stay until the signal aborts. */
  stopAccepting(): void;
  /** Resolves after the signal aborted and everything is released. */
  readonly closed: Promise<void>;
}

/**
 * Serves gRPC over TLS 1.3 with client certificates.
 *
 * @throws SeamError `ListenFailed`
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const limits: ConnectionLimits = { ...DEFAULT_CONNECTION_LIMITS, ...options.limits };
  const metrics = options.metrics ?? silentMetrics;
  const unary = new UnaryCalls();
  const server = new Server({
    "grpc.enable_channelz": 0,
    "grpc.keepalive_time_ms": KEEPALIVE_PING_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_send_message_length": limits.maxMessageBytes,
    "grpc.max_concurrent_streams": limits.maxConcurrentCalls,
    "grpc-node.max_session_memory": SESSION_MEMORY_MIB,
    interceptors: [unary.interceptor],
  });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const transport = new AbortController();
  const listener = await startTlsListener({
    address: options.address,
    port: options.port,
    tls: options.tls,
    clientCertificate: options.authenticateToken === undefined ? "required" : "optional",
    authenticate: (certificate) => {
      if (certificate === undefined && options.authenticateToken !== undefined)
        return { ok: true, principal: undefined };
      return options.authenticate(certificate);
    },
    onConnection: (socket) => injector.injectConnection(socket),
    limits,
    clock: options.clock ?? systemClock,
    log: options.log,
    metrics,
    signal: transport.signal,
  });
  const hooks = {
    principal: (peer: string, metadata: Metadata) => {
      const connection = listener.connection(peer);
      if (connection === undefined) throw new GrpcStatusError(Status.UNAVAILABLE, "the connection is gone");
      connection.called();
      return connection.principal ?? principalOfToken(metadata, options.authenticateToken);
    },
    signal: options.signal,
    log: options.log,
  };
  for (const service of options.services) addService(server, unary, service, hooks);

  const stop = async (): Promise<void> => {
    listener.stopAccepting();
    // Handlers saw the signal too: give their last words the time to leave, then destroy.
    const ended = new Promise<void>((resolve) => {
      server.tryShutdown(() => resolve());
    });
    const grace = new AbortController();
    await Promise.race([
      ended,
      (options.clock ?? systemClock).sleep(limits.stopGraceMs, grace.signal).catch(() => {
        // the calls ended first
      }),
    ]);
    grace.abort();
    server.forceShutdown();
    transport.abort();
    await listener.closed;
  };
  const closed = new Promise<void>((resolve, reject) => {
    const begin = (): void => {
      stop().then(resolve, reject);
    };
    if (options.signal.aborted) begin();
    else options.signal.addEventListener("abort", begin, { once: true });
  });

  return {
    port: listener.port,
    get connections() {
      return listener.connections;
    },
    connection: (peer) => listener.connection(peer),
    recheck: (identity) => listener.recheck(identity),
    stopAccepting: () => listener.stopAccepting(),
    closed,
  };
}
