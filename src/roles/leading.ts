import { aborted } from "../base/aborted.ts";
import { errorMessage } from "../base/errors.ts";
import {
  type LeaderElection,
  type LeaderElectionOptions,
  NotLeading,
  startLeaderElection,
} from "../controller/lease.ts";

/** Pause before leader-only work that failed is started again, milliseconds. */
const RESTART_MS = 1_000;

/** Work that only the leader does. */
export interface Leading {
  readonly election: LeaderElection;
  /** Resolves when the signal has aborted, the work has ended and the lease is released. */
  readonly closed: Promise<void>;
}

/**
 * Takes part in an election and runs `work` whenever this process leads: starts it after the lease was won, stops it as soon as the
 * lease is lost, and begins again when it is won again. `work` resolves, when it has started, with the end of what it started.
 */
export function startLeading(
  options: Omit<LeaderElectionOptions, "onChange">,
  work: (election: LeaderElection, signal: AbortSignal) => Promise<{ readonly ended: Promise<unknown> }>,
): Leading {
  const { clock, log, signal } = options;
  // The lease outlives the work: it is released only after everything that needs it has ended.
  const release = new AbortController();
  let term = new AbortController();
  const election = startLeaderElection({
    ...options,
    signal: release.signal,
    onChange: (leading) => {
      if (!leading) term.abort(new Error("leadership lost"));
    },
  });
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await Promise.race([election.lead(), aborted(signal)]);
      if (signal.aborted) return;
      term = new AbortController();
      const both = AbortSignal.any([signal, term.signal]);
      try {
        log.info({ term: election.term }, "leading");
        const { ended } = await work(election, both);
        await aborted(both);
        await ended;
      } catch (error) {
        term.abort(error);
        if (signal.aborted) return;
        log.error({ error: errorMessage(error) }, "leader-only work failed; starting it again");
        await Promise.race([clock.sleep(RESTART_MS), aborted(signal)]);
      }
    }
  };
  const close = async (): Promise<void> => {
    try {
      await run();
    } finally {
      release.abort(signal.reason);
      await election.closed;
    }
  };
  return { election, closed: close() };
}

/** True while this process leads and its lease is fresh by its own clock: one that was stopped and goes on does not take itself for the leader. */
export function isFenced(election: LeaderElection): boolean {
  try {
    election.assertFenced();
    return true;
  } catch (error) {
    if (error instanceof NotLeading) return false;
    throw error;
  }
}
