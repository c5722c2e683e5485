import type { HubSession } from "../../../src/federation/session/hub/hub-session.ts";
import type { IndexItem, ItemKind } from "../../../src/federation/index/index-document.ts";
import type { ItemReport } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { Agent } from "../agent.ts";
import { checkConverged } from "../convergence.ts";
import { BlobWorld, DesiredState, type Poison } from "../desired-state.ts";
import { Hub } from "../hub.ts";
import { World, must } from "../world.ts";

/** How often convergence is looked at, virtual milliseconds. */
const LOOK_MS = 500;

/** How a {@link SmallWorld} differs from the usual one. */
export interface SmallWorldOptions {
  readonly seed?: number;
  readonly agents?: number;
  readonly makeHub?: (world: World, states: readonly DesiredState[]) => Hub;
  /** False: agents are there and switched off. */
  readonly boots?: boolean;
  /** Collect the transcript. */
  readonly traced?: boolean;
}

/** A hub and its agents in which one thing at a time is done; most scenarios look at the first agent only. */
export class SmallWorld {
  readonly world: World;
  readonly hub: Hub;
  readonly blobs = new BlobWorld();
  readonly states: readonly DesiredState[];
  readonly agents: readonly Agent[];

  constructor({ seed = 1, agents = 1, makeHub, boots = true, traced = false }: SmallWorldOptions = {}) {
    this.world = new World(seed, traced);
    this.states = Array.from({ length: agents }, (_, at) => new DesiredState(`tenant-${at + 1}`, this.blobs));
    this.hub = makeHub?.(this.world, this.states) ?? new Hub(this.world, this.states);
    this.agents = this.states.map(({ cluster }) => new Agent(this.world, this.hub, cluster, this.blobs));
    for (const state of this.states) {
      state.put("PackInstalled", "first", 300, 0, "none");
      state.sign(this.hub.wallMs);
    }
    for (const { store } of this.agents) store.standBesideReal();
    for (const cluster of this.hub.stores.keys()) this.hub.store(cluster).standBesideReal();
    this.hub.boot();
    if (boots) for (const agent of this.agents) agent.boot();
  }

  get agent(): Agent {
    return this.#first(this.agents);
  }

  get state(): DesiredState {
    return this.#first(this.states);
  }

  get cluster(): string {
    return this.state.cluster;
  }

  /** The hub's machine for the first agent. */
  get session(): HubSession {
    return this.sessionOf(this.cluster);
  }

  sessionOf(cluster: string): HubSession {
    const session = this.hub.session(cluster);
    must(session !== undefined, "the hub does not serve this cluster");
    return session;
  }

  /** What the hub has stored of an item. */
  report(name: string, kind: ItemKind = "PackInstalled"): ItemReport | undefined {
    return this.hub.store(this.cluster).levels.get(`${kind}/${name}`);
  }

  /** The first agent should have a new version of an item. */
  put(name: string, poison: Poison = "none", size = 300, refSize = 0): IndexItem {
    const item = this.state.put("PackInstalled", name, size, refSize, poison);
    this.renew();
    return item;
  }

  /** The first agent's index is signed anew. */
  renew(): void {
    this.state.sign(this.hub.wallMs);
    this.hub.desiredChanged(this.cluster);
  }

  /** The store of the first agent's numbering is lost, and nothing else; the next index is of a new epoch. */
  newEpoch(): void {
    this.state.newEpoch();
    this.hub.store(this.cluster).newEpoch();
  }

  /** Nothing happens any more. */
  close(): void {
    for (const { store } of this.agents) store.close();
    for (const store of this.hub.stores.values()) store.close();
  }

  runFor(ms: number): void {
    this.world.run(this.world.nowMs + ms);
  }

  /** Runs until `done`, at most `limitMs`; returns how long it took, to {@link LOOK_MS}. */
  until(what: string, limitMs: number, done: () => boolean): number {
    const startedMs = this.world.nowMs;
    while (!done()) {
      const sinceMs = this.world.nowMs - startedMs;
      must(sinceMs < limitMs, `${what}: not within ${limitMs} ms`);
      this.runFor(Math.min(LOOK_MS, limitMs - sinceMs));
    }
    return this.world.nowMs - startedMs;
  }

  /** Runs until hub and agents agree about everything. */
  converge(limitMs: number): void {
    let missing = "";
    const look = (): boolean => {
      missing = "";
      for (const [at, agent] of this.agents.entries()) {
        const state = this.states[at];
        if (state !== undefined && missing === "") missing = checkConverged(agent, state, this.hub, true);
      }
      return missing === "";
    };
    const startedMs = this.world.nowMs;
    while (!look()) {
      must(this.world.nowMs - startedMs < limitMs, `not converged within ${limitMs} ms: ${missing}`);
      this.runFor(LOOK_MS);
    }
  }

  #first<T>(of: readonly T[]): T {
    const [first] = of;
    must(first !== undefined, "a world without agents");
    return first;
  }
}
