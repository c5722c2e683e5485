import type { Clock } from "../../../src/base/clock.ts";
import type { Process } from "../process.ts";
import type { World } from "../world.ts";

/** What a process knows of time. */
export interface ProcessTime {
  readonly process: Process;
  monotonicMs(): number;
  wallMs(): number;
}

/** The clock of one simulated process: its sleepers die with it and wait while it is stopped. */
export function processClock(world: World, time: ProcessTime): Clock {
  return {
    now: () => time.wallMs(),
    monotonic: () => time.monotonicMs(),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        let over = false;
        const onAbort = (): void => {
          over = true;
          world.stir();
          reject(signal?.reason as Error);
        };
        signal?.addEventListener("abort", onAbort, { once: true });
        time.process.after(ms, () => {
          if (over) return;
          signal?.removeEventListener("abort", onAbort);
          world.stir();
          resolve();
        });
      }),
  };
}
