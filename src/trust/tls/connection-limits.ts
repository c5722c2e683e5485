import type { TokenRate } from "../../base/token-bucket.ts";

/** Limits of one listener. */
export interface ConnectionLimits {
  /** Most authenticated connections. */
  readonly maxConnections: number;
  /** Most authenticated connections of one identity; one more ends the oldest of them, which a reconnecting peer has left behind. */
  readonly maxConnectionsPerIdentity: number;
  /**
   * Most connections in handshake. One more ends one of the oldest that has said nothing yet or had 5 s; if those are all being worked on, it
   * is refused itself before it costs anything, so that what has begun ends in time.
   */
  readonly maxHandshakes: number;
  /** New connections admitted to the TLS handshake. */
  readonly accept: TokenRate;
  /** Time for the TLS handshake, milliseconds (lessons §1.5). */
  readonly handshakeMs: number;
  /** Time from the end of the handshake to the first call, milliseconds: covers a peer that never sends HTTP/2 SETTINGS. */
  readonly firstCallMs: number;
  /** Interval at which live connections are authenticated again (expiry, deny list), milliseconds. */
  readonly recheckMs: number;
  /** Time that calls under way get when the server stops, milliseconds. */
  readonly stopGraceMs: number;
  /** Largest message either way, bytes. */
  readonly maxMessageBytes: number;
  /**
   * Bytes a second a connection may send beyond its messages: pings, settings, headers, resets. What exceeds that by more than one
   * message is a flood, whatever its kind; Infinity does not look.
   */
  readonly overheadBytesPerSecond: number;
  /** Calls at once on one connection (conductor §4.3). */
  readonly maxConcurrentCalls: number;
}

/** Defaults; 1000 connections is conductor §4.3. */
export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  maxConnections: 1_000,
  maxConnectionsPerIdentity: Infinity,
  maxHandshakes: 1_000,
  accept: { perSecond: 500, burst: 500 },
  handshakeMs: 10_000,
  firstCallMs: 20_000,
  recheckMs: 5_000,
  stopGraceMs: 1_000,
  maxMessageBytes: 4 * 1024 * 1024,
  overheadBytesPerSecond: Infinity,
  maxConcurrentCalls: 100,
};

/** HTTP/2 memory of one connection, MiB: bounds headers, queued frames and unread data of a hostile peer. */
export const SESSION_MEMORY_MIB = 16;

/** HTTP/2 ping interval and the time its answer may take, milliseconds (lessons §1.6). */
export const KEEPALIVE_PING_MS = 20_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;
