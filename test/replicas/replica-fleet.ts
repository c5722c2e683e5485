import { createServer } from "node:net";
import { join } from "node:path";
import { ConfigMap, CustomResourceDefinition, Namespace } from "../../src/api/builtin.ts";
import { loadCrds } from "../../src/api/kinds/crds.ts";
import { RunnerConfig } from "../../src/api/kinds/runner-config.ts";
import { PackReceipt } from "../../src/api/kinds/pack-receipt.ts";
import { NAMESPACES, tenantNamespace } from "../../src/api/names.ts";
import { systemClock } from "../../src/base/clock.ts";
import { errorMessage } from "../../src/base/errors.ts";
import type { AuditChain } from "../../src/federation/audit/audit-log-reader.ts";
import { openSqliteAuditSink } from "../../src/federation/audit/sqlite-audit-sink.ts";
import type { BalanceTimes } from "../../src/federation/hub/membership/balance-load.ts";
import { createHubFactStore } from "../../src/federation/hub/mirror/hub-fact-store.ts";
import { readOrders } from "../../src/federation/hub/retries/retry-order-text.ts";
import { RETRIES_NAME } from "../../src/federation/hub/retries/retry-orders.ts";
import { silentLog } from "../../src/base/log.ts";
import { FederationRig } from "../support/federation-rig.ts";
import { type TestApi, serveTestApi } from "../support/served-api.ts";
import { Cable } from "./cable.ts";
import { ProcessChild } from "./process-child.ts";
import {
  type Body,
  type FromAgents,
  type FromReplica,
  POISON,
  RECEIPT,
  type ReplicaLook,
  type ReplicaOptions,
  type SettledAgent,
  type ToAgents,
  type ToReplica,
} from "./protocol.ts";
import { StoreWitness } from "./store-witness.ts";
import { ifPresent } from "../../src/cluster/if-present.ts";

/** What a fleet of replicas is made of. */
export interface ReplicaFleetOptions {
  readonly replicas: number;
  readonly agents: number;
  readonly heartbeatMs: number;
  readonly auditMs: number;
  readonly factMs: number;
  readonly balance: BalanceTimes;
}

/** Agents in one process of the load. */
const AGENTS_PER_PROCESS = 300;

interface Replica {
  readonly options: ReplicaOptions;
  readonly cable: Cable;
  child: ProcessChild<ToReplica, FromReplica>;
}

type Sink = Awaited<ReturnType<typeof openSqliteAuditSink>>;

/** Hub replicas and agents as processes, one management cluster over REST and one audit sink behind them, and ways to hurt them. */
export class ReplicaFleet {
  readonly clusters: readonly string[];
  readonly #rig: FederationRig;
  readonly #api: TestApi;
  readonly #sink: Sink;
  readonly #options: ReplicaFleetOptions;
  readonly #replicas = new Map<string, Replica>();
  readonly #agents: ProcessChild<ToAgents, FromAgents>[] = [];
  readonly #witness: StoreWitness;
  readonly #stop = new AbortController();

