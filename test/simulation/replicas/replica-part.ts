import { MembershipState } from "../../../src/federation/hub/membership/membership-state.ts";
import { MEMBERSHIP_TIMES } from "../../../src/federation/hub/membership/membership-times.ts";
import { rendezvousOrder } from "../../../src/federation/hub/membership/rendezvous-order.ts";
import { replicaOf } from "../../../src/federation/hub/membership/replica-record.ts";
import { nextOwnership } from "../../../src/federation/hub/ownership/next-ownership.ts";
import type { HubPart } from "../simulated-hub.ts";
import type { HubStore } from "../hub-store.ts";
import type { Process } from "../process.ts";
import type { World } from "../world.ts";
import type { ApiLine, SharedCluster } from "./shared-cluster.ts";

/** Conflicts of one write after which it is given up, as in the hub. */
const MAX_CONFLICTS = 10;

/** What one simulated replica has to do with the others: the hub's own membership and ownership rules over a simulated API server. */
export class ReplicaPart implements HubPart {
  readonly name: string;
  readonly line: ApiLine = { cut: false };
  readonly #world: World;
  readonly #cluster: SharedCluster;
  readonly #owned: Map<string, { readonly identity: string; readonly term: bigint }> = new Map();
  #process: Process | undefined;
  #release: (cluster: string, endpoint: string) => void = () => {};
  #state: MembershipState;
  /** Times this replica found out that its membership was over. */
  ended = 0;
  /** Writes that the fence or the condition of the write refused. */
  refused = 0;

  constructor(world: World, name: string, cluster: SharedCluster) {
    this.#world = world;
    this.name = name;
    this.#cluster = cluster;
    this.#state = new MembershipState(name, "none", MEMBERSHIP_TIMES.serveMs);
    cluster.watch((id, lease) => {
      const tell = (): void => {
        // A watch tells late, and after a cut it lists again.
        if (this.line.cut) world.after(world.between(200, 2_000), tell);
        else this.#process?.after(0, () => this.#seen(id, lease.holder, lease.term));
      };
      world.after(world.between(5, 400), tell);
    });
  }

  get identity(): string {
    return this.#state.identity;
  }

  get stores(): Map<string, HubStore> {
    return this.#cluster.stores;
  }

  booted(process: Process, release: (cluster: string, endpoint: string) => void): void {
    this.#process = process;
    this.#release = release;
    this.#owned.clear();
    this.#state = new MembershipState(this.name, `p${process.incarnation}`, MEMBERSHIP_TIMES.serveMs);
    this.#renew();
  }

  valid(): boolean {
    if (this.#state.look(this.#world.nowMs) === "ended") {
      this.ended++;
      // Streams before anything else.
      for (const cluster of this.stores.keys()) this.#release(cluster, this.elsewhere(cluster));
    }
    return this.#state.member;
  }

  endpoints(cluster: string): readonly string[] {
    return [this.name, ...this.#others(cluster)];
  }

  elsewhere(cluster: string): string {
    return this.#others(cluster)[0] ?? "";
  }

  acquire(cluster: string, above: bigint, done: (term: bigint | undefined) => void): void {
    const { identity } = this.#state;
    const finish = (term: bigint): void => {
      if (!this.valid() || this.#state.identity !== identity) {
        done(undefined);
        return;
      }
      this.#owned.set(cluster, { identity, term });
      done(term);
    };
    const attempt = (conflicts: number): void => {
      if (!this.valid() || conflicts > MAX_CONFLICTS) {
        done(undefined);
        return;
      }
      this.#ask(
        () => this.#cluster.ownership(cluster),
        (lease) => {
          const { take, term } = nextOwnership(lease, identity, above);
          if (!take) finish(term);
          else
            this.#ask(
              () => this.#cluster.own(cluster, lease?.version, identity, term),
              (written) => (written ? finish(term) : attempt(conflicts + 1)),
            );
        },
      );
    };
    attempt(0);
  }

  /** Read, ask who owns the session, write on condition: as every fact is stored. */
  fenced<T>(cluster: string, object: string, write: () => T, done: (outcome: T | undefined) => void): void {
    const owned = this.#owned.get(cluster);
    const refuse = (): void => {
      this.refused++;
      done(undefined);
    };
    const attempt = (conflicts: number): void => {
      if (owned === undefined || conflicts > MAX_CONFLICTS || !this.#holds(cluster, owned)) {
        refuse();
        return;
      }
      this.#ask(
        () => this.#cluster.version(object),
        (version) => {
          if (!this.#holds(cluster, owned)) {
            refuse();
            return;
          }
          this.#ask(
            () => this.#cluster.ownership(cluster),
            (lease) => {
              if (!this.#holds(cluster, owned) || lease?.holder !== owned.identity || lease.term !== owned.term) {
                refuse();
                return;
              }
              // Wherever this process is stopped from here on, the write meets what stands there by then.
              this.#ask(
                () => this.#cluster.write(object, version, write),
                (outcome) => (outcome === undefined ? attempt(conflicts + 1) : done(outcome)),
              );
            },
          );
        },
      );
    };
    attempt(0);
  }

  #holds(cluster: string, owned: { readonly identity: string; readonly term: bigint }): boolean {
    const now = this.#owned.get(cluster);
    return this.valid() && this.#state.identity === owned.identity && now?.term === owned.term;
  }

  #others(cluster: string): readonly string[] {
    const peers = this.#cluster.alive().filter(({ replica }) => replica !== this.name);
    return rendezvousOrder(cluster, peers).map(({ replica }) => replica);
  }

  #seen(cluster: string, holder: string, term: bigint): void {
    const owned = this.#owned.get(cluster);
    if (owned === undefined || term <= owned.term || holder === owned.identity) return;
    this.#owned.delete(cluster);
    this.#release(cluster, replicaOf(holder));
  }

  /** The renewal loop; an attempt that hangs does not hold up the next one. */
  #renew(): void {
    const process = this.#process;
    const startedMs = this.#world.nowMs;
    const joins = !this.valid();
    const { identity } = this.#state;
    this.#ask(
      () => this.#cluster.renew(this.name, identity, joins),
      (renewed) => {
        if (renewed) this.#state.renewed(identity, startedMs, this.#world.nowMs);
        else if (this.#state.identity === identity) this.#state.end();
      },
    );
    process?.after(MEMBERSHIP_TIMES.renewMs * (0.9 + 0.2 * this.#world.random.next()), () => this.#renew());
  }

  /** A request of this life of the process; a later life never hears its answer. */
  #ask<T>(execute: () => T, answered: (result: T) => void): void {
    const process = this.#process;
    if (process === undefined) return;
    const { incarnation } = process;
    this.#cluster.request(this.line, execute, (result) => {
      if (incarnation === process.incarnation) process.after(0, () => answered(result));
    });
  }
}
