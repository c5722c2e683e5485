import type { Clock } from "../../base/clock.ts";

/** How long changes are gathered before they are sent, milliseconds (lessons §5.6). */
export const COALESCE_MS = 100;

/**
 * Changed keys, gathered: first an empty set (the caller sends everything), then one set per burst, until `signal` aborts. A slow
 * reader gathers more keys per set, never more sets: what waits is bounded by the number of keys.
 */
export async function* coalescedChanges(
  subscribe: (listener: (key: string) => void) => () => void,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<ReadonlySet<string>> {
  let changed = new Set<string>();
  let wake = (): void => {};
  const unsubscribe = subscribe((key) => {
    changed.add(key);
    wake();
  });
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    yield new Set();
    while (!signal.aborted) {
      if (changed.size === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      if (signal.aborted) return;
      await clock.sleep(COALESCE_MS, signal);
      const ready = changed;
      changed = new Set();
      yield ready;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", onAbort);
  }
}
