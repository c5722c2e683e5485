import { Lease, type LeaseObject } from "../../../api/builtin.ts";
import { NAMESPACES, assertClusterName, isClusterName } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Metrics } from "../../../base/metrics.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import { microTime } from "../../../controller/lease.ts";
import { retryConflicts } from "../mirror/retry-conflicts.ts";
import { OwnershipLost, type SessionOwnership } from "../ports.ts";
import { nextOwnership } from "./next-ownership.ts";
import { SharedReads } from "./shared-reads.ts";

const PREFIX = "federation-";
const MANAGER = "conductor-hub";
/** `leaseTransitions` is an int32: a claim beyond it is not a term any hub ever gave. */
const MAX_TERM = 2n ** 31n - 1n;

/** Whose ownerships these are: see ReplicaMembership. */
export interface OwnerIdentity {
  /** Another one after every start and every loss of membership: frames of what went before are refused by their term. */
  readonly identity: string;
  /** True while this replica may own anything. */
  valid(): boolean;
}

/** Options of {@link startSessionOwnership}. */
export interface SessionOwnershipOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  readonly owner: OwnerIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** {@link SessionOwnership} over one Lease per tenant. */
export interface RunningSessionOwnership extends SessionOwnership {
  /** Who owns a tenant's session, as far as the watch has seen; undefined while nobody ever did. */
  owner(cluster: string): { readonly holder: string; readonly term: bigint } | undefined;
  /** Calls `listener` when a session that this process owned has another owner now. Returns the way to stop. */
  onLost(listener: (cluster: string, newOwner: string) => void): () => void;
  /** Resolves when the watch is closed. */
  readonly closed: Promise<void>;
}

/** Name of the Lease that says who owns a tenant's session. */
export function ownershipLeaseName(cluster: string): string {
  return PREFIX + assertClusterName(cluster);
}

/** The tenant whose ownership a Lease of this name says; undefined for other Leases. */
export function ownedCluster(lease: string): string | undefined {
  const id = lease.startsWith(PREFIX) ? lease.slice(PREFIX.length) : "";
  return isClusterName(id) ? id : undefined;
}

/**
 * Ownership of sessions: Lease `federation-{cluster}` in `ont-system`, its `leaseTransitions` the fencing term. The Lease is written
 * only when ownership moves and never renewed: an ownership is valid while its holder's membership is (architecture §6.4).
 *
 * @throws the signal's reason when stopped before the first list
 */
export async function startSessionOwnership(options: SessionOwnershipOptions): Promise<RunningSessionOwnership> {
  const ownership = new LeasedOwnership(options);
  await ownership.synced;
  return ownership;
}

interface Owned {
  readonly identity: string;
  readonly term: bigint;
}

class LeasedOwnership implements RunningSessionOwnership {
  readonly synced: Promise<void>;
  readonly closed: Promise<void>;
  readonly #options: SessionOwnershipOptions;
  readonly #leases: Informer<LeaseObject>;
  readonly #owned = new Map<string, Owned>();
  readonly #wentBack = new Set<string>();
  readonly #listeners = new Set<(cluster: string, newOwner: string) => void>();
  readonly #reads: SharedReads<LeaseObject | undefined>;

