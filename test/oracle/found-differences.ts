import type { EdgeCase } from "./edge-groups.ts";

/**
 * Every difference that was ever found between two deciders, as a case that stays: put to the index, the naive scan and, where one is
 * present, a real API server. None was found so far in the decisions themselves; the list is what a new one goes into.
 */
export const FOUND_DIFFERENCES: readonly EdgeCase[] = [];
