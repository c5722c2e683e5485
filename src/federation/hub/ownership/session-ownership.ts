import { Lease, type LeaseObject } from "../../../api/builtin.ts";
import { NAMESPACES, assertClusterName } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { Random } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../../controller/cache/informer.ts";
import { retryConflicts } from "../mirror/retry-conflicts.ts";
import { ifPresent } from "../mirror/storing.ts";
import type { SessionOwnership } from "../ports.ts";

const PREFIX = "federation-";
const MANAGER = "conductor-hub";

/** Options of {@link startSessionOwnership}. */
export interface SessionOwnershipOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  /**
   * This hub process, new at each start: a restarted replica is another owner, and frames of the dead one are refused by their term.
   */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called when a session that this process owned has another owner now: its stream is destroyed (architecture §6.4). */
  readonly onLost?: (cluster: string) => void;
}

/** {@link SessionOwnership} over one Lease per tenant. */
export interface RunningSessionOwnership extends SessionOwnership {
  /** Who owns a tenant's session, as far as the watch has seen; undefined while nobody ever did. */
  owner(cluster: string): { readonly holder: string; readonly term: bigint } | undefined;
  /** Resolves when the watch is closed. */
  readonly closed: Promise<void>;
}

/** Name of the Lease that says who owns a tenant's session. */
export function ownershipLeaseName(cluster: string): string {
  return PREFIX + assertClusterName(cluster);
}

/**
 * Ownership of sessions: Lease `federation-{cluster}` in `ont-system`, its `leaseTransitions` the fencing term. The Lease is written
 * only when ownership moves and never renewed (architecture §6.4).
 *
 * @throws the signal's reason when stopped before the first list
 */
export async function startSessionOwnership(options: SessionOwnershipOptions): Promise<RunningSessionOwnership> {
  const { cluster, clock, random, log, signal } = options;
  const leases = startInformer({ cluster, type: Lease, namespace: NAMESPACES.ont, clock, random, log, signal });
  const owned = new Map<string, bigint>();
  leases.subscribe((event) => {
    const name = event.object.metadata.name;
    if (!name.startsWith(PREFIX) || event.type === "DELETED") return;
    const id = name.slice(PREFIX.length);
    const term = owned.get(id);
    if (term === undefined || termOf(event.object) <= term || holderOf(event.object) === options.identity) return;
    owned.delete(id);
    log.warn({ cluster: id, holder: holderOf(event.object) }, "another replica owns the session now");
    options.onLost?.(id);
  });
  await leases.synced;
  return {
    acquire: async (id) => {
      const term = await acquire(options, leases, id);
      owned.set(id, term);
      return term;
    },
    owner: (id) => {
      const lease = leases.get({ namespace: NAMESPACES.ont, name: ownershipLeaseName(id) });
      const holder = lease === undefined ? undefined : holderOf(lease);
      return lease === undefined || holder === undefined ? undefined : { holder, term: termOf(lease) };
    },
    closed: leases.closed,
  };
}

function acquire(options: SessionOwnershipOptions, leases: Informer<LeaseObject>, cluster: string): Promise<bigint> {
  const key = { namespace: NAMESPACES.ont, name: ownershipLeaseName(cluster) };
  let seen = leases.get(key);
  // The watch may not have seen yet that another replica took over: own name is believed only from a fresh read.
  if (seen !== undefined && holderOf(seen) === options.identity) seen = undefined;
  return retryConflicts(options, async () => {
    const lease = seen ?? (await read(options, key));
    seen = undefined;
    if (lease === undefined) return termOf(await createLease(options, key.name));
    return termOf(holderOf(lease) === options.identity ? lease : await takeOver(options, lease));
  });
}

function read(
  options: SessionOwnershipOptions,
  key: { readonly namespace: string; readonly name: string },
): Promise<LeaseObject | undefined> {
  return ifPresent(options.cluster.get(Lease, key));
}

function createLease(options: SessionOwnershipOptions, name: string): Promise<LeaseObject> {
  return options.cluster.create(
    Lease,
    {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace: NAMESPACES.ont },
      spec: { holderIdentity: options.identity, acquireTime: microTime(options.clock.now()), leaseTransitions: 1 },
    },
    { fieldManager: MANAGER },
  );
}

function takeOver(options: SessionOwnershipOptions, lease: LeaseObject): Promise<LeaseObject> {
  return options.cluster.update(
    Lease,
    {
      ...lease,
      spec: {
        ...lease.spec,
        holderIdentity: options.identity,
        acquireTime: microTime(options.clock.now()),
        leaseTransitions: Number(termOf(lease)) + 1,
      },
    },
    { fieldManager: MANAGER },
  );
}

function holderOf(lease: LeaseObject): string | undefined {
  return lease.spec?.holderIdentity;
}

function termOf(lease: LeaseObject): bigint {
  return BigInt(lease.spec?.leaseTransitions ?? 0);
}

/** `metav1.MicroTime`: exactly six fractional digits. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
