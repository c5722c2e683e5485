import { type Server, type Socket, connect, createServer } from "node:net";

/** A TCP path that can be pulled: what is on its way then stays there, and nobody is told. */
export class Cable {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #pulled = false;
  port = 0;

  private constructor(targetPort: number) {
    this.#server = createServer((near) => {
      const far = connect(targetPort, "127.0.0.1");
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      near.pipe(far);
      far.pipe(near);
      if (this.#pulled) this.#still(pair);
      const end = (): void => {
        this.#pairs.delete(pair);
        near.destroy();
        far.destroy();
      };
      for (const socket of pair) socket.on("error", end).on("close", end);
    });
  }

  static async to(targetPort: number): Promise<Cable> {
    const cable = new Cable(targetPort);
    await new Promise<void>((resolve) => cable.#server.listen(0, "127.0.0.1", resolve));
    const address = cable.#server.address();
    cable.port = typeof address === "object" && address !== null ? address.port : 0;
    return cable;
  }

  /** From now on nothing passes; new connections are taken and lead nowhere. */
  pull(): void {
    this.#pulled = true;
    for (const pair of this.#pairs) this.#still(pair);
  }

  /** Everything that waited goes on. */
  plug(): void {
    this.#pulled = false;
    for (const [near, far] of this.#pairs) {
      near.pipe(far);
      far.pipe(near);
    }
  }

  async close(): Promise<void> {
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #still([near, far]: readonly [Socket, Socket]): void {
    for (const socket of [near, far]) {
      socket.unpipe();
      socket.pause();
    }
  }
}
