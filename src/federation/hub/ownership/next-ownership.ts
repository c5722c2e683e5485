/** What an ownership Lease says. */
export interface HeldOwnership {
  readonly holder: string | undefined;
  readonly term: bigint;
}

/** The term under which `identity` may own a session, and whether the Lease must be written for it. */
export interface NextOwnership {
  readonly take: boolean;
  readonly term: bigint;
}

/**
 * Newest owner wins: whoever the agent dialled takes the session under a higher term, unless it owns it already. A store that was restored
 * from a backup may know less than the agent does: no term at or below `above`, the highest the agent has seen, is given to another owner.
 * Pure.
 */
export function nextOwnership(held: HeldOwnership | undefined, identity: string, above: bigint): NextOwnership {
  if (held !== undefined && held.holder === identity && held.term >= above) return { take: false, term: held.term };
  const before = held?.term ?? 0n;
  return { take: true, term: (before > above ? before : above) + 1n };
}
