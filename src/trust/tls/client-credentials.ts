import { CallCredentials, ChannelCredentials } from "@grpc/grpc-js";
import { type Socket, isIP } from "node:net";
import { type SecureContext, type TLSSocket, connect, createSecureContext } from "node:tls";
import type { TlsMaterial } from "./tls-material.ts";
import type { TlsSessions } from "./tls-sessions.ts";

/** What {@link clientCredentials} may be told beyond the material. */
export interface ClientTlsOptions {
  /** Name the server's certificate must hold instead of the dialled host (R-4.5: FEDERATION_SERVER_NAME). */
  readonly serverName?: string;
  /** Time for the TLS handshake, milliseconds; default {@link CLIENT_HANDSHAKE_MS}. A missed deadline destroys the socket. */
  readonly handshakeMs?: number;
  /** Called when TCP is connected, before TLS. */
  readonly onTcp?: (socket: Socket) => void;
  /** Called when TLS is up, before HTTP/2. */
  readonly onTls?: (socket: TLSSocket) => void;
  /** Sessions of earlier connections, to resume one: a third of the cost of a handshake for both sides. */
  readonly sessions?: TlsSessions;
}

/** What a client needs: the CA always, its own certificate and key unless it calls with a token. */
export type ClientTlsMaterial = Pick<TlsMaterial, "caPem"> & Partial<TlsMaterial>;

/** Default time for a client's TLS handshake, milliseconds. */
export const CLIENT_HANDSHAKE_MS = 10_000;

/**
 * Credentials of a gRPC client: TLS 1.3 only with ALPN h2, our certificate, the peer verified against our CA and the dialled host.
 * The handshake is ours rather than the library's: it has a deadline, and an IP address is not sent as a server name.
 */
export function clientCredentials(material: ClientTlsMaterial, options: ClientTlsOptions = {}): ChannelCredentials {
  return new TlsClientCredentials(material, options);
}

type ConnectorArguments = Parameters<ChannelCredentials["_createSecureConnector"]>;
type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

class TlsClientCredentials extends ChannelCredentials {
  readonly #context: SecureContext;
  readonly #options: ClientTlsOptions;

  constructor(material: ClientTlsMaterial, options: ClientTlsOptions) {
    super();
    const make = (): SecureContext =>
      createSecureContext({
        ...(material.certificatePem === undefined ? {} : { cert: material.certificatePem }),
        ...(material.privateKeyPem === undefined ? {} : { key: material.privateKeyPem }),
        ca: material.caPem,
        minVersion: "TLSv1.3",
      });
    this.#context = options.sessions?.context(make) ?? make();
    this.#options = options;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...[target, , callCredentials]: ConnectorArguments): SecureConnector {
    const credentials = callCredentials ?? CallCredentials.createEmpty();
    // Of a list of addresses the one that was dialled counts.
    const listed = target.scheme === "ipv4" || target.scheme === "ipv6";
    const dialled = ({ remoteAddress, remotePort }: Socket): string =>
      listed && remoteAddress !== undefined ? `${remoteAddress}:${remotePort}` : target.path;
    return {
      connect: async (socket) => ({ socket: await this.#handshake(socket, dialled(socket)), secure: true }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => credentials,
      destroy: () => {},
    };
  }

  #handshake(tcp: Socket, server: string): Promise<TLSSocket> {
    const { serverName = hostOf(server), handshakeMs = CLIENT_HANDSHAKE_MS, onTcp, onTls, sessions } = this.#options;
    const session = sessions?.get(server);
    onTcp?.(tcp);
    // A socket that is already gone says so to nobody.
    if (tcp.destroyed) return Promise.reject(new Error("the connection was given up before the TLS handshake"));
    return new Promise((resolve, reject) => {
      const tls = connect({
        socket: tcp,
        secureContext: this.#context,
        host: serverName,
        ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
        ALPNProtocols: ["h2"],
        ...(session === undefined ? {} : { session }),
      });
      if (sessions !== undefined) tls.on("session", (ticket: Buffer) => sessions.put(server, ticket));
      const timer = setTimeout(() => {
        tls.destroy(new Error(`TLS handshake not finished within ${handshakeMs} ms`));
      }, handshakeMs);
      const ended = (): void => reject(new Error("the connection ended during the TLS handshake"));
      // The error listener stays: HTTP/2 takes the socket over in a later turn, and an error until then must not be unhandled.
      tls.on("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      tls.once("close", ended);
      tls.once("secureConnect", () => {
        clearTimeout(timer);
        tls.off("close", ended);
        if (tls.alpnProtocol !== "h2") {
          tls.destroy();
          reject(new Error("the server does not speak HTTP/2 (ALPN h2)"));
          return;
        }
        onTls?.(tls);
        resolve(tls);
      });
    });
  }
}

/** Host of a channel target's path: `host:port`, `[v6]:port` or a bare host. */
function hostOf(path: string): string {
  const bracketed = /^\[(.+)\](?::\d+)?$/.exec(path);
  if (bracketed?.[1] !== undefined) return bracketed[1];
  return path.split(":").length === 2 ? path.slice(0, path.lastIndexOf(":")) : path;
}