  private constructor(
    options: ReplicaFleetOptions,
    rig: FederationRig,
    parts: { readonly api: TestApi; readonly sink: Sink; readonly clusters: readonly string[] },
  ) {
    this.#options = options;
    this.#rig = rig;
    this.#api = parts.api;
    this.#sink = parts.sink;
    this.clusters = parts.clusters;
    this.#witness = new StoreWitness(parts.api.cluster, this.#stop.signal);
    rig.desired.subscribe((cluster) => {
      for (const { child } of this.#replicas.values()) this.#tell(child, cluster);
    });
  }

  static async start(options: ReplicaFleetOptions): Promise<ReplicaFleet> {
    const clusters = Array.from({ length: options.agents }, (_, at) => `tenant-${at + 1}`);
    const [rig, api] = await Promise.all([FederationRig.create(clusters), serveTestApi()]);
    await populate(api, clusters);
    const sink = await openSqliteAuditSink({ path: join(rig.directory, "shared", "audit.db"), clock: systemClock });
    const fleet = new ReplicaFleet(options, rig, { api, sink, clusters });
    await fleet.#witness.synced;
    for (const cluster of clusters) fleet.change(cluster);
    for (let at = 1; at <= options.replicas; at++) await fleet.#addReplica(`hub-${at}`);
    const tls = await Promise.all(clusters.map(async (cluster) => ({ cluster, tls: await rig.tenantTls(cluster) })));
    for (let from = 0; from < tls.length; from += AGENTS_PER_PROCESS) {
      const child = new ProcessChild<ToAgents, FromAgents>(new URL("./agents-child.ts", import.meta.url));
      fleet.#agents.push(child);
      await child.ask(
        {
          type: "start",
          options: {
            agents: tls.slice(from, from + AGENTS_PER_PROCESS),
            endpoints: [...fleet.#replicas.values()].map((replica) => `127.0.0.1:${replica.options.port}`),
            publicKeyPem: rig.publicKeyPem,
            auditMs: options.auditMs,
            factMs: options.factMs,
          },
        },
        "done",
      );
    }
    await fleet.awaitLive();
    return fleet;
  }

  get replicas(): readonly string[] {
    return [...this.#replicas.keys()];
  }

  /** What went back in the shared cluster so far. */
  get faults(): readonly string[] {
    return this.#witness.faults;
  }

  /** Signs new content for a tenant. */
  change(cluster: string): void {
    this.#rig.desired.put(cluster, "PackInstalled", "web", Buffer.from(`${cluster} at ${performance.now()}`));
  }

  /** Signs an item that the tenant's agent refuses until {@link mend}; returns its digest. */
  poison(cluster: string): string {
    this.#rig.desired.put(cluster, "PackInstalled", POISON, Buffer.from(`poison of ${cluster}`));
    return this.#rig.desired.current(cluster)?.document.items.find(({ name }) => name === POISON)?.digest ?? "";
  }

  async mend(): Promise<void> {
    await Promise.all(this.#agents.map((child) => child.ask({ type: "mend" }, "done")));
  }

  /** An operator orders a retry of the poison at a replica; resolves when that is durable. */
  async retry(replica: string, cluster: string, digest: string): Promise<void> {
    await this.#replica(replica).child.ask({ type: "retry", cluster, name: POISON, digest }, "retried");
  }

  /** What the management cluster has of the poison of a tenant: level, and the reason of a standing refusal. */
  async poisonLevel(cluster: string): Promise<{ readonly level: number; readonly refused: string }> {
    const { cluster: management } = this.#api;
    const facts = createHubFactStore({
      cluster: management,
      clock: systemClock,
      log: silentLog,
      drift: async () => {},
    });
    const level = (await facts.itemLevels(cluster)).find(({ name }) => name === POISON);
    return { level: level?.level ?? 0, refused: level?.nack?.reason ?? "" };
  }

  /** Orders that the management cluster keeps for a tenant. */
  async waitingRetries(cluster: string): Promise<number> {
    const key = { namespace: tenantNamespace(cluster), name: RETRIES_NAME };
    return readOrders(await ifPresent(this.#api.cluster.get(ConfigMap, key))).length;
  }

  /** Stops every agent process, or lets it go on. */
  signalAgents(signal: "SIGSTOP" | "SIGCONT"): void {
    for (const { process } of this.#agents) process.kill(signal);
  }

  async awaitLive(): Promise<void> {
    await Promise.all(this.#agents.map((child) => child.ask({ type: "awaitLive" }, "done")));
  }

  /** Marks the agents of a replica; returns how many there are. */
  async mark(replica: string): Promise<number> {
    const marked = await Promise.all(this.#agents.map((child) => child.ask({ type: "mark", replica }, "marked")));
    return marked.reduce((sum, { clusters }) => sum + clusters.length, 0);
  }

  /** Resolves when every marked agent is live elsewhere, with the time each took since it was marked, milliseconds. */
  async servedAgain(): Promise<readonly number[]> {
    const moved = await Promise.all(this.#agents.map((child) => child.ask({ type: "awaitMoved" }, "moved")));
    return moved.flatMap(({ servedAgainMs }) => servedAgainMs);
  }

  look(replica: string): Promise<ReplicaLook> {
    return this.#replica(replica)
      .child.ask({ type: "look" }, "looked")
      .then(({ look }) => look);
  }

  async kill(replica: string): Promise<void> {
    await this.#replica(replica).child.kill();
  }

  /** Starts a killed replica again: another process of the same name on the same port. */
  async restart(replica: string): Promise<void> {
    const held = this.#replica(replica);
    held.child = await this.#start(held.options);
  }

  signal(replica: string, signal: "SIGSTOP" | "SIGCONT" | "SIGTERM"): void {
    this.#replica(replica).child.process.kill(signal);
  }

  /** Cuts a replica off from the API server; the way to its agents stays. */
  partition(replica: string): void {
    this.#replica(replica).cable.pull();
  }

  heal(replica: string): void {
    this.#replica(replica).cable.plug();
  }

  jumpClock(replica: string, byMs: number): void {
    this.#replica(replica).child.send({ type: "clock", byMs });
  }

  /**
   * Ends the load, waits until everything is acknowledged, and compares agents, the shared cluster and the audit sink with each other.
   * Returns what is lost, doubled or went back; empty when nothing is.
   */
  async verdict(): Promise<{
    readonly faults: readonly string[];
    readonly agents: readonly SettledAgent[];
    readonly auditEvents: number;
  }> {
    const settled = await Promise.all(this.#agents.map((child) => child.ask({ type: "settle" }, "settled")));
    const agents = settled.flatMap((each) => each.agents);
    const faults: string[] = [...this.#witness.faults];
    const facts = createHubFactStore({
      cluster: this.#api.cluster,
      clock: systemClock,
      log: silentLog,
      drift: async () => {},
    });
    let auditEvents = 0;
    for (const agent of agents) {
      const { cluster } = agent;
      auditEvents += Number(agent.auditLast);
      const position = await this.#sink.position(cluster, agent.auditEpoch);
      if (position.contiguousThrough !== agent.auditLast || position.highest !== agent.auditLast)
        faults.push(`${cluster}: audit stored through ${position.contiguousThrough} of ${agent.auditLast}`);
      const desired = this.#rig.desired.current(cluster);
      if (agent.held !== desired?.digest) faults.push(`${cluster}: holds another index than the newest`);
      for (const [version, times] of agent.applied)
        if (times !== 1) faults.push(`${cluster}: ${version} took effect ${times} times`);
      const level = (await facts.itemLevels(cluster))[0];
      if (level?.level !== 4 || Number(level.version) !== desired?.document.sequence)
        faults.push(`${cluster}: the hub has version ${level?.version} at level ${level?.level}`);
      if (agent.lastFact > 0) {
        const receipt = await this.#api.cluster.get(PackReceipt, {
          namespace: tenantNamespace(cluster),
          name: RECEIPT,
        });
        if (receipt.spec.serial !== agent.lastFact || receipt.status?.driftSummary !== String(agent.lastFact))
          faults.push(`${cluster}: receipt ${agent.lastFact} is stored as ${receipt.spec.serial}`);
      }
      const recorded = await this.#api.cluster.get(RunnerConfig, { namespace: NAMESPACES.ont, name: cluster });
      const { federation } = recorded.status ?? {};
      if (
        federation?.connected !== true ||
        BigInt(federation.term ?? 0) !== agent.term ||
        federation.replica !== agent.replica
      )
        faults.push(
          `${cluster}: is at ${agent.replica} under term ${agent.term}, recorded at ${federation?.replica} under ${federation?.term}`,
        );
    }
    for (const chain of await this.#sink.chains(undefined)) {
      const wrong = await this.#chainFault(chain);
      if (wrong !== "") faults.push(`${chain.cluster}: ${wrong}`);
    }
    return { faults, agents, auditEvents };
  }

  async close(): Promise<void> {
    await Promise.all(this.#agents.map((child) => child.kill()));
    await Promise.all([...this.#replicas.values()].map(({ child }) => child.kill()));
    await Promise.all([...this.#replicas.values()].map(({ cable }) => cable.close()));
    this.#stop.abort();
    await this.#witness.closed;
    await this.#sink.close();
    await this.#api.close();
    await this.#rig.close();
  }

  async #chainFault(chain: AuditChain): Promise<string> {
    const { state } = await this.#sink.verify(chain, this.#stop.signal);
    return state.breaks === 0 && chain.quarantined === 0n ? "" : `the audit chain has ${state.breaks} breaks`;
  }

  #replica(name: string): Replica {
    const found = this.#replicas.get(name);
    if (found === undefined) throw new Error(`no replica ${name}`);
    return found;
  }

  async #addReplica(name: string): Promise<void> {
    const { heartbeatMs, balance } = this.#options;
    const cable = await Cable.to(Number(new URL(this.#api.api.url).port));
    const options: ReplicaOptions = {
      replica: name,
      port: await freePort(),
      api: {
        server: `https://127.0.0.1:${cable.port}`,
        caPem: this.#api.ca.certificatePem,
        clientCertPem: this.#api.admin.certificatePem,
        clientKeyPem: this.#api.admin.privateKeyPem,
      },
      tls: this.#rig.serverTls,
      clusters: this.clusters,
      heartbeatMs,
      balance,
    };
    this.#replicas.set(name, { options, cable, child: await this.#start(options) });
  }

  async #start(options: ReplicaOptions): Promise<ProcessChild<ToReplica, FromReplica>> {
    const child = new ProcessChild<ToReplica, FromReplica>(new URL("./replica-child.ts", import.meta.url));
    child.on((message) => void this.#sinkRequest(child, message));
    for (const cluster of this.clusters) this.#tell(child, cluster);
    await child.ask({ type: "start", options }, "started");
    return child;
  }

  #tell(child: ProcessChild<ToReplica, FromReplica>, cluster: string): void {
    const desired = this.#rig.desired.current(cluster);
    if (desired === undefined) return;
    const bodies: Body[] = [];
    for (const { digest } of desired.document.items) {
      const data = this.#rig.desired.held(digest);
      if (data !== undefined) bodies.push({ digest, data });
    }
    child.send({ type: "desired", cluster, desired, bodies });
  }

  async #sinkRequest(child: ProcessChild<ToReplica, FromReplica>, message: FromReplica): Promise<void> {
    if (message.type !== "append" && message.type !== "position") return;
    const { id, cluster } = message;
    try {
      const value =
        message.type === "append"
          ? await this.#sink.append(cluster, message.batch)
          : await this.#sink.position(cluster, message.epoch);
      child.send({ type: "answer", id, value });
    } catch (error) {
      child.send({ type: "answer", id, error: errorMessage(error) });
    }
  }
}

async function populate(api: TestApi, clusters: readonly string[]): Promise<void> {
  const { cluster } = api;
  for (const crd of loadCrds()) await cluster.create(CustomResourceDefinition, crd);
  for (const name of [NAMESPACES.ont, NAMESPACES.seam])
    await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  await Promise.all(
    clusters.map(async (name) => {
      await cluster.create(Namespace, {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name: tenantNamespace(name) },
      });
      await cluster.create(RunnerConfig, {
        apiVersion: "seam.ontai.dev/v1alpha1",
        kind: "RunnerConfig",
        metadata: { name, namespace: NAMESPACES.ont },
        spec: { clusterRef: name, runnerImage: "conductor:dev" },
      });
    }),
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
