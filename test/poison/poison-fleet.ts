import { join } from "node:path";
import { Nack_Class } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { TlsFiles } from "../../src/trust/ca/development-trust-paths.ts";
import { createDevelopmentTrust } from "../../src/trust/ca/development-trust.ts";
import { fixedTls, loadTlsFiles } from "../../src/trust/tls/tls-material.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { openSqliteAuditSink } from "../../src/federation/audit/sqlite-audit-sink.ts";
import { createHubFactStore } from "../../src/federation/hub/mirror/hub-fact-store.ts";
import type { FactStore } from "../../src/federation/hub/ports.ts";
import { startRetryOrders } from "../../src/federation/hub/retries/retry-orders.ts";
import { startRevocationOutbox } from "../../src/federation/hub/revocations/revocation-outbox.ts";
import type { Hub } from "../../src/federation/hub/start-hub.ts";
import { memoryOutbox } from "../../src/federation/outbox/outbox.ts";
import type { ItemOutcome } from "../../src/federation/spoke/ports.ts";
import { createPrometheusMetrics } from "../../src/ops/metrics/prometheus-metrics.ts";
import { startOps } from "../../src/ops/start-ops.ts";
import { FederationRig, RecordingHandler } from "../support/federation-rig.ts";
import { openManagementCluster } from "../support/management-cluster.ts";
import { RememberingTrail } from "../support/remembering-trail.ts";
import { runCommand } from "../support/run-command.ts";

/** Bytes of bodies whose way is counted: larger than what rides with an offer, and one chunk. */
const COUNTED_BYTES = 100_000;
/** Streams admitted at once. */
const OPEN = { perSecond: 10_000, burst: 10_000 };

/** One refusal as the hub stored it. */
export interface StoredRefusal {
  readonly name: string;
  readonly atMs: number;
  /** When the agent said it tries again; 0 for never. */
  readonly nextRetryMs: number;
}

/**
 * A real hub with its stores on an embedded management cluster, the services that operators ask, and many real agents over mTLS in this
 * process. What a body says decides its fate: `poison` is refused for good until mended, `busy` for a while until mended.
 */
export class PoisonFleet {
  readonly clusters: readonly string[];
  /** The one that gets poison. */
  readonly victim: string;
  readonly handlers = new Map<string, RecordingHandler>();
  readonly refusals: StoredRefusal[] = [];
  readonly rig: FederationRig;
  readonly #facts: FactStore;
  #mended = false;
  #hub: Hub | undefined;
  #target: readonly string[] = [];
  readonly #closing: (() => Promise<void>)[] = [];

  private constructor(rig: FederationRig, facts: FactStore, clusters: readonly string[]) {
    this.rig = rig;
    this.#facts = facts;
    this.clusters = clusters;
    this.victim = clusters[Math.floor(clusters.length / 2)] ?? "";
  }

