import type { ItemKind } from "../../src/federation/index/index-document.ts";
import { itemKey } from "../../src/federation/index/index-document.ts";
import { Agent } from "./agent.ts";
import { checkConverged } from "./convergence.ts";
import { BlobWorld, DesiredState, type Poison } from "./desired-state.ts";
import { Hub } from "./hub.ts";
import type { SimulatedHub } from "./simulated-hub.ts";
import type { Fleet, Plane } from "./plane.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import { Link, Wire } from "./link.ts";
import { ReplicaSet } from "./replicas/replica-set.ts";
import { type Action, type Replay, type ScheduleSize, isDisaster, scheduleOf, sizeOf } from "./schedule.ts";
import { World, must } from "./world.ts";

/** Virtual time from the end of all faults to convergence, at most: retry backoff reaches five minutes. */
const CONVERGE_LIMIT_MS = 1_500_000;
/** Virtual time after convergence in which nothing may happen but heartbeats. */
const QUIET_MS = 200_000;
/** How often convergence is looked at, virtual milliseconds. */
const LOOK_MS = 2_000;

/** How often the hub's memory is looked at, virtual milliseconds. */
const MEMORY_LOOK_MS = 2_000;

/** Outcome of one run. */
export interface RunResult {
  readonly seed: number;
  /** Message of the broken invariant; undefined when all held. */
  readonly failure: string | undefined;
  readonly transcript: string;
  readonly events: number;
  /** Virtual time from the end of faults to convergence, milliseconds. */
  readonly convergedMs: number;
  /** What the machines counted. */
  readonly coverage: ReadonlyMap<string, number>;
}

/** Options of {@link simulate}. */
export interface RunOptions {
  readonly size?: ScheduleSize;
  /** Instead of the schedule of the seed; for shrinking. */
  readonly schedule?: readonly Action[];
  /** No revocation is ever pushed: only the floors of the index say what is revoked. */
  readonly losesPushes?: boolean;
  /** The real stores of agents, and the real audit sink, stand beside the simulated ones and must agree with them. */
  readonly realStores?: boolean;
  /** Hub replicas; more than one share their stores and hand sessions over. */
  readonly replicas?: number;
  /** Collect the transcript. */
  readonly traced?: boolean;
}

/** Options of {@link simulateWith}. */
export interface PlaneOptions extends RunOptions {
  /** What lives in the world besides. */
  readonly plane: (fleet: Fleet) => Plane;
}

/** How much happens in the run of a seed. */
export function sizeIn(seed: number, options: RunOptions): ScheduleSize {
  return options.size ?? sizeOf(seed);
}

/** Runs one seed: the same seed and options always do the same. */
export function simulate(seed: number, options: RunOptions = {}): RunResult {
  const size = sizeIn(seed, options);
  const run = new Run(seed, size, options);
  try {
    run.execute(options.schedule ?? scheduleOf(seed, size));
    return run.result(undefined);
  } catch (error) {
    return run.result(failureText(error, options));
  }
}

/** {@link simulate} with rooms besides, which are asynchronous as they are in production. */
export async function simulateWith(seed: number, options: PlaneOptions): Promise<RunResult> {
  const size = sizeIn(seed, options);
  const run = new Run(seed, size, options, options.plane);
  try {
    await run.settle(options.schedule ?? scheduleOf(seed, size));
    return run.result(undefined);
  } catch (error) {
    return run.result(failureText(error, options));
  }
}

function failureText(error: unknown, { traced }: RunOptions): string {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return message + (traced === true && error instanceof Error ? `\n${error.stack ?? ""}` : "");
}

class Run {
  readonly #seed: number;
  readonly #world: World;
  readonly #blobs = new BlobWorld();
  readonly #desired: DesiredState[] = [];
  readonly #agents: Agent[] = [];
  readonly #hub: SimulatedHub;
  readonly #losesPushes: boolean;
  readonly #twins: Set<Agent> = new Set();
  /** Somebody loses what was durable. */
  #disaster = false;
  #events = 0;
  #convergedMs = 0;
  #healed = false;
  readonly #plane: Plane | undefined;

