/** The part of a socket that is looked at. */
export interface HandshakingSocket {
  /** Bytes that came from the peer. */
  readonly bytesRead: number;
}

/** Time a handshake keeps its place when there are too many, milliseconds: half of what its peer waits for it. */
const KEPT_MS = 5_000;
/** Handshakes looked at for one that can be ended: others overtake those that say nothing, so they are among the oldest. */
const LOOKED_AT = 32;

/**
 * The handshakes of a listener, at most so many. One more ends one of the oldest that has said nothing, which has cost nobody anything, or
 * that had its time. When all are being worked on, ending one would throw away what it cost, and a listener without time would finish none:
 * then the newcomer is the superfluous one, before it costs anything.
 */
export class HandshakeCrowd<S extends HandshakingSocket> {
  readonly #most: number;
  /** Since when, milliseconds; oldest first. */
  readonly #since = new Map<S, number>();

  /** @param most handshakes at a time */
  constructor(most: number) {
    this.#most = most;
  }

  /** A handshake begins. Returns who has to go for it: the newcomer itself has then not entered. */
  enter(socket: S, nowMs: number): S | undefined {
    const superfluous = this.#since.size < this.#most ? undefined : (this.#leftBehind(nowMs) ?? socket);
    if (superfluous === socket) return socket;
    if (superfluous !== undefined) this.#since.delete(superfluous);
    this.#since.set(socket, nowMs);
    return superfluous;
  }

  /** A handshake is over, whatever its end. */
  leave(socket: S): void {
    this.#since.delete(socket);
  }

  #leftBehind(nowMs: number): S | undefined {
    let looked = 0;
    for (const [socket, sinceMs] of this.#since) {
      if (socket.bytesRead === 0 || nowMs - sinceMs >= KEPT_MS) return socket;
      if (++looked === LOOKED_AT) return undefined;
    }
    return undefined;
  }
}
