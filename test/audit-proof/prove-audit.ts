import { type ChildProcess, type ForkOptions, fork } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { isJsonObject } from "../../src/base/json.ts";
import { SeededRandom, integerBetween } from "../../src/base/random.ts";
import { type AuditSinkSettings, openAuditSink } from "../../src/federation/audit/open-audit-sink.ts";
import { CertificateAuthority } from "../../src/trust/ca/certificate-authority.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";
import type { AgentStart, FromAgent, FromHub, HubStart } from "./protocol.ts";

/** What is proved. */
export interface AuditProofOptions {
  /** Events that must become durable at agents, all together. */
  readonly events: number;
  readonly agents: number;
  /** kill -9 of an agent, and of the hub. */
  readonly kills: number;
  readonly seed: number;
  /** Undefined: SQLite in the proof's own folder. */
  readonly sink?: AuditSinkSettings;
  /** Told of what happens. */
  readonly note?: (line: string) => void;
}

/** What was found; a proof that fails throws. */
export interface AuditProof {
  /** Events that agents called durable. */
  readonly confirmed: number;
  /** Events in the sink: those, and some that were durable when the agent was killed before it could say so. */
  readonly stored: number;
  readonly agentKills: number;
  readonly hubKills: number;
}

/**
 * Agents and a hub as processes of their own, killed without warning while events are logged; the sink loses answers and gets batches
 * twice. In the end every event that was durable at an agent is in the sink exactly once, numbers have no gap and every chain holds.
 */
export async function proveAudit(options: AuditProofOptions): Promise<AuditProof> {
  const directory = await mkdtemp(join(tmpdir(), "seam-audit-proof-"));
  const run = await ProofRun.create(options, directory);
  try {
    return await run.prove();
  } finally {
    await run.close();
    await rm(directory, { recursive: true, force: true });
  }
}

class ProofAgent {
  readonly cluster: string;
  readonly tls: TlsMaterial;
  readonly confirmed = new Set<string>();
  process: ChildProcess | undefined;
  incarnation = 0;
  acknowledged = 0n;

  constructor(cluster: string, tls: TlsMaterial) {
    this.cluster = cluster;
    this.tls = tls;
  }
}

class ProofRun {
  readonly #options: AuditProofOptions;
  readonly #directory: string;
  readonly #random: SeededRandom;
  readonly #sink: AuditSinkSettings;
  readonly #agents: readonly ProofAgent[];
  readonly #serverTls: TlsMaterial;
  readonly #signingKeyPem: string;
  readonly #publicKeyPem: string;
  #hub: ChildProcess | undefined;
  #port = 0;
  #changed = (): void => {};
  /** Set when a process ended that nobody killed. */
  #failed: Error | undefined;

  private constructor(
    options: AuditProofOptions,
    directory: string,
    serverTls: TlsMaterial,
    agents: readonly ProofAgent[],
  ) {
    this.#options = options;
    this.#directory = directory;
    this.#random = new SeededRandom(options.seed);
    this.#sink = options.sink ?? { store: "sqlite", directory: join(directory, "sink") };
    this.#agents = agents;
    this.#serverTls = serverTls;
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    this.#signingKeyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    this.#publicKeyPem = publicKey.export({ type: "spki", format: "pem" }).toString();
  }

  static async create(options: AuditProofOptions, directory: string): Promise<ProofRun> {
    const ca = await CertificateAuthority.create("proof", { clock: systemClock });
    const caPem = ca.certificatePem;
    const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
    const server = await ca.issue({ kind: "server", commonName: "hub", ...names });
    const agents: ProofAgent[] = [];
    for (let i = 1; i <= options.agents; i++) {
      const cluster = `tenant-${i}`;
      agents.push(new ProofAgent(cluster, { ...(await ca.issue({ kind: "tenant", cluster })), caPem }));
    }
    return new ProofRun(options, directory, { ...server, caPem }, agents);
  }