  constructor(seed: number, size: ScheduleSize, options: RunOptions, plane?: PlaneOptions["plane"]) {
    this.#seed = seed;
    this.#losesPushes = options.losesPushes ?? false;
    this.#world = new World(seed, options.traced ?? false);
    for (let i = 0; i < size.agents; i++) this.#desired.push(new DesiredState(`tenant-${i + 1}`, this.#blobs));
    const { replicas = 1 } = options;
    this.#hub =
      replicas > 1 ? new ReplicaSet(this.#world, this.#desired, replicas) : new Hub(this.#world, this.#desired);
    for (const state of this.#desired) this.#agents.push(new Agent(this.#world, this.#hub, state.cluster, this.#blobs));
    if (options.realStores === true)
      for (const agent of this.#agents) {
        agent.store.standBesideReal();
        this.#hub.store(agent.cluster).standBesideReal();
      }
    this.#plane = plane?.({
      world: this.#world,
      blobs: this.#blobs,
      desired: this.#desired,
      agents: this.#agents,
      hub: this.#hub,
      losesPushes: this.#losesPushes,
      publish: (state) => this.#publish(state),
    });
  }

  result(failure: string | undefined): RunResult {
    for (const agent of this.#agents) {
      agent.store.close();
      this.#hub.store(agent.cluster).close();
    }
    return {
      seed: this.#seed,
      failure,
      transcript: this.#world.transcript,
      events: this.#events,
      convergedMs: this.#convergedMs,
      coverage: this.#world.coverage.counts,
    };
  }