  constructor(options: SessionOwnershipOptions) {
    const { cluster, clock, random, log, signal } = options;
    this.#options = options;
    this.#reads = new SharedReads((id) => this.#read(id));
    this.#leases = startInformer({ cluster, type: Lease, namespace: NAMESPACES.ont, clock, random, log, signal });
    this.#leases.subscribe(({ type, object }) => {
      if (type !== "DELETED") this.#seen(object);
    });
    this.synced = this.#leases.synced;
    this.closed = this.#leases.closed;
  }

  async acquire(cluster: string, above = 0n): Promise<bigint> {
    const { owner } = this.#options;
    if (above >= MAX_TERM)
      throw new OwnershipLost(`${cluster}: the agent claims term ${above}, which no hub ever gave`);
    const { identity } = owner;
    this.#assertValid(cluster);
    const term = await this.#acquire(cluster, identity, above);
    this.#assertValid(cluster);
    if (owner.identity !== identity) throw new OwnershipLost(`${cluster}: membership was lost while ownership moved`);
    this.#owned.set(cluster, { identity, term });
    return term;
  }

  async hold(cluster: string, term: bigint): Promise<void> {
    this.#assertValid(cluster);
    const owned = this.#owned.get(cluster);
    if (owned === undefined || owned.term !== term || owned.identity !== this.#options.owner.identity)
      throw new OwnershipLost(`${cluster}: this replica does not own term ${term} any more`);
    const lease = await this.#reads.read(cluster);
    this.#assertValid(cluster);
    if (lease !== undefined && holderOf(lease) === owned.identity && termOf(lease) === term) return;
    if (lease !== undefined) this.#seen(lease);
    throw new OwnershipLost(`${cluster}: owned by ${(lease && holderOf(lease)) ?? "nobody"} now`);
  }

  wentBack(cluster: string): boolean {
    return this.#wentBack.has(cluster);
  }

  owner(cluster: string): { readonly holder: string; readonly term: bigint } | undefined {
    const lease = this.#leases.get({ namespace: NAMESPACES.ont, name: ownershipLeaseName(cluster) });
    const holder = lease === undefined ? undefined : holderOf(lease);
    return lease === undefined || holder === undefined ? undefined : { holder, term: termOf(lease) };
  }

  onLost(listener: (cluster: string, newOwner: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #assertValid(cluster: string): void {
    if (!this.#options.owner.valid())
      throw new OwnershipLost(`${cluster}: this replica is no member of the hub at the moment`);
  }

  /** A word about who owns a session: newer owner supersedes. */
  #seen(lease: LeaseObject): void {
    const { name } = lease.metadata;
    if (!name.startsWith(PREFIX)) return;
    const id = name.slice(PREFIX.length);
    const owned = this.#owned.get(id);
    const holder = holderOf(lease) ?? "";
    if (owned === undefined || termOf(lease) <= owned.term || holder === owned.identity) return;
    this.#owned.delete(id);
    this.#options.log.info(
      { cluster: id, holder, term: String(termOf(lease)) },
      "another replica owns the session now",
    );
    for (const listener of this.#listeners) listener(id, holder);
  }

  async #acquire(cluster: string, identity: string, above: bigint): Promise<bigint> {
    const { metrics } = this.#options;
    let seen = this.#leases.get({ namespace: NAMESPACES.ont, name: ownershipLeaseName(cluster) });
    // The watch may not have seen yet that another replica took over: own name is believed only from a fresh read.
    if (seen !== undefined && holderOf(seen) === identity) seen = undefined;
    return retryConflicts(this.#options, async () => {
      const lease = seen ?? (await this.#read(cluster));
      seen = undefined;
      const held = lease === undefined ? undefined : { holder: holderOf(lease), term: termOf(lease) };
      const { take, term } = nextOwnership(held, identity, above);
      if (take && (held?.term ?? 0n) < above) this.#wentBack.add(cluster);
      else this.#wentBack.delete(cluster);
      if (!take) return term;
      const written =
        lease === undefined ? await this.#create(cluster, identity, term) : await this.#takeOver(lease, identity, term);
      metrics.count("federation_ownership_moves_total");
      return termOf(written);
    });
  }

  #read(cluster: string): Promise<LeaseObject | undefined> {
    const key = { namespace: NAMESPACES.ont, name: ownershipLeaseName(cluster) };
    return ifPresent(this.#options.cluster.get(Lease, key));
  }

  #create(cluster: string, identity: string, term: bigint): Promise<LeaseObject> {
    return this.#options.cluster.create(
      Lease,
      {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: ownershipLeaseName(cluster), namespace: NAMESPACES.ont },
        spec: {
          holderIdentity: identity,
          acquireTime: microTime(this.#options.clock.now()),
          leaseTransitions: Number(term),
        },
      },
      { fieldManager: MANAGER },
    );
  }

  #takeOver(lease: LeaseObject, identity: string, term: bigint): Promise<LeaseObject> {
    return this.#options.cluster.update(
      Lease,
      {
        ...lease,
        spec: {
          ...lease.spec,
          holderIdentity: identity,
          acquireTime: microTime(this.#options.clock.now()),
          leaseTransitions: Number(term),
        },
      },
      { fieldManager: MANAGER },
    );
  }
}

function holderOf(lease: LeaseObject): string | undefined {
  return lease.spec?.holderIdentity;
}

function termOf(lease: LeaseObject): bigint {
  return BigInt(lease.spec?.leaseTransitions ?? 0);
}
