import { Worker } from "node:worker_threads";
import type { SeedProgress, SeedWork } from "./seed-worker.ts";
import type { RunOptions } from "./simulation.ts";

/** Failing seeds after which a run stops: more say the same. */
const MAX_REPORTS = 3;
/** Real time that one seed may take, milliseconds: a hundred thousand times what it takes. A machine that never returns is ended then. */
const SEED_LIMIT_MS = 300_000;
/** How often it is looked whether a thread goes on, milliseconds. */
const LOOK_MS = 5_000;

/** What many seeds came to. */
export interface SeedTotals {
  seeds: number;
  events: number;
  /** Slowest convergence, virtual milliseconds. */
  slowestMs: number;
  readonly coverage: Map<string, number>;
  /** One report per failing seed, at most {@link MAX_REPORTS}. */
  readonly reports: string[];
}

/** Parts of {@link runSeeds}. */
export interface SeedRun {
  readonly first: number;
  readonly count: number;
  /** Threads that share the work. */
  readonly threads: number;
  readonly options?: RunOptions;
  /** With the permission plane. */
  readonly permissions?: boolean;
  /** Ends the threads early. */
  readonly signal?: AbortSignal;
  /** Called whenever a thread has told how far it is. */
  readonly onProgress?: (totals: SeedTotals) => void;
  /** Real time that one seed may take, milliseconds. */
  readonly seedLimitMs?: number;
}

/** Runs seeds `first` to `first + count - 1` on several threads. */
export async function runSeeds(run: SeedRun): Promise<SeedTotals> {
  const totals: SeedTotals = { seeds: 0, events: 0, slowestMs: 0, coverage: new Map(), reports: [] };
  const workers: Worker[] = [];
  const stopAll = (): void => {
    for (const worker of workers) void worker.terminate();
  };
  run.signal?.addEventListener("abort", stopAll, { once: true });
  const take = (progress: SeedProgress): void => {
    totals.seeds += progress.seeds;
    totals.events += progress.events;
    totals.slowestMs = Math.max(totals.slowestMs, progress.slowestMs);
    for (const [name, times] of progress.coverage) totals.coverage.set(name, (totals.coverage.get(name) ?? 0) + times);
    if (progress.report !== undefined) totals.reports.push(progress.report);
    run.onProgress?.(totals);
    if (totals.reports.length >= MAX_REPORTS) stopAll();
  };
  const threads = Math.max(1, Math.min(run.threads, run.count));
  // The seed that each thread is at; 0 while it reports one, which takes as long as it takes.
  const at = new Int32Array(new SharedArrayBuffer(4 * threads));
  await Promise.all(
    Array.from({ length: threads }, (_, thread) => {
      const workerData: SeedWork = {
        first: run.first + thread,
        end: run.first + run.count,
        step: threads,
        options: run.options ?? {},
        permissions: run.permissions ?? false,
        thread,
        at,
      };
      const worker = new Worker(new URL("./seed-worker.ts", import.meta.url), { workerData });
      workers.push(worker);
      return new Promise<void>((resolve, reject) => {
        const watch = watchThread(at, thread, run.seedLimitMs ?? SEED_LIMIT_MS, (seed, limitMs) => {
          totals.reports.push(`seed ${seed}: a machine does not return: it has not ended within ${limitMs} ms`);
          void worker.terminate();
        });
        worker.on("message", take);
        worker.on("error", reject);
        worker.on("exit", () => {
          clearInterval(watch);
          resolve();
        });
      });
    }),
  );
  return totals;
}

/** No event bound ends a machine that goes round within one step: time does. */
function watchThread(
  at: Int32Array,
  thread: number,
  limitMs: number,
  hangs: (seed: number, limitMs: number) => void,
): NodeJS.Timeout {
  let [seen, sinceMs] = [0, performance.now()];
  const look = (): void => {
    const seed = Atomics.load(at, thread);
    if (seed !== seen || seed === 0) [seen, sinceMs] = [seed, performance.now()];
    if (seed === 0 || performance.now() - sinceMs < limitMs) return;
    clearInterval(watch);
    hangs(seed, limitMs);
  };
  const watch = setInterval(look, Math.min(LOOK_MS, limitMs / 2));
  return watch;
}