  execute(schedule: readonly Action[]): void {
    for (const untilMs of this.#live(schedule)) this.#events += this.#world.run(untilMs);
  }

  async settle(schedule: readonly Action[]): Promise<void> {
    for (const untilMs of this.#live(schedule)) this.#events += await this.#world.settle(untilMs);
  }

  /** The whole run; yields the times until which the world is to go on. */
  *#live(schedule: readonly Action[]): Generator<number> {
    const world = this.#world;
    for (const state of this.#desired) {
      this.#change(state, 2, false, false);
      state.sign(this.#hub.wallMs);
    }
    this.#disaster = schedule.some((action) => isDisaster(action.do));
    for (const agent of this.#agents) if (this.#disaster) agent.store.remembered = new Set();
    this.#plane?.begin();
    this.#hub.boot();
    for (const agent of this.#agents) world.after(world.between(0, 500), () => agent.boot());
    for (const action of schedule) world.after(action.atMs, () => this.#act(action));
    const endMs = Math.max(schedule.at(-1)?.atMs ?? 0, this.#plane?.untilMs ?? 0) + 100;
    this.#watchMemory();
    yield endMs;
    this.#heal();
    yield* this.#converge(endMs);
    yield* this.#stayQuiet();
    for (const agent of this.#agents) {
      world.coverage.add(agent.session?.counters ?? {});
      world.coverage.add(this.#hub.session(agent.cluster)?.counters ?? {});
    }
    if (this.#hub instanceof ReplicaSet) world.coverage.add(this.#hub.counts);
  }

  /** The hub's memory, while faults go on and until everything converged. */
  #watchMemory(): void {
    this.#hub.checkMemory();
    if (this.#convergedMs === 0) this.#world.after(MEMORY_LOOK_MS, () => this.#watchMemory());
  }

  #act(action: Action): void {
    const world = this.#world;
    world.trace("world", () => `${action.do} ${JSON.stringify(action)}`);
    switch (action.do) {
      case "hubCrash":
        this.#hub.crash(action.boundaries);
        return;
      case "hubClock":
        this.#hub.skewMs = action.byMs;
        return;
      case "hubFreeze":
        this.#hub.freeze(action.forMs);
        return;
      case "hubFails":
        this.#hub.failing = true;
        world.after(action.forMs, () => (this.#hub.failing = false));
        return;
      case "ownershipMoves":
        this.#hub.moving = true;
        world.after(action.forMs, () => (this.#hub.moving = false));
        return;
      default:
    }
    const agent = this.#agents[action.agent];
    const state = this.#desired[action.agent];
    must(agent !== undefined && state !== undefined, "the schedule names an agent that does not exist");
    switch (action.do) {
      case "change":
        this.#change(state, action.items, action.poison, action.big);
        this.#publish(state);
        return;
      case "tombstone": {
        const alive = state.items.filter((item) => item.deleted !== true && this.#plane?.owns(item) !== true);
        const item = alive[world.between(0, Math.max(0, alive.length - 1))];
        if (item !== undefined) state.remove(itemKey(item), action.withBody);
        this.#publish(state);
        return;
      }
      case "corrupt": {
        const item = state.items.at(-1);
        if (item !== undefined && item.digest !== "") this.#blobs.corrupt.add(item.digest);
        return;
      }
      case "retry":
        this.#retryQuarantined(state.cluster);
        return;
      case "fact":
        agent.fact(action.name);
        return;
      case "audit":
        agent.audit(action.count);
        return;
      case "revoke": {
        const revocation = state.revoke(`item-${world.between(1, 3)}`);
        if (!this.#losesPushes) this.#hub.revoke(state.cluster, revocation);
        this.#publish(state);
        return;
      }
      case "ask":
        agent.ask();
        return;
      case "crash":
        agent.crash(action.boundaries);
        return;
      case "upgrade":
        agent.upgrade();
        return;
      case "backup":
        agent.backup();
        return;
      case "restore":
        agent.restore();
        return;
      case "tear":
        agent.tear(action.boundaries, action.transactions);
        return;
      case "twin": {
        const twin = agent.twin(this.#blobs, action.copied);
        this.#twins.add(twin);
        twin.boot();
        world.after(action.forMs, () => this.#retire(twin));
        return;
      }
      case "hubLoses":
        this.#loseHubStore(state, agent, action.epoch);
        return;
      case "mangle":
        agent.wire.mangles = action.how;
        world.after(action.forMs, () => (agent.wire.mangles = undefined));
        return;
      case "freeze":
        agent.freeze(action.forMs);
        return;
      case "partition":
        agent.wire.partitioned = true;
        world.after(action.forMs, () => (agent.wire.partitioned = false));
        return;
      case "slow":
        agent.wire.slowMs = action.delayMs;
        world.after(action.forMs, () => (agent.wire.slowMs = 0));
        return;
      case "reset":
        agent.reset();
        return;
      case "evict":
        this.#hub.evict(state.cluster);
        return;
      case "drift":
        this.#hub.drift(state.cluster, action.name);
        return;
      case "knock":
        this.#knock(agent);
        return;
      case "stuck":
        agent.wire.stuck = action.way;
        world.after(action.forMs, () => (agent.wire.stuck = undefined));
        return;
      case "replay": {
        const wrong = this.#wrongIndex(state, agent, action.what);
        if (wrong !== undefined) this.#hub.replay(state.cluster, wrong);
        return;
      }
      case "flaky":
        agent.tenant.flaky = true;
        world.after(action.forMs, () => (agent.tenant.flaky = false));
        return;
      case "agentClock":
        agent.skewMs = action.byMs;
    }
  }

  #change(state: DesiredState, items: number, poisoned: boolean, big: boolean): void {
    const world = this.#world;
    const kinds: readonly ItemKind[] = ["PackInstalled", "PermissionSnapshot", "Correction"];
    const poisons: readonly Poison[] = ["verify", "apply", "healthy"];
    for (let i = 0; i < items; i++) {
      const kind = kinds[world.between(0, kinds.length - 1)] ?? "PackInstalled";
      const poison = poisoned ? (poisons[world.between(0, poisons.length - 1)] ?? "verify") : "none";
      const size = big ? world.between(60_000, 700_000) : world.between(50, 4_000);
      const refSize = world.chance(0.3) ? (big ? 300_000 : 500) : 0;
      state.put(kind, `item-${world.between(1, 6)}`, size, refSize, poison);
    }
  }

  #retire(twin: Agent): void {
    if (this.#twins.delete(twin)) twin.retire();
  }

  /** What the sink had and the agent has no more is lost, and said so by a gap record. */
  #loseHubStore(state: DesiredState, agent: Agent, epoch: boolean): void {
    const gone = this.#hub.store(state.cluster).auditTexts();
    const held = new Set(agent.store.auditEvents.values());
    for (const text of gone) if (!held.has(text)) agent.store.remembered?.delete(text);
    this.#hub.lose(state.cluster);
    agent.tenant.outlivesAgent = true;
    if (!epoch) return;
    state.newEpoch();
    this.#publish(state);
  }

  /** Signs and announces; drops tombstones that the agent acknowledged, as the index builder does. */
  #publish(state: DesiredState): void {
    const { levels } = this.#hub.store(state.cluster);
    for (const item of state.items) {
      // Tombstones stand for a day: whoever is set up anew from a younger backup still meets them.
      if (item.deleted !== true || this.#disaster) continue;
      const report = levels.get(itemKey(item));
      if (report !== undefined && Number(report.version) === item.version && report.level === 4)
        state.drop(itemKey(item));
    }
    state.sign(this.#hub.wallMs);
    this.#hub.desiredChanged(state.cluster);
  }

  /** A stream with this agent's certificate that never says Hello. */
  #knock({ cluster }: Agent): void {
    const silent = { frame: () => {}, closed: () => {}, blocked: () => {}, drained: () => {} };
    this.#hub.accept(cluster, (hub) => new Link(this.#world, new Wire(), silent, hub), []);
  }

  #wrongIndex(state: DesiredState, agent: Agent, what: Replay): DesiredIndex | undefined {
    switch (what) {
      case "old":
        return state.first;
      case "crossed":
        return this.#desired.find((other) => other !== state)?.current;
      case "stranger":
        return state.signWrong(this.#hub.wallMs, what);
      default:
        // An agent that has nothing to compare with takes what a broken builder signed, and only a higher version helps it then.
        if (this.#disaster || agent.store.index?.digest !== state.current?.digest) return undefined;
        return state.signWrong(this.#hub.wallMs, what);
    }
  }

  #retryQuarantined(cluster: string): void {
    for (const report of this.#hub.store(cluster).levels.values())
      if (report.nack !== undefined && !report.nack.retryable) this.#hub.retry(cluster, report.kind, report.name);
  }

  /** The end of all faults. Clocks are set right, and every tenant gets one more index, as renewal would do. */
  #heal(): void {
    const world = this.#world;
    world.trace("world", () => "heals");
    this.#healed = true;
    this.#hub.skewMs = 0;
    this.#hub.failing = false;
    this.#hub.moving = false;
    this.#blobs.corrupt.clear();
    for (const twin of this.#twins) this.#retire(twin);
    this.#hub.settle();
    this.#plane?.heal();
    for (const agent of this.#agents) {
      agent.settle();
      // What an agent reported after its backup it reports anew; what a hub lost it asks for by itself.
      if (agent.tenant.outlivesAgent) agent.reportAll();
      agent.wire.mangles = undefined;
      agent.skewMs = 0;
      agent.wire.partitioned = false;
      agent.wire.stuck = undefined;
      agent.wire.slowMs = 0;
      agent.tenant.flaky = false;
    }
    world.after(1_000, () => {
      for (const state of this.#desired) this.#publish(state);
    });
    // Whatever was refused only because its body was altered on the way is asked for again by an operator.
    for (const delayMs of [60_000, 400_000])
      world.after(delayMs, () => {
        for (const state of this.#desired)
          for (const report of this.#hub.store(state.cluster).levels.values())
            if (report.nack?.reason === "DIGEST_MISMATCH") this.#hub.retry(state.cluster, report.kind, report.name);
      });
  }

  *#converge(fromMs: number): Generator<number> {
    let missing = "nothing was checked";
    for (let untilMs = fromMs + LOOK_MS; untilMs <= fromMs + CONVERGE_LIMIT_MS; untilMs += LOOK_MS) {
      yield untilMs;
      if (untilMs < fromMs + 2 * LOOK_MS) continue; // the last index is not signed yet
      missing = this.#missing();
      if (missing !== "") continue;
      this.#convergedMs = untilMs - fromMs;
      return;
    }
    must(false, `no convergence ${CONVERGE_LIMIT_MS} ms after all faults ended: ${missing}`);
  }

  /** After convergence only heartbeats move: anything else is a livelock. */
  *#stayQuiet(): Generator<number> {
    const world = this.#world;
    this.#plane?.rest();
    yield world.nowMs + 5_000;
    const before = this.#busy();
    yield world.nowMs + QUIET_MS;
    const after = this.#busy();
    const allowed = (this.#plane?.restingFrames ?? 0) * this.#agents.length;
    must(after - before <= allowed, `not quiet after convergence: ${after - before} frames and handlers`);
    const missing = this.#missing();
    must(missing === "", `converged, and then not any more: ${missing}`);
  }

  /** Frames other than heartbeats and handlers so far. */
  #busy(): number {
    const frames = this.#agents.reduce((sum, agent) => sum + agent.busyFrames, 0);
    const handlers = this.#agents.reduce((sum, agent) => sum + agent.handlersRun, 0);
    return frames + this.#hub.busyFrames + handlers;
  }

  #missing(): string {
    for (const [at, agent] of this.#agents.entries()) {
      const state = this.#desired[at];
      if (state === undefined) continue;
      const missing = checkConverged(agent, state, this.#hub, this.#healed);
      if (missing !== "") return `${agent.cluster}: ${missing}`;
    }
    return this.#plane?.missing() ?? "";
  }
}
