import type { SecureContext } from "node:tls";

/** Servers whose sessions are remembered at a time. */
const MAX_SERVERS = 16;

/**
 * TLS 1.3 sessions by server, newest only, in memory. One serves many connections: the server gives another with the next full
 * handshake. What is resumed was verified when it began; whoever changes certificate, key or CA starts with none.
 */
export class TlsSessions {
  readonly #byServer = new Map<string, Buffer>();
  #context: SecureContext | undefined = undefined;

  /** The context of every connection with this certificate, made once: reading keys and CAs costs as much as resuming a session. */
  context(make: () => SecureContext): SecureContext {
    return (this.#context ??= make());
  }

  /** The session to resume with a server. */
  get(server: string): Buffer | undefined {
    return this.#byServer.get(server);
  }

  put(server: string, session: Buffer): void {
    this.#byServer.delete(server);
    this.#byServer.set(server, session);
    for (const oldest of this.#byServer.keys()) {
      if (this.#byServer.size <= MAX_SERVERS) break;
      this.#byServer.delete(oldest);
    }
  }
}
