import { Worker } from "node:worker_threads";
import type { SeedProgress, SeedWork } from "./seed-worker.ts";
import type { RunOptions } from "./simulation.ts";

/** Failing seeds after which a run stops: more say the same. */
const MAX_REPORTS = 3;

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
  await Promise.all(
    Array.from({ length: threads }, (_, at) => {
      const workerData: SeedWork = {
        first: run.first + at,
        end: run.first + run.count,
        step: threads,
        options: run.options ?? {},
        permissions: run.permissions ?? false,
      };
      const worker = new Worker(new URL("./seed-worker.ts", import.meta.url), { workerData });
      workers.push(worker);
      return new Promise<void>((resolve, reject) => {
        worker.on("message", take);
        worker.on("error", reject);
        worker.on("exit", () => resolve());
      });
    }),
  );
  return totals;
}