  static async start(agents: number): Promise<PoisonFleet> {
    const clusters = Array.from({ length: agents }, (_, at) => `tenant-${at + 1}`);
    const [rig, management] = await Promise.all([FederationRig.create(clusters), openManagementCluster()]);
    for (const cluster of clusters) await management.addTenant(cluster);
    const common = { clock: systemClock, random: systemRandom, log: silentLog };
    const { cluster, signal } = management;
    const stored = createHubFactStore({ ...common, cluster, drift: async () => {} });
    const fleet = new PoisonFleet(rig, stored, clusters);
    fleet.#closing.push(
      () => rig.close(),
      () => management.close(),
    );
    const trust = await createDevelopmentTrust({ directory: rig.directory, clusters: [], clock: systemClock });
    const audit = await openSqliteAuditSink({ path: join(rig.directory, "sink", "audit.db"), clock: systemClock });
    const [retries, revocations] = await Promise.all([
      startRetryOrders({ ...common, cluster, signal }),
      startRevocationOutbox({ ...common, cluster, signal, signer: rig.signer }),
    ]);
    for (const each of clusters) rig.desired.put(each, "PackInstalled", "base", Buffer.from("base"));
    const { hub } = await rig.hub({
      facts: fleet.#watched(stored),
      retries,
      audit,
      limits: { perCluster: { perSecond: 100, burst: 100 }, admission: OPEN, connections: { maxConnections: 5_000 } },
    });
    fleet.#hub = hub;
    const { ca, certificate, key } = trust.internal;
    const tls = await loadTlsFiles({ caFile: ca, certificateFile: certificate, privateKeyFile: key });
    const ops = await startOps({
      ...common,
      cluster,
      signal,
      metrics: createPrometheusMetrics(),
      view: hub.view,
      desired: rig.desired,
      directory: rig.tenants,
      revocations,
      retries,
      audit,
      trail: new RememberingTrail(),
      ownCluster: "management",
      internal: { address: "127.0.0.1", port: 0, tls: fixedTls(tls), groups: ["seam:operators"] },
      http: { address: "127.0.0.1", port: 0 },
    });
    fleet.#target = targetOf(ops.internalPort, trust.operator);
    fleet.#closing.unshift(() => audit.close());
    await fleet.#startAgents();
    return fleet;
  }

  /** Frames that carried a body since the hub started. */
  get bodiesSent(): number {
    return this.rig.metrics.counts.get("federation_messages_total blobChunk out") ?? 0;
  }

  get connected(): number {
    return this.#hub?.view.connected ?? 0;
  }

  /** Sessions of everybody but the victim. */
  otherSessions(): readonly string[] {
    const agents = this.#hub?.view.agents() ?? [];
    return agents
      .filter(({ cluster }) => cluster !== this.victim)
      .map(({ cluster, sessionId }) => `${cluster} ${sessionId}`);
  }

  /** What everybody but the victim was asked to do. */
  otherCalls(): readonly string[] {
    return this.clusters
      .filter((cluster) => cluster !== this.victim)
      .map((cluster) => `${cluster}: ${this.handlers.get(cluster)?.calls.join(", ")}`);
  }

  /** What the victim was asked to do with an item. */
  victimCalls(name: string): readonly string[] {
    return (this.handlers.get(this.victim)?.calls ?? []).filter((call) => call.includes(` ${name}@`));
  }

  /** A change of the victim's desired state whose body travels by itself; returns version and digest. */
  put(name: string, text: "poison" | "busy" | "fine"): { readonly version: number; readonly digest: string } {
    const body = Buffer.alloc(COUNTED_BYTES, `${text} ${name} `);
    const version = this.rig.desired.put(this.victim, "PackInstalled", name, body);
    const item = this.rig.desired.current(this.victim)?.document.items.find((each) => each.name === name);
    return { version, digest: item?.digest ?? "" };
  }

  /** Another version of what everybody has. */
  putBase(cluster: string, text: string): number {
    return this.rig.desired.put(cluster, "PackInstalled", "base", Buffer.from(text));
  }

  /** From now on nothing is poison any more. */
  mend(): void {
    this.#mended = true;
  }

  /** The victim's stream ends and it comes back. */
  async reconnectVictim(): Promise<void> {
    const before = this.#hub?.view.agent(this.victim)?.sessionId;
    this.#hub?.release(this.victim, "");
    await eventually(() => {
      const agent = this.#hub?.view.agent(this.victim);
      return agent?.connected === true && agent.sessionId !== before;
    }, "the victim is back");
  }

  /** The level of an item as the management cluster has it. */
  async level(
    cluster: string,
    name: string,
  ): Promise<{ readonly level: number; readonly version: number; readonly reason: string }> {
    const found = (await this.#facts.itemLevels(cluster)).find((each) => each.name === name);
    return { level: found?.level ?? 0, version: Number(found?.version ?? 0n), reason: found?.nack?.reason ?? "" };
  }

  async healthy(cluster: string, name: string, version: number): Promise<void> {
    await eventually(async () => {
      const found = await this.level(cluster, name);
      return found.level === 4 && found.version === version;
    }, `${name} healthy on ${cluster} at ${version}`);
  }

  /** Runs a command as an operator does. */
  seamctl(...args: readonly string[]): ReturnType<typeof runCommand> {
    return runCommand(...args, ...this.#target);
  }

  async close(): Promise<void> {
    for (const close of this.#closing.toReversed()) await close();
  }

  async #startAgents(): Promise<void> {
    for (const cluster of this.clusters) {
      const handler = new RecordingHandler((body) => this.#verdict(body));
      this.handlers.set(cluster, handler);
      await this.rig.spoke(cluster, {
        handlers: [handler],
        store: { outbox: memoryOutbox(systemClock, systemRandom) },
        log: silentLog,
      });
    }
    for (const cluster of this.clusters) await this.healthy(cluster, "base", 1);
  }

  #verdict(body: string): ItemOutcome {
    if (this.#mended) return { ok: true };
    if (body.startsWith("poison"))
      return {
        ok: false,
        nack: { class: Nack_Class.INVALID, retryable: false, reason: "POISON", detail: "not for any cluster" },
      };
    if (body.startsWith("busy"))
      return { ok: false, nack: { class: Nack_Class.BUSY, retryable: true, reason: "API_AWAY", detail: "" } };
    return { ok: true };
  }

  #watched(facts: FactStore): FactStore {
    return {
      ...facts,
      items: (cluster, reports, fence) => {
        for (const { name, nack, nextRetryUnixMs } of reports)
          if (nack !== undefined) this.refusals.push({ name, atMs: Date.now(), nextRetryMs: Number(nextRetryUnixMs) });
        return facts.items(cluster, reports, fence);
      },
    };
  }
}

function targetOf(port: number, { ca, certificate, key }: TlsFiles): readonly string[] {
  return ["--server", `127.0.0.1:${port}`, "--ca", ca, "--cert", certificate, "--key", key];
}

/** Waits until something holds. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const limitMs = 120_000;
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
