import { type KeyObject, createHash, createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  type ItemReport,
  ItemReportSchema,
  ItemReport_Level as Level,
} from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Metrics } from "../../src/base/metrics.ts";
import { digestOf } from "../../src/base/digest.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { AuditSink } from "../../src/federation/hub/ports.ts";
import { DEFAULT_HUB_LIMITS } from "../../src/federation/hub/hub-options.ts";
import { type Hub, startHub } from "../../src/federation/hub/start-hub.ts";
import { parseIndex } from "../../src/federation/index/parse-index.ts";
import { PAYLOAD_TYPES, type Signer, ed25519Signer, verifyEnvelope } from "../../src/trust/dsse.ts";
import { fixedTls } from "../../src/trust/tls/tls-material.ts";
import {
  MemoryDesiredStates,
  MemoryDirectory,
  MemoryFactStore,
  MemoryOwnership,
  MemoryRetryOrders,
  MemoryRevocations,
} from "../../test/support/federation-ports.ts";
import { CommitClock, atPace } from "./commit-clock.ts";
import { DurableState } from "./durable-state.ts";
import { type Answer, type Command, type Population, type Traffic, cpu, memory, serve } from "./protocol.ts";

/** The item that changes. */
const CHANGING = "bench";

/** Different bodies of a pace: few, so that memory stays flat, and no agent sees one again before the next change. */
const BODIES = 64;

/** Revocations that RevocationService stores at a time. */
const REVOKED_AT_ONCE = 32;

/** Indexes signed in one turn of the event loop when one change goes to everybody. */
const COMMITS_PER_TURN = 8;

/** Facts in memory; tells the clock when a change has been applied. */
class TimedFacts extends MemoryFactStore {
  readonly clock = new CommitClock();
  /** Level that counts as the end of a change. */
  goal: Level = Level.APPLIED;

  /** Where levels are kept beyond this process. */
  durable: DurableState | undefined = undefined;

  override async itemLevels(cluster: string): Promise<readonly ItemReport[]> {
    if (this.durable !== undefined && !this.levels.has(cluster))
      await super.items(cluster, this.durable.levels(cluster));
    return super.itemLevels(cluster);
  }

  override async items(cluster: string, reports: readonly ItemReport[]): Promise<void> {
    this.durable?.putLevels(cluster, reports);
    await super.items(cluster, reports);
    for (const report of reports)
      if (report.level >= this.goal) this.clock.acknowledged(keyOf(cluster, report.name), Number(report.version));
  }
}

/** The bench produces no audit events here. */
const noAudit: AuditSink = {
  append: async () => ({ contiguousThrough: 0n, highest: 0n, rejected: [] }),
  position: async () => ({ contiguousThrough: 0n, highest: 0n, highestHash: undefined }),
};

/** Frames by direction and type, bytes by direction. */
const frames = new Map<string, number>();
const bytes = new Map<string, number>();
const add = (counts: Map<string, number>, key: string, by: number): void => {
  counts.set(key, (counts.get(key) ?? 0) + by);
};
/** When each revocation left, `performance.now()`. */
const pushedMs: number[] = [];
const metrics: Metrics = {
  count(name, labels, by = 1) {
    if (name === "federation_messages_total") {
      add(frames, `${labels?.["dir"]}:${labels?.["type"]}`, by);
      if (labels?.["type"] === "revocationPush") pushedMs.push(performance.now());
    }
    if (name === "federation_bytes_total") add(bytes, labels?.["dir"] ?? "", by);
  },
  gauge: () => {},
  observe: () => {},
};

const controller = new AbortController();
const facts = new TimedFacts();
let clusters: readonly string[] = [];
let states: MemoryDesiredStates | undefined;
let hub: Hub | undefined;
let revocations: MemoryRevocations | undefined;
let loaded: { readonly population: Population; readonly signer: Signer } | undefined;
let epoch = 0;
/** Bodies of a pace, by their size. */
const paced = new Map<number, readonly Uint8Array[]>();

