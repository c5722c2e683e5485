import type { DesiredIndex } from "../../../src/federation/hub/ports.ts";
import type { IndexRevocation } from "../../../src/federation/index/index-document.ts";
import type { HubSession } from "../../../src/federation/session/hub/hub-session.ts";
import type { SpokeWrite } from "../../../src/federation/session/spoke/record.ts";
import type { DesiredState } from "../desired-state.ts";
import { Hub } from "../hub.ts";
import type { SimulatedHub } from "../simulated-hub.ts";
import type { HubStore } from "../hub-store.ts";
import type { Link, LinkEnd } from "../link.ts";
import { START_WALL_MS, SimulationFailure, type World, must } from "../world.ts";
import { ReplicaPart } from "./replica-part.ts";
import { SharedCluster } from "./shared-cluster.ts";

/** How often it is looked whether a replica serves although the others take it for gone, milliseconds. */
const LOOK_MS = 500;

/** Several replicas in the place of one hub: what is done to "the hub" is done to one of them, whichever chance says. */
export class ReplicaSet implements SimulatedHub {
  readonly #world: World;
  readonly #cluster: SharedCluster;
  readonly #hubs: Map<string, Hub> = new Map();
  readonly #parts: Map<string, ReplicaPart> = new Map();
  /** Replica that an agent's last stream was at: it is dialled after the others, as agents do. */
  readonly #left: Map<string, string> = new Map();

  constructor(world: World, desired: readonly DesiredState[], count: number) {
    this.#world = world;
    this.#cluster = new SharedCluster(
      world,
      desired.map(({ cluster }) => cluster),
    );
    for (let at = 1; at <= count; at++) {
      const part = new ReplicaPart(world, `hub-${at}`, this.#cluster);
      this.#parts.set(part.name, part);
      this.#hubs.set(part.name, new Hub(world, desired, part));
    }
  }

  get wallMs(): number {
    return START_WALL_MS + this.#world.nowMs;
  }

  get busyFrames(): number {
    return [...this.#hubs.values()].reduce((sum, { busyFrames }) => sum + busyFrames, 0);
  }

  /** What the fences refused, for coverage. */
  get counts(): { readonly membershipsEnded: number; readonly writesRefused: number } {
    const parts = [...this.#parts.values()];
    return {
      membershipsEnded: parts.reduce((sum, { ended }) => sum + ended, 0),
      writesRefused: parts.reduce((sum, { refused }) => sum + refused, 0),
    };
  }

  set failing(value: boolean) {
    for (const hub of this.#hubs.values()) hub.failing = value && this.#world.chance(0.5);
  }

  /** One replica is cut off from the API server; in the end none is. */
  set moving(value: boolean) {
    const part = this.#any(this.#parts);
    this.#world.trace(part.name, () => (value ? "is cut off from the API server" : "reaches the API server again"));
    if (value) part.line.cut = true;
    else for (const each of this.#parts.values()) each.line.cut = false;
  }

  get skewMs(): number {
    return this.#hubs.values().next().value?.skewMs ?? 0;
  }

  set skewMs(value: number) {
    if (value === 0) for (const hub of this.#hubs.values()) hub.skewMs = 0;
    else this.#any(this.#hubs).skewMs = value;
  }

  boot(): void {
    for (const hub of this.#hubs.values()) hub.boot();
    this.#watchBounds();
  }

  session(cluster: string): HubSession | undefined {
    let newest: HubSession | undefined;
    for (const hub of this.#hubs.values()) {
      const session = hub.session(cluster);
      if (session?.connected === true && (newest === undefined || session.view().term > newest.view().term))
        newest = session;
    }
    return newest;
  }

  store(cluster: string): HubStore {
    const store = this.#cluster.stores.get(cluster);
    if (store === undefined) throw new SimulationFailure(`no such cluster ${cluster}`);
    return store;
  }

  crash(boundaries: number): void {
    this.#any(this.#hubs).crash(boundaries);
  }

  settle(): void {
    for (const hub of this.#hubs.values()) hub.settle();
  }

  lose(cluster: string): void {
    for (const hub of this.#hubs.values()) hub.crash(0);
    this.store(cluster).lose();
    this.#cluster.loseOwnership(cluster);
  }

  freeze(ms: number): void {
    this.#any(this.#hubs).freeze(ms);
  }

  desiredChanged(cluster: string): void {
    for (const hub of this.#hubs.values()) hub.desiredChanged(cluster);
  }

  replay(cluster: string, old: DesiredIndex): void {
    this.#any(this.#hubs).replay(cluster, old);
  }

  revoke(cluster: string, revocation: IndexRevocation): void {
    this.store(cluster).revoke(revocation);
    for (const hub of this.#hubs.values()) hub.revocationsChanged(cluster);
  }

  retry(cluster: string, kind: string, name: string): void {
    this.#any(this.#hubs).retry(cluster, kind, name); // given at any of them, and heard by all
    for (const hub of this.#hubs.values()) hub.retriesChanged(cluster);
  }

  pinned(cluster: string): number {
    let pinned = 0;
    for (const hub of this.#hubs.values()) pinned += hub.pinned(cluster);
    return pinned;
  }

  drift(cluster: string, name: string): void {
    const { drifts } = this.store(cluster);
    drifts.set(name, (drifts.get(name) ?? 0) + 1);
    for (const hub of this.#hubs.values()) hub.driftChanged(cluster, name);
  }

  checkMemory(): void {
    for (const hub of this.#hubs.values()) hub.checkMemory();
  }

  /** The agent is sent to another replica, or away from one that stops. */
  evict(cluster: string): void {
    for (const hub of this.#hubs.values()) if (hub.session(cluster)?.connected === true) hub.evict(cluster);
  }

  checkAcknowledged(cluster: string, write: SpokeWrite): void {
    this.store(cluster).check(write);
  }

  /** The first endpoint that takes the agent, the one it left last after the others. */
  accept(cluster: string, connect: (end: LinkEnd) => Link, endpoints: readonly string[]): Link | undefined {
    const known = endpoints.length > 0 ? endpoints : this.#shuffled();
    const left = this.#left.get(cluster);
    for (const name of [...known.filter((each) => each !== left), ...known.filter((each) => each === left)]) {
      const link = this.#hubs.get(name)?.accept(cluster, connect);
      if (link === undefined) continue;
      this.#left.set(cluster, name);
      return link;
    }
    return undefined;
  }

  #shuffled(): readonly string[] {
    const names = [...this.#hubs.keys()];
    const first = this.#world.between(0, names.length - 1);
    return [...names.slice(first), ...names.slice(0, first)];
  }

  #any<T>(of: ReadonlyMap<string, T>): T {
    const found = [...of.values()][this.#world.between(0, of.size - 1)];
    if (found === undefined) throw new SimulationFailure("no replica");
    return found;
  }

  /** A replica that the others take for gone must have let go before: it may be frozen or dead, but it handles nothing more. */
  #watchBounds(): void {
    const alive = new Set(this.#cluster.alive().map(({ replica }) => replica));
    for (const [name, hub] of this.#hubs) {
      if (alive.has(name) || !hub.running || this.#world.nowMs < LOOK_MS) continue;
      must(this.#parts.get(name)?.valid() !== true, `${name} serves and is no member any more`);
    }
    this.#world.after(LOOK_MS, () => this.#watchBounds());
  }
}
