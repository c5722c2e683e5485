import { createPublicKey } from "node:crypto";
import { Nack_Class } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import { memoryOutbox } from "../../src/federation/outbox/outbox.ts";
import type { ItemContext, ItemHandler, ItemOutcome } from "../../src/federation/spoke/ports.ts";
import { type Spoke, startSpoke } from "../../src/federation/spoke/start-spoke.ts";
import { keyIdOf } from "../../src/trust/dsse.ts";
import { UNHEARD_EVENTS } from "../support/plain-agent.ts";
import { type AgentsOptions, type FromAgents, POISON, RECEIPT, type SettledAgent, type ToAgents } from "./protocol.ts";

/** Many agents in one process: the real spoke over real sockets, under a steady load, and what their owner can say of them. */

/** How often agents are looked at while something is waited for, milliseconds. */
const LOOK_MS = 20;
/** An event of the load waits at most so long for its turn after it is due; agents start at random points of it. */
const JITTER = 0.5;

/** False while items named {@link POISON} are refused. */
let mended = false;

class CountingHandler implements ItemHandler {
  readonly kind = "PackInstalled";
  readonly applied = new Map<string, number>();

  verify = async ({ item }: ItemContext): Promise<ItemOutcome> =>
    item.name === POISON && !mended
      ? { ok: false, nack: { class: Nack_Class.INVALID, retryable: false, reason: "POISON", detail: "not mended yet" } }
      : { ok: true };
  healthy = async (): Promise<ItemOutcome> => ({ ok: true });
  remove = async (): Promise<ItemOutcome> => ({ ok: true });

  apply = async ({ item }: ItemContext): Promise<ItemOutcome> => {
    const key = `${item.name}@${item.version}`;
    this.applied.set(key, (this.applied.get(key) ?? 0) + 1);
    return { ok: true };
  };
}

interface RunningAgent {
  readonly cluster: string;
  readonly spoke: Spoke;
  readonly handler: CountingHandler;
  facts: number;
  staleTerms: number;
}

const agents: RunningAgent[] = [];
const load = new AbortController();
let loads: Promise<void>[] = [];
/** Resolves when every marked agent is served by another replica. */
let moving: Promise<readonly number[]> | undefined;

async function start(options: AgentsOptions): Promise<void> {
  const key = createPublicKey(options.publicKeyPem);
  const keyId = keyIdOf(key);
  for (const [at, { cluster, tls }] of options.agents.entries()) {
    const handler = new CountingHandler();
    const first = at % options.endpoints.length;
    const spoke = await startSpoke({
      endpoints: [...options.endpoints.slice(first), ...options.endpoints.slice(0, first)],
      tls: async () => tls,
      cluster,
      agentVersion: "1.0.0",
      store: { outbox: memoryOutbox(systemClock, systemRandom) },
      keys: { empty: false, key: (id) => (id === keyId ? key : undefined) },
      handlers: [handler],
      events: {
        ...UNHEARD_EVENTS,
        channel: ({ reason }) => {
          if (reason.includes("envelope term")) agent.staleTerms++;
          if (process.env["SEAM_TEST_LOG"] !== undefined) console.log(`${cluster}: ${reason}`);
        },
      },
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      signal: new AbortController().signal,
    });
    const agent: RunningAgent = { cluster, spoke, handler, facts: 0, staleTerms: 0 };
    agents.push(agent);
    loads.push(
      every(options.auditMs, () => spoke.outbox.audit({ action: "load.tick", decision: "system", cluster })),
      every(options.factMs, async () => {
        agent.facts++;
        await receipt(agent);
      }),
    );
  }
}

async function receipt({ spoke, facts }: RunningAgent): Promise<void> {
  await spoke.outbox.packReceipt({
    receiptName: RECEIPT,
    clusterPackRef: RECEIPT,
    version: "v1",
    serial: BigInt(facts),
    manifestDigest: "",
    verificationFailedReason: "",
    driftStatus: "Unknown",
    driftSummary: String(facts),
    driftedResources: [],
    lastDriftCheckUnixMs: 0n,
    deployedResources: [],
    rbacDigest: "",
    clusterScopedDigest: "",
    workloadDigest: "",
    keyId: "",
    receiptUid: "",
    receiptGeneration: 0n,
    removed: false,
    deliveryState: "Applied",
  });
}

async function every(periodMs: number, work: () => Promise<void>): Promise<void> {
  while (!load.signal.aborted) {
    try {
      await systemClock.sleep(periodMs * (1 - JITTER + 2 * JITTER * systemRandom.next()), load.signal);
    } catch {
      return; // the load ends
    }
    await work();
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(LOOK_MS);
}

const replicaOf = ({ spoke }: RunningAgent): string => {
  const { session } = spoke.status();
  return session?.phase === "live" ? session.replica : "";
};

async function moved(waiting: readonly RunningAgent[], replica: string): Promise<readonly number[]> {
  const atMs = performance.now();
  const times = new Map<RunningAgent, number>();
  await until(() => {
    for (const agent of waiting) {
      const now = replicaOf(agent);
      if (now !== "" && now !== replica && !times.has(agent)) times.set(agent, performance.now() - atMs);
    }
    return times.size === waiting.length;
  });
  return [...times.values()];
}

async function settle(): Promise<readonly SettledAgent[]> {
  load.abort();
  await Promise.all(loads);
  loads = [];
  await until(() =>
    agents.every(({ spoke }) => {
      const { session } = spoke.status();
      return (
        session?.phase === "live" && session.audit.ackedThrough === session.audit.last && session.pendingFacts === 0
      );
    }),
  );
  return agents.map(({ cluster, spoke, handler, facts, staleTerms }) => {
    const { session } = spoke.status();
    return {
      cluster,
      replica: session?.replica ?? "",
      term: session?.term ?? 0n,
      auditEpoch: session?.audit.epoch ?? 0n,
      auditLast: session?.audit.last ?? 0n,
      lastFact: facts,
      applied: handler.applied,
      held: session?.index?.digest ?? "",
      staleTerms,
    };
  });
}

async function handle(message: ToAgents): Promise<FromAgents> {
  switch (message.type) {
    case "start":
      await start(message.options);
      return { type: "done" };
    case "awaitLive":
      await until(() => agents.every((agent) => replicaOf(agent) !== ""));
      return { type: "done" };
    case "mark": {
      const at = agents.filter((agent) => replicaOf(agent) === message.replica);
      moving = moved(at, message.replica);
      return { type: "marked", clusters: at.map(({ cluster }) => cluster) };
    }
    case "awaitMoved":
      return { type: "moved", servedAgainMs: (await moving) ?? [] };
    case "mend":
      mended = true;
      return { type: "done" };
    case "settle":
      return { type: "settled", agents: await settle() };
  }
}

process.on("message", (message: ToAgents) => {
  handle(message).then(
    (answer) => process.send?.(answer),
    (error: unknown) =>
      process.send?.({
        type: "failed",
        message: error instanceof Error ? (error.stack ?? error.message) : String(error),
      } satisfies FromAgents),
  );
});
process.once("disconnect", () => process.exit(0));