serve(async (command: Command): Promise<Answer> => {
  switch (command.type) {
    case "startServer":
      return { port: (await start(command)).port };
    case "awaitConnected": {
      const { view } = hub ?? fail();
      await until(() => view.connected >= command.count);
      return {};
    }
    case "changeUnseen":
      changeUnseen();
      return {};
    case "sendAway": {
      const { move, port, view } = hub ?? fail();
      for (const cluster of command.clusters) move(cluster, `127.0.0.1:${port}`);
      await until(() => command.clusters.every((cluster) => view.agent(cluster)?.connected === true));
      return {};
    }
    case "awaitSettled":
      await allSettled(command.clusters);
      return {};
    case "change": {
      const body = randomBytes(command.bytes);
      const some = command.clusters ?? clusters;
      const started = performance.now();
      for (const [at, cluster] of some.entries()) {
        commit(cluster, CHANGING, body, started);
        // A signer hands in one index after the other: what is signed leaves while the rest is being signed.
        if (at % COMMITS_PER_TURN === COMMITS_PER_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
      }
      const signingMs = performance.now() - started;
      await facts.clock.settled();
      const elapsedMs = performance.now() - started;
      return { elapsedMs, signingMs, latenciesMs: [facts.clock.take(some.map((cluster) => keyOf(cluster, CHANGING)))] };
    }
    case "burst": {
      facts.goal = Level.HEALTHY;
      const started = performance.now();
      for (let i = 0; i < command.objects; i++) commit(command.cluster, `object-${i}`, randomBytes(command.bytes));
      await facts.clock.settled();
      facts.goal = Level.APPLIED;
      return { elapsedMs: performance.now() - started };
    }
    case "pace": {
      const { pace } = command;
      const keys = pace.groups.map((group) => group.map((cluster) => keyOf(cluster, CHANGING)));
      const started = performance.now();
      let next = 0;
      const bodies = pacedBodies(pace.bytes);
      await atPace(clusters, pace, (cluster) => commit(cluster, CHANGING, bodies[next++ % BODIES] ?? fail()));
      await facts.clock.settledOf(keys.flat());
      // What nobody asked for is not kept.
      const told = new Set(pace.groups.flat());
      facts.clock.take(clusters.filter((cluster) => !told.has(cluster)).map((cluster) => keyOf(cluster, CHANGING)));
      return { elapsedMs: performance.now() - started, latenciesMs: keys.map((group) => facts.clock.take(group)) };
    }
    case "storm": {
      const started = performance.now();
      await storm(command, () => {});
      return { elapsedMs: performance.now() - started };
    }
    case "revoke": {
      const started = performance.now();
      let revoked: Promise<readonly (readonly number[])[]> = Promise.resolve([]);
      await storm(command, (round) => {
        if (round === Math.floor(command.changes / 2)) revoked = revokeEverywhere();
      });
      return { elapsedMs: performance.now() - started, latenciesMs: await revoked };
    }
    case "traffic":
      return { traffic: traffic() };
    case "memory":
      return memory();
    case "cpu":
      return cpu();
    case "stop":
      process.exit(0);
      break;
    case "startClients":
    case "relay":
      throw new Error("this child serves");
  }
  return {};
});

/** The same bodies for every pace: what was once a body is held for ever. */
function pacedBodies(bytes: number): readonly Uint8Array[] {
  let bodies = paced.get(bytes);
  if (bodies === undefined) paced.set(bytes, (bodies = Array.from({ length: BODIES }, () => randomBytes(bytes))));
  return bodies;
}

async function start(command: Extract<Command, { type: "startServer" }>): Promise<Hub> {
  clusters = command.clusters;
  const key = createPrivateKey(command.signingKeyPem);
  const signer = ed25519Signer(key);
  ({ epoch } = command);
  states = new MemoryDesiredStates(signer, systemClock, epoch);
  if (command.population !== undefined) {
    loaded = { population: command.population, signer };
    load(states, command.population, signer, createPublicKey(key));
  }
  revocations = new MemoryRevocations(signer);
  const open = { perSecond: 10_000, burst: 10_000 };
  hub = await startHub({
    address: "127.0.0.1",
    port: command.port,
    tls: fixedTls(command.tls),
    replica: "bench",
    endpoints: [],
    desired: states,
    facts,
    audit: noAudit,
    directory: new MemoryDirectory(clusters),
    ownership: new MemoryOwnership(),
    revocations,
    retries: new MemoryRetryOrders(),
    limits: {
      connections:
        command.admission === "open"
          ? { maxConnections: 20_000, accept: open }
          : { ...DEFAULT_HUB_LIMITS.connections, maxConnections: 20_000 },
      ...(command.admission === "open" ? { admission: open } : {}),
    },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    metrics,
    signal: controller.signal,
  });
  return hub;
}

/** Loads what the file holds as a hub does from its Secrets, every signature verified; fills a new one. */
function load(held: MemoryDesiredStates, population: Population, signer: Signer, publicKey: KeyObject): void {
  const durable = new DurableState(population.file);
  const bodies = bodiesOf(population);
  held.holdBodies([...bodies.first, ...bodies.second].map(({ body }) => body));
  if (durable.index(clusters[0] ?? "") === undefined) fill(durable, held, bodies.first);
  else {
    const keys = { empty: false, key: (id: string) => (id === signer.keyId ? publicKey : undefined) };
    for (const cluster of clusters) {
      const envelope = durable.index(cluster) ?? fail();
      if (!verifyEnvelope(envelope, PAYLOAD_TYPES.index, keys).ok) throw new Error(`index of ${cluster}: not signed`);
      const parsed = parseIndex(envelope.body);
      if (!parsed.ok) throw new Error(`index of ${cluster}: ${parsed.field}: ${parsed.expected}`);
      held.restore(cluster, { document: parsed.document, envelope, digest: digestOf(envelope.body) });
    }
  }
  facts.durable = durable;
}

/** Every tenant has all objects and has said that they are healthy. */
function fill(durable: DurableState, held: MemoryDesiredStates, first: Bodies): void {
  durable.transaction(() => {
    for (const cluster of clusters) {
      held.putAll(cluster, "PackInstalled", first);
      const { document, envelope } = held.current(cluster) ?? fail();
      durable.putIndex(cluster, envelope);
      durable.putLevels(
        cluster,
        document.items.map(({ kind, name, version, digest }) =>
          create(ItemReportSchema, {
            kind,
            name,
            version: BigInt(version),
            digest,
            level: Level.HEALTHY,
            atUnixMs: 1n,
          }),
        ),
      );
    }
  });
}

function changeUnseen(): void {
  const { population, signer } = loaded ?? fail();
  const elsewhere = new MemoryDesiredStates(signer, systemClock, epoch);
  const durable = facts.durable ?? fail();
  durable.transaction(() => {
    for (const cluster of clusters) {
      elsewhere.restore(cluster, states?.current(cluster) ?? fail());
      elsewhere.putAll(cluster, "PackInstalled", bodiesOf(population).second);
      durable.putIndex(cluster, (elsewhere.current(cluster) ?? fail()).envelope);
    }
  });
}

type Bodies = readonly { readonly name: string; readonly body: Uint8Array }[];

/** Bodies are made from their number, so that a hub that starts again has the same ones. */
function bodiesOf({ objects, bytes, changed }: Population): { readonly first: Bodies; readonly second: Bodies } {
  const bodyOf = (i: number, generation: number): Bodies[number] => ({
    name: `object-${String(i).padStart(5, "0")}`,
    body: Buffer.alloc(bytes, createHash("sha256").update(`${i}/${generation}`).digest()),
  });
  return {
    first: Array.from({ length: objects }, (_, i) => bodyOf(i, 0)),
    second: Array.from({ length: changed }, (_, i) => bodyOf(i, 1)),
  };
}

/** Changes as a watch hands them in: one turn of the event loop for each round. */
async function storm(
  { clusters: stormed, changes, bytes: size }: { clusters: readonly string[]; changes: number; bytes: number },
  atRound: (round: number) => void,
): Promise<void> {
  for (let round = 0; round < changes; round++) {
    atRound(round);
    const body = randomBytes(size);
    for (const cluster of stormed) commit(cluster, CHANGING, body);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const keys = stormed.map((cluster) => keyOf(cluster, CHANGING));
  await facts.clock.settledOf(keys);
  facts.clock.take(keys);
}

/** From the order to each agent's word that it is in effect, and until each has left the hub, milliseconds; numbering and signing included. */
async function revokeEverywhere(): Promise<readonly (readonly number[])[]> {
  const outbox = revocations ?? fail();
  const orderedMs = performance.now();
  const latencies: number[] = [];
  pushedMs.length = 0;
  outbox.onAcknowledged = () => latencies.push(performance.now() - orderedMs);
  for (const [at, cluster] of clusters.entries()) {
    outbox.revokePack(cluster, CHANGING, 1);
    // As where each is stored before it leaves: the hub's loop turns meanwhile.
    if (at % REVOKED_AT_ONCE === REVOKED_AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => latencies.length === clusters.length);
  return [latencies, pushedMs.map((atMs) => atMs - orderedMs)];
}

/** @param orderedMs when the change was ordered that this commit is part of */
function commit(cluster: string, name: string, body: Uint8Array, orderedMs?: number): void {
  const version = (states ?? fail()).put(cluster, "PackInstalled", name, body);
  facts.clock.committed(keyOf(cluster, name), version, orderedMs);
}

async function allSettled(some: readonly string[]): Promise<void> {
  let waiting = some;
  await until(() => {
    waiting = waiting.filter((cluster) => !isSettled(cluster));
    return waiting.length === 0;
  });
}

function isSettled(cluster: string): boolean {
  const index = (states ?? fail()).current(cluster);
  const agent = hub?.view.agent(cluster);
  if (index === undefined || agent?.connected !== true || agent.held?.digest !== index.digest) return false;
  const levels = facts.levels.get(cluster);
  return index.document.items.every(({ kind, name, version }) => {
    const report = levels?.get(`${kind}/${name}`);
    return report !== undefined && Number(report.version) === version && report.level >= Level.APPLIED;
  });
}

function traffic(): Traffic {
  const sum = (dir: string): number =>
    [...frames].reduce((all, [key, count]) => (key.startsWith(dir) ? all + count : all), 0);
  const answer: Traffic = {
    framesOut: sum("out:"),
    framesIn: sum("in:"),
    bytesOut: bytes.get("out") ?? 0,
    bytesIn: bytes.get("in") ?? 0,
    byType: Object.fromEntries(frames),
  };
  frames.clear();
  bytes.clear();
  return answer;
}

function keyOf(cluster: string, name: string): string {
  return `${cluster}/${name}`;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

function fail(): never {
  throw new Error("startServer comes first");
}
