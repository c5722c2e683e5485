import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { type Random, jittered } from "../../../base/random.ts";
import type { Hub } from "../start-hub.ts";
import { planMoves } from "./plan-moves.ts";
import { rendezvousOrder } from "./rendezvous-order.ts";
import type { ReplicaDirectory } from "./replica-directory.ts";

/** How fast the load evens out. */
export interface BalanceTimes {
  /** Pause between two plans, milliseconds: longer than counts need to travel. */
  readonly roundMs: number;
  /** The replicas must be the same for so long before anybody is moved, milliseconds: a restart is no reason to move. */
  readonly settleMs: number;
  /** An agent stays at least so long where it is, milliseconds. */
  readonly stayMs: number;
  /** Agents a replica may always move per minute; more when that is a small part of its own. */
  readonly movesPerMinute: number;
}

/** In production. */
export const BALANCE_TIMES: BalanceTimes = { roundMs: 10_000, settleMs: 30_000, stayMs: 60_000, movesPerMinute: 30 };

/** Part of its agents that a replica may move per minute when that is more than `movesPerMinute`. */
const MOVED_SHARE_PER_MINUTE = 0.05;
const MINUTE_MS = 60_000;

/** Options of {@link balanceLoad}. */
export interface BalanceOptions {
  readonly hub: Hub;
  readonly replicas: ReplicaDirectory;
  readonly times?: BalanceTimes;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Sends agents to replicas that carry less than their share, a bounded number per minute. Resolves when the signal has aborted. */
export async function balanceLoad(options: BalanceOptions): Promise<void> {
  const { hub, replicas, clock, random, log, signal, times = BALANCE_TIMES } = options;
  /** Since when an agent has been here, by its session: no wall clock decides. */
  let stays = new Map<string, { readonly sessionId: string; readonly sinceMs: number }>();
  let known = "";
  let changedMs = clock.monotonic();
  while (!signal.aborted) {
    try {
      await clock.sleep(jittered(random, times.roundMs), signal);
    } catch {
      return; // aborted while waiting: that is the way to stop
    }
    const peers = replicas.peers().filter(({ endpoint }) => endpoint !== "");
    const names = peers.map(({ identity }) => identity).join(" ");
    if (names !== known) {
      known = names;
      changedMs = clock.monotonic();
    }
    const agents = hub.view.agents().filter(({ connected }) => connected);
    const nowMs = clock.monotonic();
    stays = new Map(
      agents.map(({ cluster, sessionId }) => {
        const before = stays.get(cluster);
        return [cluster, before?.sessionId === sessionId ? before : { sessionId, sinceMs: nowMs }];
      }),
    );
    if (peers.length === 0 || clock.monotonic() - changedMs < times.settleMs) continue;
    const own = { replica: hub.view.replica, endpoint: "", sessions: agents.length };
    const perMinute = Math.max(times.movesPerMinute, agents.length * MOVED_SHARE_PER_MINUTE);
    const movable = new Set(
      [...stays].filter(([, { sinceMs }]) => nowMs - sinceMs >= times.stayMs).map(([cluster]) => cluster),
    );
    const everybody = [own, ...peers];
    for (const { to, count } of planMoves(own, peers, Math.max(1, (perMinute * times.roundMs) / MINUTE_MS))) {
      // First those whose place is there by the common order: they would not move again.
      const better = (cluster: string): number =>
        rendezvousOrder(cluster, everybody)[0]?.replica === to.replica ? 0 : 1;
      const chosen = [...movable]
        .map((cluster) => ({ cluster, rank: better(cluster) }))
        .sort((a, b) => a.rank - b.rank)
        .slice(0, count);
      for (const { cluster } of chosen) {
        movable.delete(cluster);
        hub.move(cluster, to.endpoint);
      }
      log.info({ to: to.replica, agents: chosen.length, own: own.sessions, theirs: to.sessions }, "agents moved");
    }
  }
}
