import { Lease, type LeaseObject } from "../../../api/builtin.ts";
import { TalosCluster } from "../../../api/kinds/talos-cluster.ts";
import { NAMESPACES, tenantNamespace } from "../../../api/names.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { type Random, jittered } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { ifPresent } from "../../../cluster/if-present.ts";
import type { TenantDirectory } from "../ports.ts";
import { ownedCluster } from "./session-ownership.ts";

/** Time between two looks, milliseconds, ±10 %: a Lease stays at least so long after its tenant was deleted. */
const INTERVAL_MS = 600_000;

/** What {@link sweepOwnerships} works with. */
export interface OwnershipSweepParts {
  /** The management cluster. */
  readonly cluster: Pick<Cluster, "get" | "list" | "delete">;
  readonly directory: Pick<TenantDirectory, "check">;
  /** Throws when this process does not lead any more. */
  readonly assertFenced: () => void;
  readonly log: Log;
}

/** Options of {@link startOwnershipSweep}. */
export interface OwnershipSweepOptions extends OwnershipSweepParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/**
 * Removes the ownership Leases of tenants that are gone, by the leader. `closed` resolves after the signal has aborted.
 *
 * Nothing is lost with a Lease: who owned the session finds no Lease and may write nothing any more, and a tenant of the same name that
 * comes later gets terms above what its agent has seen.
 */
export function startOwnershipSweep(options: OwnershipSweepOptions): { readonly closed: Promise<void> } {
  const { clock, random, log, signal } = options;
  const run = async (): Promise<void> => {
    let gone: ReadonlySet<string> = new Set();
    while (!signal.aborted) {
      try {
        gone = await sweepOwnerships(options, gone);
      } catch (error) {
        log.warn({ err: error }, "ownership Leases of deleted tenants could not be removed yet");
      }
      await clock.sleep(jittered(random, INTERVAL_MS), signal).catch(() => undefined);
    }
  };
  return { closed: run() };
}

/**
 * One look. Removes the Leases of tenants that were gone at the look before and still are, by what is read now and not by a watch alone;
 * a Lease that somebody writes meanwhile stays. Returns the tenants that are gone.
 */
export async function sweepOwnerships(
  parts: OwnershipSweepParts,
  goneBefore: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const { cluster, directory, assertFenced, log } = parts;
  const gone = new Set<string>();
  const { items } = await cluster.list(Lease, { namespace: NAMESPACES.ont });
  for (const lease of items) {
    const id = ownedCluster(lease.metadata.name);
    if (id === undefined || !isUnknown(directory, id) || (await exists(cluster, id))) continue;
    gone.add(id);
    if (!goneBefore.has(id)) continue;
    assertFenced();
    if (await removed(cluster, lease)) log.info({ cluster: id }, "ownership Lease of a deleted tenant removed");
  }
  return gone;
}

function isUnknown(directory: OwnershipSweepParts["directory"], id: string): boolean {
  const verdict = directory.check(id, "");
  return !verdict.ok && verdict.reason === "UnknownCluster";
}

/** In both places where a TalosCluster may stand (resources-seam §10). */
async function exists(cluster: Pick<Cluster, "get">, name: string): Promise<boolean> {
  const found = await Promise.all(
    [tenantNamespace(name), NAMESPACES.seam].map((namespace) =>
      ifPresent(cluster.get(TalosCluster, { namespace, name })),
    ),
  );
  return found.some((each) => each !== undefined);
}

async function removed(cluster: Pick<Cluster, "delete">, { metadata }: LeaseObject): Promise<boolean> {
  const { name, uid, resourceVersion } = metadata;
  if (uid === undefined || resourceVersion === undefined) return false;
  try {
    await cluster.delete(Lease, { namespace: NAMESPACES.ont, name }, { preconditions: { uid, resourceVersion } });
    return true;
  } catch (error) {
    if (isStatus(error, "Conflict", "NotFound")) return false;
    throw error;
  }
}
