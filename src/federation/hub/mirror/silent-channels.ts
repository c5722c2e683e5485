import type { Clock } from "../../../base/clock.ts";
import { errorMessage } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { type Random, jittered } from "../../../base/random.ts";

/** Time between two looks, milliseconds, ±10 %: at two in a row an agent must be missing, which is more than its longest backoff. */
const LOOK_MS = 45_000;

/** Who carries a tenant's session, by its ownership. */
export interface ChannelOwner {
  /** Name of the replica. */
  readonly holder: string;
  readonly term: bigint;
}

/** Parts of {@link watchSilentChannels}. */
export interface SilentChannelParts {
  /** Name of this replica. */
  readonly replica: string;
  /** Every known tenant. */
  readonly clusters: () => readonly string[];
  /** True while a stream of the tenant ends here. */
  readonly carries: (cluster: string) => boolean;
  readonly owner: (cluster: string) => ChannelOwner | undefined;
  readonly alive: (replica: string) => boolean;
  /** True while this replica speaks for those that are gone. */
  readonly leads: () => boolean;
  /** Writes that the channel of a session is down, unless a later session was recorded since. Durable when it resolves. */
  readonly lost: (cluster: string, term: bigint, detail: string) => Promise<void>;
}

/** Options of {@link watchSilentChannels}. */
export interface SilentChannelOptions extends SilentChannelParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Corrects what a replica that was killed left behind: its agents stand as connected, and one that does not come back would stand so for
 * ever. Each replica answers for its own name, so that a restarted one corrects itself, and the leader for those that are gone. Resolves
 * when the signal has aborted.
 */
export async function watchSilentChannels(options: SilentChannelOptions): Promise<void> {
  const { clock, random, log, signal, lost } = options;
  const told = new Map<string, bigint>();
  let before: ReadonlyMap<string, SilentChannel> = new Map();
  while (!signal.aborted) {
    await clock.sleep(jittered(random, LOOK_MS), signal).catch(() => undefined); // aborted while waiting: that is the way to stop
    if (signal.aborted) return;
    const silent = silentChannels(options);
    for (const cluster of told.keys()) if (!silent.has(cluster)) told.delete(cluster);
    for (const [cluster, { term, detail }] of silent) {
      if (before.get(cluster)?.term !== term || told.get(cluster) === term) continue;
      try {
        await lost(cluster, term, detail);
        told.set(cluster, term);
      } catch (error) {
        log.warn(
          { cluster, error: errorMessage(error) },
          "a channel that is down could not be said to be; it is tried again",
        );
      }
    }
    before = silent;
  }
}

/** A session that nobody carries. */
export interface SilentChannel {
  readonly term: bigint;
  /** For people. */
  readonly detail: string;
}

/** Sessions that nobody carries and for which this replica speaks, by cluster. Pure. */
export function silentChannels(parts: SilentChannelParts): ReadonlyMap<string, SilentChannel> {
  const silent = new Map<string, SilentChannel>();
  for (const cluster of parts.clusters()) {
    const owner = parts.owner(cluster);
    if (owner === undefined || parts.carries(cluster)) continue;
    const { holder, term } = owner;
    if (holder === parts.replica)
      silent.set(cluster, { term, detail: `not back since replica ${holder} lost its stream or was restarted` });
    else if (parts.leads() && !parts.alive(holder))
      silent.set(cluster, { term, detail: `not back since replica ${holder} is gone` });
  }
  return silent;
}
