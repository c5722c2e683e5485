import { MEMBERSHIP_TIMES } from "../../../src/federation/hub/membership/membership-times.ts";
import type { HeldOwnership } from "../../../src/federation/hub/ownership/next-ownership.ts";
import { HubStore } from "../hub-store.ts";
import { type World, must } from "../world.ts";

/** An ownership Lease with the version it has. */
export interface OwnershipLease extends HeldOwnership {
  readonly holder: string;
  readonly version: number;
}

/** The way of one replica to the API server. While it is cut nothing passes, and what was on its way arrives late. */
export interface ApiLine {
  cut: boolean;
}

/** How often a request that is held up looks whether it may go on, milliseconds. */
const CUT_POLL_MS = 250;

/** The management cluster and the audit sink behind several replicas: every write is conditional on what was read. */
export class SharedCluster {
  readonly stores: Map<string, HubStore> = new Map();
  readonly #world: World;
  readonly #ownerships: Map<string, OwnershipLease> = new Map();
  readonly #members: Map<string, { readonly identity: string; readonly renewedMs: number }> = new Map();
  readonly #versions: Map<string, number> = new Map();
  /** Who was ever given a term. */
  readonly #terms: Map<string, string> = new Map();
  readonly #watchers: ((cluster: string, lease: OwnershipLease) => void)[] = [];

  constructor(world: World, clusters: readonly string[]) {
    this.#world = world;
    for (const cluster of clusters) this.stores.set(cluster, new HubStore(cluster));
  }

  /** Sends a request; `answered` hears of it when the answer came back. Whether the asker still lives, the server does not know. */
  request<T>(line: ApiLine, execute: () => T, answered: (result: T) => void): void {
    const world = this.#world;
    const pass = (run: () => void): void => {
      if (line.cut) world.after(CUT_POLL_MS, () => pass(run));
      else run();
    };
    world.after(world.between(1, 12), () =>
      pass(() => {
        const result = execute();
        world.after(world.between(1, 12), () => pass(() => answered(result)));
      }),
    );
  }

  /** Joins, or renews when `identity` is a member. False: another process has the name. */
  renew(replica: string, identity: string, joins: boolean): boolean {
    if (!joins && this.#members.get(replica)?.identity !== identity) return false;
    this.#members.set(replica, { identity, renewedMs: this.#world.nowMs });
    return true;
  }

  /** Replicas that renewed lately. */
  alive(): readonly { readonly replica: string; readonly identity: string }[] {
    return [...this.#members]
      .filter(([, { renewedMs }]) => this.#world.nowMs - renewedMs < MEMBERSHIP_TIMES.durationMs)
      .map(([replica, { identity }]) => ({ replica, identity }));
  }

  ownership(cluster: string): OwnershipLease | undefined {
    return this.#ownerships.get(cluster);
  }

  /** Writes an ownership Lease that is still as it was read. */
  own(cluster: string, version: number | undefined, identity: string, term: bigint): boolean {
    if (this.#ownerships.get(cluster)?.version !== version) return false;
    const key = `${cluster}/${term}`;
    must(!this.#terms.has(key), `${cluster}: term ${term} is given to ${identity} after ${this.#terms.get(key)}`);
    this.#terms.set(key, identity);
    const lease = { holder: identity, term, version: (version ?? 0) + 1 };
    this.#ownerships.set(cluster, lease);
    for (const watcher of this.#watchers) watcher(cluster, lease);
    return true;
  }

  /** The Lease is gone, as after a restore from an old backup: only the agent knows which terms there were. */
  loseOwnership(cluster: string): void {
    this.#ownerships.delete(cluster);
    for (const key of this.#terms.keys()) if (key.startsWith(`${cluster}/`)) this.#terms.delete(key);
  }

  /** Calls `watcher` after an ownership moved, as a watch would: the caller delays it. */
  watch(watcher: (cluster: string, lease: OwnershipLease) => void): void {
    this.#watchers.push(watcher);
  }

  version(object: string): number {
    return this.#versions.get(object) ?? 0;
  }

  /** Writes an object that is still as it was read; undefined when it is not. */
  write<T>(object: string, version: number, apply: () => T): T | undefined {
    if (this.version(object) !== version) return undefined;
    this.#versions.set(object, version + 1);
    return apply();
  }
}
