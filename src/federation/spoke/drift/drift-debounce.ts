/** What a check, or several, say about a pack. */
export type DriftStatus = "InSync" | "Drifted" | "Unknown";

/** How sure we are. */
export interface Debounce {
  /** What was said last; undefined before anything is sure. */
  readonly settled?: DriftStatus;
  /** What the newest checks say. */
  readonly seen?: DriftStatus;
  /** How many checks in a row say so. */
  readonly consecutive: number;
}

/** Checks in a row that must agree before anything is said (dispatcher §10.1). */
export const CHECKS_TO_SETTLE = 2;

/** Before the first check. */
export const UNSETTLED: Debounce = { consecutive: 0 };

/**
 * Takes in one check. Pure.
 *
 * @param apart false when the check came so soon after the one before that it says nothing new: a burst of events is one check
 */
export function debounce(
  state: Debounce,
  seen: DriftStatus,
  apart = true,
): { readonly state: Debounce; readonly transition: boolean } {
  if (state.seen === seen && !apart) return { state, transition: false };
  const consecutive = state.seen === seen ? state.consecutive + 1 : 1;
  const sure = consecutive >= CHECKS_TO_SETTLE;
  const settled = sure ? seen : state.settled;
  return {
    state: { seen, consecutive, ...(settled === undefined ? {} : { settled }) },
    transition: sure && seen !== state.settled,
  };
}
