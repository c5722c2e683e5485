import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Principal } from "../../api/grpc/principal.ts";

/** What framing adds to a message on its way, bytes: gRPC prefix, HTTP/2 frames and TLS records of a small one. */
const MESSAGE_OVERHEAD_BYTES = 96;
const NOBODY: readonly ConnectionListener[] = [];

/** Refuses a connection by destroying its socket, counted and logged. */
export type Refuse = (socket: Socket, peer: string, reason: string, detail: string) => void;

/** One authenticated connection. */
export interface TlsConnection {
  /** `address:port` of the other end: what grpc-js calls the peer. */
  readonly peer: string;
  readonly principal: Principal | undefined;
  /** Destroys the socket at once, never gracefully (lessons §1.6). Why is the caller's to log. */
  destroy(): void;
  /** Tells `listener` when the socket is closed, until {@link TlsConnection.offClosed}. */
  onClosed(listener: ConnectionListener): void;
  offClosed(listener: ConnectionListener): void;
  /** Says that the peer made a call: ends the first-call deadline. */
  called(): void;
  /** Says that a message of so many bytes came: what else a peer sends counts as overhead. */
  received(bytes: number): void;
}

/** Who is told of the end of a connection. */
export interface ConnectionListener {
  connectionClosed(): void;
}

/** {@link TlsConnection} as its listener holds it. */
export class LiveConnection implements TlsConnection {
  readonly peer: string;
  readonly principal: Principal | undefined;
  readonly #socket: TLSSocket;
  readonly #refuse: Refuse;
  /** One or two. */
  #listeners: readonly ConnectionListener[] = NOBODY;
  /** Bytes read from the socket that were no message, at the last look; and bytes of messages since the connection began. */
  #overhead = 0;
  #excess = 0;
  #messages = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: TLSSocket, peer: string, principal: Principal | undefined, refuse: Refuse) {
    this.#socket = socket;
    this.peer = peer;
    this.principal = principal;
    this.#refuse = refuse;
  }

  /** Of the principal; empty for a peer without one. */
  get name(): string {
    return this.principal?.name ?? "";
  }

  certificate(): X509Certificate | undefined {
    return this.#socket.getPeerX509Certificate();
  }

  expectCallWithin(ms: number): void {
    this.#timer = setTimeout(() => this.destroyFor("NoCall", `no call within ${ms} ms of the handshake`), ms);
    this.#timer.unref();
  }

  called(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  received(bytes: number): void {
    this.#messages += bytes + MESSAGE_OVERHEAD_BYTES;
  }

  /** Bytes beyond messages that `allowed` for the time since the last look does not cover, all looks together. */
  excessAfter(allowed: number): number {
    const overhead = this.#socket.bytesRead - this.#messages;
    this.#excess = Math.max(0, this.#excess + overhead - this.#overhead - allowed);
    this.#overhead = overhead;
    return this.#excess;
  }

  onClosed(listener: ConnectionListener): void {
    // A list that is spread gets room for sixteen more.
    this.#listeners = this.#listeners.length === 0 ? [listener] : [...this.#listeners, listener];
  }

  offClosed(listener: ConnectionListener): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
  }

  destroy(): void {
    // Its owner logs why; only a refusal is counted as one.
    this.#socket.destroy();
  }

  destroyFor(reason: string, detail: string): void {
    if (!this.#socket.destroyed) this.#refuse(this.#socket, this.peer, reason, detail);
  }

  release(): void {
    this.called();
    const listeners = this.#listeners;
    this.#listeners = NOBODY;
    for (const listener of listeners) listener.connectionClosed();
  }
}
