import type { Clock } from "./clock.ts";

/** Lets everything that waits in the event loop have its turn first: between the slices of long work. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Does work that yields between its slices, each slice in a turn of its own.
 *
 * @throws the signal's reason between two slices once it has aborted: nobody waits for the rest
 */
export async function inTurns<T>(steps: Generator<void, T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await nextTurn();
    signal?.throwIfAborted();
  }
}

/**
 * Does work that yields often, for at most `sliceMs` in a turn. One step is as long as it is: yield after little.
 *
 * @throws the signal's reason between two slices once it has aborted
 */
export async function inSlices<T>(
  steps: Generator<void, T>,
  sliceMs: number,
  clock: Clock,
  signal?: AbortSignal,
): Promise<T> {
  let began = clock.monotonic();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (clock.monotonic() - began < sliceMs) continue;
    await nextTurn();
    signal?.throwIfAborted();
    began = clock.monotonic();
  }
}

/** Does all of the work at once, where nobody waits meanwhile. */
export function atOnce<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
