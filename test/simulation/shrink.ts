import type { Action } from "./schedule.ts";
import { type RunOptions, simulate } from "./simulation.ts";

/** Most passes over a schedule; every pass leaves something out or halves the chunk. */
const MAX_PASSES = 64;

/** Leaves out actions, halves first and then one by one, as long as the seed still fails. */
export function shrink(seed: number, options: RunOptions, schedule: readonly Action[]): readonly Action[] {
  let smallest = schedule;
  let chunk = Math.ceil(smallest.length / 2);
  for (let pass = 0; pass < MAX_PASSES && chunk >= 1; pass++) {
    const shorter = withoutOneChunk(seed, options, smallest, chunk);
    if (shorter === undefined) chunk = Math.floor(chunk / 2);
    else smallest = shorter;
  }
  return smallest;
}

/** The schedule without the chunks that it fails without too; undefined when it needs all of them. */
function withoutOneChunk(
  seed: number,
  options: RunOptions,
  schedule: readonly Action[],
  chunk: number,
): readonly Action[] | undefined {
  let smallest: readonly Action[] | undefined = undefined;
  let at = 0;
  while (at < (smallest ?? schedule).length) {
    const from: readonly Action[] = smallest ?? schedule;
    const candidate = [...from.slice(0, at), ...from.slice(at + chunk)];
    if (simulate(seed, { ...options, schedule: candidate }).failure === undefined) at += chunk;
    else smallest = candidate;
  }
  return smallest;
}