  async prove(): Promise<AuditProof> {
    const { events, kills, note = () => {} } = this.#options;
    await this.#startHub();
    for (const agent of this.#agents) this.#startAgent(agent);
    let agentKills = 0;
    let hubKills = 0;
    for (let kill = 1; kill <= kills; kill++) {
      // Kills are spread over the run by what is done, not by time.
      await this.#until(() => this.#confirmed >= (events * kill) / (kills + 1));
      note(`${this.#confirmed} events durable, kill ${kill} of ${kills}`);
      if (this.#random.next() < 0.4) {
        hubKills += 1;
        await kill9(this.#hub);
        await this.#startHub();
      } else {
        agentKills += 1;
        const agent = this.#agents[integerBetween(this.#random, 0, this.#agents.length - 1)];
        if (agent === undefined) throw new Error("an agent");
        await kill9(agent.process);
        this.#startAgent(agent);
      }
    }
    await this.#until(() => this.#agents.every((agent) => agent.confirmed.size >= this.#perAgent));
    for (const agent of this.#agents) agent.acknowledged = 0n;
    await this.#until(() => this.#agents.every(({ acknowledged }) => acknowledged > 0n));
    await this.close();
    const stored = await this.#check();
    return { confirmed: this.#confirmed, stored, agentKills, hubKills };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.map(({ process }) => kill9(process)), kill9(this.#hub)]);
  }

  get #perAgent(): number {
    return Math.ceil(this.#options.events / this.#options.agents);
  }

  get #confirmed(): number {
    return this.#agents.reduce((sum, { confirmed }) => sum + confirmed.size, 0);
  }

  async #startHub(): Promise<void> {
    const child = fork(join(import.meta.dirname, "hub-child.ts"), [], FORK);
    this.#hub = child;
    this.#watch(child, "the hub");
    const start: HubStart = {
      port: this.#port,
      tls: this.#serverTls,
      clusters: this.#agents.map(({ cluster }) => cluster),
      signingKeyPem: this.#signingKeyPem,
      sink: this.#sink,
      seed: integerBetween(this.#random, 1, 1_000_000),
    };
    child.send(start);
    await new Promise<void>((resolve, reject) => {
      child.once("message", (message: FromHub) => {
        this.#port = message.port;
        resolve();
      });
      child.once("exit", (code) => reject(new Error(`the hub ended with ${code}`)));
    });
  }

  #startAgent(agent: ProofAgent): void {
    const child = fork(join(import.meta.dirname, "agent-child.ts"), [], FORK);
    agent.process = child;
    this.#watch(child, agent.cluster);
    agent.incarnation += 1;
    const start: AgentStart = {
      cluster: agent.cluster,
      tls: agent.tls,
      port: this.#port,
      directory: join(this.#directory, agent.cluster),
      publicKeyPem: this.#publicKeyPem,
      incarnation: agent.incarnation,
      events: Math.max(0, this.#perAgent - agent.confirmed.size),
    };
    child.send(start);
    child.on("message", (message: FromAgent) => {
      if (message.type === "durable") for (const id of message.ids) agent.confirmed.add(id);
      else agent.acknowledged = message.through;
      this.#changed();
    });
  }

  #watch(child: ChildProcess, what: string): void {
    child.once("exit", (code) => {
      if (code === null) return; // killed by a signal, as the proof does
      this.#failed = new Error(`${what} ended with ${code}`);
      this.#changed();
    });
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failed !== undefined) throw this.#failed;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Reads the whole sink back. Returns the number of events in it. */
  async #check(): Promise<number> {
    const sink = await openAuditSink(this.#sink, systemClock);
    try {
      let stored = 0;
      for (const agent of this.#agents) {
        const [chain, ...others] = await sink.chains(agent.cluster);
        if (chain === undefined || others.length > 0) throw new Error(`${agent.cluster}: one chain`);
        const { state } = await sink.verify(chain, new AbortController().signal);
        if (state.breaks > 0 || state.explained > 0n || chain.quarantined > 0n)
          throw new Error(`${agent.cluster}: ${JSON.stringify(state, text)}, quarantined ${chain.quarantined}`);
        if (state.verified !== chain.highest || chain.highest !== agent.acknowledged)
          throw new Error(
            `${agent.cluster}: verified ${state.verified} of ${chain.highest}, sent ${agent.acknowledged}`,
          );
        const missing = new Set(agent.confirmed);
        const ids = new Set<string>();
        let position: bigint | undefined;
        do {
          const filter = { cluster: agent.cluster };
          const page: Awaited<ReturnType<typeof sink.scan>> = await sink.scan({
            filter,
            order: "newest",
            position,
            limit: 500,
          });
          for (const { event } of page.events) {
            const id = requestIdOf(event);
            if (ids.has(id)) throw new Error(`${id} is stored twice`);
            ids.add(id);
            missing.delete(id);
          }
          position = page.next;
        } while (position !== undefined);
        if (missing.size > 0)
          throw new Error(`${agent.cluster}: ${missing.size} events lost, first ${[...missing][0]}`);
        if (BigInt(ids.size) !== chain.highest) throw new Error(`${agent.cluster}: ${ids.size} of ${chain.highest}`);
        stored += ids.size;
      }
      return stored;
    } finally {
      await sink.close();
    }
  }
}

const FORK: ForkOptions = { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] };

function text(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

function requestIdOf(event: Uint8Array): string {
  const fields: unknown = JSON.parse(Buffer.from(event).toString());
  const id = isJsonObject(fields) ? fields["requestId"] : undefined;
  if (typeof id !== "string") throw new Error(`an event that nobody logged: ${Buffer.from(event).toString()}`);
  return id;
}

async function kill9(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await gone;
}
