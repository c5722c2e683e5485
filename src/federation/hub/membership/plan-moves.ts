/** Load of one replica. */
export interface ReplicaLoad {
  readonly replica: string;
  /** Where agents reach it, `host:port`. */
  readonly endpoint: string;
  /** Streams it carries. */
  readonly sessions: number;
}

/** Agents to send from this replica to another. */
export interface Moves {
  readonly to: ReplicaLoad;
  readonly count: number;
}

/** A replica is left alone up to this share above the average… */
export const TOLERANCE = 0.1;
/** …and this many sessions more: the hysteresis that keeps small fleets and late counts from moving to and fro. */
export const SLACK_SESSIONS = 2;

/**
 * How many of its agents a replica sends where, so that the load evens out. Each replica plans for itself from the same counts: one above
 * tolerance gives away what it has over the average, to those below it, in proportion to what they lack, and no more than its own share
 * when several give at once. Pure.
 *
 * @param maxMoves most agents to send now
 */
export function planMoves(own: ReplicaLoad, others: readonly ReplicaLoad[], maxMoves: number): readonly Moves[] {
  const all = [own, ...others];
  const average = all.reduce((sum, { sessions }) => sum + sessions, 0) / all.length;
  const allowed = average * (1 + TOLERANCE) + SLACK_SESSIONS;
  const excessOf = ({ sessions }: ReplicaLoad): number => (sessions > allowed ? sessions - Math.ceil(average) : 0);
  const excess = excessOf(own);
  if (excess === 0) return [];
  const share = excess / all.reduce((sum, load) => sum + excessOf(load), 0);
  const lacking = others
    .map((to) => ({ to, lacks: Math.floor(average) - to.sessions }))
    .filter(({ lacks }) => lacks > 0)
    .sort((a, b) => b.lacks - a.lacks || (a.to.replica < b.to.replica ? -1 : 1));
  let left = Math.min(excess, Math.max(0, Math.floor(maxMoves)));
  const moves: Moves[] = [];
  for (const { to, lacks } of lacking) {
    // The neediest gets at least one, or several givers could all round down to nothing for ever.
    const count = Math.min(left, Math.max(moves.length === 0 ? 1 : 0, Math.floor(lacks * share)));
    if (count > 0) moves.push({ to, count });
    left -= count;
  }
  return moves;
}
