import { PROCESS_OPTIONS } from "../../src/roles/process-options.ts";
import { Child } from "./child.ts";
import type { Material } from "./material.ts";
import type { Answer, Command, Population } from "./protocol.ts";

/** Whose programs a fleet is made of: the hub with real agents, or a plain grpc-js server with plain clients. */
export type Kind = "ours" | "floor";

const PROGRAMS: Readonly<Record<Kind, { readonly server: string; readonly clients: string }>> = {
  ours: { server: "hub-child.ts", clients: "agents-child.ts" },
  floor: { server: "floor-server-child.ts", clients: "floor-clients-child.ts" },
};

/** How a fleet is started. */
export interface FleetOptions {
  readonly kind: Kind;
  readonly material: Material;
  /** Agents, the first of the material. */
  readonly agents: number;
  /** Client processes; agents are dealt out to them in turns. */
  readonly processes?: number;
  readonly population?: Population;
  /** Where clients dial instead of the server's own port. */
  readonly through?: (process: number, port: number) => Promise<number>;
  /** Folder of the agents' stores; absent: in memory. */
  readonly stores?: string;
  /** Options of Node for the client processes. */
  readonly clientOptions?: readonly string[];
}

/** A server process, its client processes, and what is known about them. */
export class Fleet {
  readonly clients: readonly Child[];
  readonly #options: FleetOptions;
  readonly #epoch = Math.floor(Date.now() / 1000);
  #server: Child;
  #port = 0;
  /** Server memory before the first connection, bytes. */
  #emptyRssBytes = 0;
  #emptyHeapBytes = 0;

  private constructor(options: FleetOptions) {
    this.#options = options;
    this.#server = serverOf(options.kind);
    const processes = options.processes ?? Math.max(1, Math.ceil(options.agents / AGENTS_PER_PROCESS));
    this.clients = Array.from(
      { length: processes },
      () => new Child(PROGRAMS[options.kind].clients, "load", options.clientOptions),
    );
  }

  /** Resolves when every agent has a live session. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    await fleet.#startServer(0, "open");
    const empty = await fleet.ask({ type: "memory" });
    fleet.#emptyRssBytes = empty.rssBytes ?? 0;
    fleet.#emptyHeapBytes = empty.heapBytes ?? 0;
    const agents = options.material.agents.slice(0, options.agents);
    // One process after the other: ten that dial at once, on the one core they have, miss the deadlines of their handshakes.
    let dialled = 0;
    for (const [i, client] of fleet.clients.entries()) {
      const own = agents.filter((_, at) => at % fleet.clients.length === i);
      await client.ask({
        type: "startClients",
        port: (await options.through?.(i, fleet.#port)) ?? fleet.#port,
        agents: own,
        publicKeyPem: options.material.publicKeyPem,
        ...(options.stores === undefined ? {} : { stores: options.stores }),
        ...(options.population === undefined ? {} : { held: options.population.file }),
      });
      dialled += own.length;
      await fleet.ask({ type: "awaitConnected", count: dialled });
    }
    return fleet;
  }

  /** Starts, uses and stops a fleet, whatever happens. */
  static async with<T>(options: FleetOptions, use: (fleet: Fleet) => Promise<T>): Promise<T> {
    const fleet = await Fleet.start(options);
    try {
      return await use(fleet);
    } finally {
      await fleet.stop();
    }
  }

  get clusters(): readonly string[] {
    return this.#options.material.agents.slice(0, this.#options.agents).map(({ cluster }) => cluster);
  }

  /** Clusters whose agents live in one client process. */
  clustersOf(process: number): readonly string[] {
    return this.clusters.filter((_, at) => at % this.clients.length === process);
  }

  /** Asks the server. */
  ask(command: Command): Promise<Answer> {
    return this.#server.ask(command);
  }

  /** Growth of the server since before the first connection, per agent, bytes. */
  async memoryPerAgent(): Promise<{ readonly rss: number; readonly heap: number }> {
    const { rssBytes = 0, heapBytes = 0 } = await this.ask({ type: "memory" });
    return {
      rss: (rssBytes - this.#emptyRssBytes) / this.#options.agents,
      heap: (heapBytes - this.#emptyHeapBytes) / this.#options.agents,
    };
  }

  /** Resident memory of all client processes after garbage collection, bytes, and their handles. */
  async clientMemory(): Promise<{
    readonly rssBytes: number;
    readonly heapBytes: number;
    readonly handles: number;
  }> {
    const answers = await Promise.all(this.clients.map((client) => client.ask({ type: "memory" })));
    return {
      rssBytes: answers.reduce((sum, { rssBytes = 0 }) => sum + rssBytes, 0),
      heapBytes: answers.reduce((sum, { heapBytes = 0 }) => sum + heapBytes, 0),
      handles: answers.reduce((sum, { handles = 0 }) => sum + handles, 0),
    };
  }

  /** Processor time so far, milliseconds. */
  async cpu(): Promise<{ readonly server: number; readonly clients: number }> {
    const [server, ...clients] = await Promise.all(
      [this.#server, ...this.clients].map((child) => child.ask({ type: "cpu" })),
    );
    return { server: server?.cpuMs ?? 0, clients: clients.reduce((sum, { cpuMs = 0 }) => sum + cpuMs, 0) };
  }

  /** SIGKILL of the server and a new one on the same port, with admission as in production. Returns when it started, by `performance.now()`. */
  async crashServer(): Promise<number> {
    const startedMs = performance.now();
    await this.#server.kill();
    this.#server = serverOf(this.#options.kind);
    await this.#startServer(this.#port, "default");
    return startedMs;
  }

  async stop(): Promise<void> {
    // A profile is written by a program that ends by itself.
    const profiled = process.env["SEAM_BENCH_PROFILE"] !== undefined;
    await Promise.all([...this.clients, this.#server].map((child) => (profiled ? child.stop() : child.kill())));
  }

  async #startServer(port: number, admission: "default" | "open"): Promise<void> {
    const { material, population } = this.#options;
    const answer = await this.#server.ask({
      type: "startServer",
      port,
      tls: material.server,
      clusters: this.clusters,
      signingKeyPem: material.signingKeyPem,
      admission,
      epoch: this.#epoch,
      ...(population === undefined ? {} : { population }),
    });
    this.#port = answer.port ?? 0;
  }
}

/** Agents in one client process. */
const AGENTS_PER_PROCESS = 500;

/** A server with the options of Node that a hub is started with, whatever its kind. */
function serverOf(kind: Kind): Child {
  return new Child(PROGRAMS[kind].server, "server", PROCESS_OPTIONS.management);
}
