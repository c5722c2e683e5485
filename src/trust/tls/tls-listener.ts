import { type X509Certificate, createHash, hkdfSync } from "node:crypto";
import { type AddressInfo, Socket, createServer } from "node:net";
import { type TLSSocket, createServer as createTlsServer } from "node:tls";
import type { Principal } from "../../api/grpc/principal.ts";
import type { Clock } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import { TokenBucket } from "../../base/token-bucket.ts";
import type { ConnectionLimits } from "./connection-limits.ts";
import { type TlsConnection, LiveConnection } from "./live-connection.ts";
import { HandshakeCrowd } from "./handshake-crowd.ts";
import type { TlsMaterial, TlsSource } from "./tls-material.ts";

/** Answer of an authenticator. `reason` is a stable CamelCase code: log field and metric label. */
export type Authentication =
  | { readonly ok: true; readonly principal: Principal | undefined }
  | { readonly ok: false; readonly reason: string; readonly detail: string };

/** Options of {@link startTlsListener}. */
export interface TlsListenerOptions {
  /** Interface to listen on, for example `127.0.0.1` or `::`. */
  readonly address: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly tls: TlsSource;
  /** `optional` lets a client without certificate in, for listeners that also take tokens. */
  readonly clientCertificate: "required" | "optional";
  /** ALPN protocols, preferred first; default `h2` alone. With `http/1.1` a client that offers no protocol is taken for one. */
  readonly protocols?: readonly ("h2" | "http/1.1")[];
  /** Called after the chain was verified, at accept and again on live connections. Undefined: the peer showed no certificate. */
  authenticate(certificate: X509Certificate | undefined): Authentication;
  /** Takes over an authenticated connection. */
  onConnection(socket: TLSSocket, connection: TlsConnection): void;
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** A running listener. */
export interface TlsListener {
  readonly port: number;
  /** The live connection of a peer. */
  connection(peer: string): TlsConnection | undefined;
  readonly connections: number;
  /** Authenticates every live connection, or those of one identity, again and destroys what no longer passes. */
  recheck(identity?: string): void;
  /** Closes the listening socket; live connections stay. */
  stopAccepting(): void;
  /** Destroys every connection. */
  destroyAll(reason: string): void;
  /** Resolves when the listening socket and every connection are closed. */
  readonly closed: Promise<void>;
}

/** Counter of refused connections, by reason. */
const REFUSED_TOTAL = "tls_connections_refused_total";
/** Time for which a session can be resumed, seconds: agents that were connected for a day come back cheaply. */
const SESSION_SECONDS = 86_400;
/** Parts in which live connections are authenticated again within one interval. */
const RECHECK_SLICES = 16;
/** Time between two lines about connections that were refused before TLS, milliseconds. */
const CROWD_TOLD_EVERY_MS = 1_000;
/** Time over which a flood is told from a burst, milliseconds. */
const FLOOD_WINDOW_MS = 1_000;
const DEFAULT_PROTOCOLS = ["h2"] as const;
/** Gauge of open connections. */
const CONNECTIONS = "tls_connections";

/**
 * TLS 1.3 with ALPN h2 and client certificates, in front of grpc-js. Admission by count and rate comes before the handshake;
 * identity is checked between handshake and the first HTTP/2 byte; a refusal is logged and counted with its reason and touches
 * nothing but its own socket.
 *
 * @throws SeamError `ListenFailed`, naming address and port
 */
export async function startTlsListener(options: TlsListenerOptions): Promise<TlsListener> {
  const { limits, clock, metrics, signal } = options;
  const log = options.log.child({ listener: `${options.address}:${options.port}` });
  const bucket = new TokenBucket(limits.accept, clock.monotonic());
  const sockets = new Set<Socket>();
  const handshaking = new HandshakeCrowd<Socket>(limits.maxHandshakes);
  const live = new Map<string, LiveConnection>();
  /** Connections of each name, oldest first. */
  const byIdentity = new Map<string, readonly LiveConnection[]>();
  const connections = new WeakMap<Socket, LiveConnection>();
  const peers = new WeakMap<object, string>();

  const refuse = (socket: Socket, peer: string, reason: string, detail: string): void => {
    metrics.count(REFUSED_TOTAL, { reason });
    // Probes and load balancers connect and hang up all day: worth a count, not a warning.
    log[reason === "HandshakeAborted" ? "info" : "warn"]({ peer, reason, detail }, "connection refused");
    socket.destroy();
  };

  let crowdToldMs = -Infinity;
  let untold = 0;
  /** Before a word was said; a fleet that comes back is refused by the thousand, so one line a second says how many. */
  const refuseUnheard = (socket: Socket, reason: string, detail: string): void => {
    metrics.count(REFUSED_TOTAL, { reason });
    untold++;
    const peer = peerOf(socket);
    socket.destroy();
    const nowMs = clock.monotonic();
    if (nowMs - crowdToldMs < CROWD_TOLD_EVERY_MS) return;
    log.warn({ peer, reason, detail, refused: untold }, "connection refused");
    crowdToldMs = nowMs;
    untold = 0;
  };

  const material = options.tls.current();
  const tlsServer = createTlsServer({
    cert: material.certificatePem,
    key: material.privateKeyPem,
    ca: material.caPem,
    minVersion: "TLSv1.3",
    ticketKeys: ticketKeysOf(material),
    sessionTimeout: SESSION_SECONDS,
    ALPNProtocols: [...(options.protocols ?? DEFAULT_PROTOCOLS)],
    requestCert: true,
    // Node would drop an unverified peer without a word; the check below says why.
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeMs,
  });
  const unsubscribe = options.tls.subscribe((next) => {
    tlsServer.setSecureContext({
      cert: next.certificatePem,
      key: next.privateKeyPem,
      ca: next.caPem,
      minVersion: "TLSv1.3",
    });
    tlsServer.setTicketKeys(ticketKeysOf(next));
  });

  // One function of each for all connections: there are thousands.
  const failed = function (this: Socket, error: Error): void {
    log.debug({ peer: peers.get(this) ?? peerOf(this), err: error }, "connection failed");
  };
  const closedBeneath = function (this: Socket): void {
    sockets.delete(this);
    handshaking.leave(this);
  };
  const gone = function (this: Socket): void {
    const connection = connections.get(this);
    if (connection === undefined) return;
    connections.delete(this);
    const { peer, name } = connection;
    connection.release();
    if (live.get(peer) === connection) live.delete(peer);
    const left = (byIdentity.get(name) ?? []).filter((other) => other !== connection);
    if (left.length === 0) byIdentity.delete(name);
    else byIdentity.set(name, left);
    metrics.gauge(CONNECTIONS, live.size);
  };
  tlsServer.on("tlsClientError", (error, socket) => {
    // A socket that has ended no longer knows its address; the one beneath it was remembered at accept.
    const beneath = socketBeneath(socket);
    const peer = (beneath === undefined ? undefined : peers.get(beneath)) ?? peerOf(socket);
    refuse(socket, peer, handshakeFailure(error), errorMessage(error));
  });
  tlsServer.on("secureConnection", (socket) => {
    const peer = peerOf(socket);
    const beneath = socketBeneath(socket);
    if (beneath !== undefined) handshaking.leave(beneath);
    socket.on("error", failed);
    const verdict = admit(socket, options);
    if (!verdict.ok) {
      refuse(socket, peer, verdict.reason, verdict.detail);
      return;
    }
    const connection = new LiveConnection(socket, peer, verdict.principal, refuse);
    const { name } = connection;
    const others = byIdentity.get(name);
    const own = others === undefined ? [connection] : [...others, connection];
    byIdentity.set(name, own);
    const [oldest] = own;
    if (name !== "" && own.length > limits.maxConnectionsPerIdentity)
      oldest?.destroyFor(
        "ConnectionsPerIdentity",
        `at most ${limits.maxConnectionsPerIdentity} connections of ${name}`,
      );
    live.set(peer, connection);
    metrics.gauge(CONNECTIONS, live.size);
    connection.expectCallWithin(limits.firstCallMs);
    connections.set(socket, connection);
    socket.on("close", gone);
    options.onConnection(socket, connection);
  });

  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", failed);
    if (live.size >= limits.maxConnections) {
      refuseUnheard(socket, "TooManyConnections", `at most ${limits.maxConnections} connections`);
      return;
    }
    if (!bucket.take(clock.monotonic())) {
      refuseUnheard(socket, "AcceptRate", `at most ${limits.accept.perSecond} new connections per second`);
      return;
    }
    const superfluous = handshaking.enter(socket, clock.monotonic());
    if (superfluous !== undefined) {
      refuseUnheard(superfluous, "HandshakeCrowded", `at most ${limits.maxHandshakes} connections in handshake`);
      if (superfluous === socket) return;
    }
    sockets.add(socket);
    peers.set(socket, peerOf(socket));
    socket.on("close", closedBeneath);
    tlsServer.emit("connection", socket);
  });

  const recheckOne = (connection: LiveConnection): void => {
    const verdict = options.authenticate(connection.certificate());
    if (!verdict.ok) connection.destroyFor(verdict.reason, verdict.detail);
  };
  const recheck = (identity?: string): void => {
    const concerned = identity === undefined ? live.values() : (byIdentity.get(identity) ?? []);
    for (const connection of concerned) recheckOne(connection);
  };
  // Reading a certificate costs: a thousand of them at once would hold up every stream, so each slice takes its part in turn.
  let turn = live.values();
  const recheckSlice = (): void => {
    for (let left = Math.ceil(live.size / RECHECK_SLICES); left > 0; left--) {
      let next = turn.next();
      if (next.done === true) {
        turn = live.values();
        next = turn.next();
      }
      if (next.done === true) return;
      recheckOne(next.value);
    }
  };
  const floodSeconds = FLOOD_WINDOW_MS / 1000;
  const findFloods = (): void => {
    for (const connection of live.values()) {
      const bytes = connection.excessAfter(limits.overheadBytesPerSecond * floodSeconds);
      // One message may still be on its way, on a slow path for a long time.
      if (bytes > limits.maxMessageBytes)
        connection.destroyFor("Flood", `${bytes} bytes that are no messages, beyond what is allowed`);
    }
  };
  const stopAccepting = (): void => {
    if (server.listening) server.close();
  };
  const destroyAll = (reason: string): void => {
    if (sockets.size > 0) log.info({ connections: sockets.size, reason }, "destroying connections");
    for (const socket of sockets) socket.destroy();
  };

  await listen(server, options);
  // A dead listener must not go unnoticed, nor end the process.
  server.on("error", (error) => log.error({ err: error }, "listener failed"));
  const timer = setInterval(recheckSlice, limits.recheckMs / RECHECK_SLICES);
  timer.unref();
  const floodTimer = limits.overheadBytesPerSecond === Infinity ? undefined : setInterval(findFloods, FLOOD_WINDOW_MS);
  floodTimer?.unref();
  const closed = new Promise<void>((resolve) => {
    server.once("close", () => {
      clearInterval(timer);
      clearInterval(floodTimer);
      unsubscribe();
      tlsServer.close();
      resolve();
    });
  });
  const stop = (): void => {
    stopAccepting();
    destroyAll("the listener stops");
  };
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });

  return {
    port: (server.address() as AddressInfo).port,
    connection: (peer) => live.get(peer),
    get connections() {
      return live.size;
    },
    recheck,
    stopAccepting,
    destroyAll,
    closed,
  };
}

