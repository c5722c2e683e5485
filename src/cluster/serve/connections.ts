/** Connections at the same time, each an agent, a controller or a watch; about 60 KiB of memory when idle. */
export const MAX_CONNECTIONS = 8_192;
/** Idle connections are kept longer than clients keep them, so that the client closes first. */
export const KEEP_ALIVE_MS = 90_000;

interface Connection {
  readonly close: () => void;
  requests: number;
  /** Monotonic milliseconds since it has no request, or since it came. */
  idleSinceMs: number;
}

/**
 * Who is connected. When there is no room left, whoever has been idle longest makes place for whoever comes: neither forgotten nor
 * hostile connections that ask nothing keep anybody out.
 */
export class Connections {
  readonly #limit: number;
  readonly #busy = new Map<string, Connection>();
  /** Longest idle first. */
  readonly #idle = new Map<string, Connection>();

  constructor(limit = MAX_CONNECTIONS) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /**
   * Takes a new connection.
   *
   * @param id address and port of the client
   * @returns false when every connection is busy: the new one is to be closed
   */
  add(id: string, close: () => void, nowMs: number): boolean {
    if (this.size >= this.#limit) {
      const [oldest] = this.#idle;
      if (oldest === undefined) return false;
      this.#idle.delete(oldest[0]);
      oldest[1].close();
    }
    this.#idle.set(id, { close, requests: 0, idleSinceMs: nowMs });
    return true;
  }

  /** A request begins. */
  begin(id: string): void {
    const connection = this.#busy.get(id) ?? this.#idle.get(id);
    if (connection === undefined) return; // closed in the meantime
    connection.requests++;
    if (this.#idle.delete(id)) this.#busy.set(id, connection);
  }

  /** A request is answered. */
  end(id: string, nowMs: number): void {
    const connection = this.#busy.get(id);
    if (connection === undefined || --connection.requests > 0) return;
    this.#busy.delete(id);
    connection.idleSinceMs = nowMs;
    this.#idle.set(id, connection);
  }

  remove(id: string): void {
    this.#busy.delete(id);
    this.#idle.delete(id);
  }

  /** Closes what has been idle for {@link KEEP_ALIVE_MS}. */
  sweep(nowMs: number): void {
    for (const [id, connection] of this.#idle) {
      if (nowMs - connection.idleSinceMs < KEEP_ALIVE_MS) return;
      this.#idle.delete(id);
      connection.close();
    }
  }

  closeIdle(): void {
    for (const { close } of this.#idle.values()) close();
    this.#idle.clear();
  }

  closeAll(): void {
    this.closeIdle();
    for (const { close } of this.#busy.values()) close();
    this.#busy.clear();
  }
}