/**
 * Keys that session tickets are sealed with, 48 bytes. Derived from the material, so that agents resume with a hub that has restarted,
 * and gone with it: a resumed session skips chain verification, so no ticket outlives the certificate or the CAs it was given under.
 * Expiry and deny list are checked on every connection, resumed or not.
 */
function ticketKeysOf({ certificatePem, privateKeyPem, caPem }: TlsMaterial): Buffer {
  const salt = createHash("sha256").update(certificatePem).update(caPem).digest();
  return Buffer.from(hkdfSync("sha256", privateKeyPem, salt, "seam TLS session tickets", 48));
}

function admit(socket: TLSSocket, options: TlsListenerOptions): Authentication {
  const protocols: readonly string[] = options.protocols ?? DEFAULT_PROTOCOLS;
  // Node says false when the client offered nothing.
  if (!protocols.includes(socket.alpnProtocol || "http/1.1"))
    return {
      ok: false,
      reason: "AlpnMissing",
      detail: `the client must offer ALPN protocol ${protocols.join(" or ")}`,
    };
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) {
    if (options.clientCertificate === "required")
      return { ok: false, reason: "NoCertificate", detail: "a client certificate is required" };
  } else if (!socket.authorized) {
    return { ok: false, reason: "CertificateUntrusted", detail: String(socket.authorizationError) };
  }
  return options.authenticate(certificate);
}

/** Stable reason of a failed handshake. */
function handshakeFailure(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  switch (code) {
    case "ERR_TLS_HANDSHAKE_TIMEOUT":
      return "HandshakeTimeout";
    case "ERR_SSL_UNSUPPORTED_PROTOCOL":
    case "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION":
      return "TlsVersion";
    case "ERR_SSL_NO_APPLICATION_PROTOCOL":
      return "AlpnMissing";
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
    case "ERR_SSL_HTTP_REQUEST":
      return "NotTls";
    case "ECONNRESET":
      return "HandshakeAborted";
    default:
      return "HandshakeFailed";
  }
}

/** The TCP socket that a TLS socket was made of. */
function socketBeneath(socket: TLSSocket): Socket | undefined {
  const beneath: unknown = Reflect.get(socket, "_parent");
  return beneath instanceof Socket ? beneath : undefined;
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
}

function listen(server: ReturnType<typeof createServer>, options: TlsListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      reject(
        new SeamError(
          {
            reason: "ListenFailed",
            object: `listener ${options.address}:${options.port}`,
            field: "port",
            expected:
              cause.code === "EADDRINUSE" ? "a free port, but another program listens there" : errorMessage(cause),
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
