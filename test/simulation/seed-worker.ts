import { parentPort, workerData } from "node:worker_threads";
import { permissionReport } from "./permissions/permission-report.ts";
import { simulatePermissions } from "./permissions/simulate-permissions.ts";
import { seedReport } from "./seed-report.ts";
import { type RunOptions, simulate } from "./simulation.ts";

/** What a worker is started with. */
export interface SeedWork {
  /** Seeds `first`, `first + step`, … below `end`. */
  readonly first: number;
  readonly end: number;
  readonly step: number;
  readonly options: RunOptions;
  /** With the permission plane. */
  readonly permissions: boolean;
  /** Number of this thread, and where it writes the seed it is at. */
  readonly thread: number;
  readonly at: Int32Array;
}

/** What it posts every now and then: everything since the last time. */
export interface SeedProgress {
  readonly seeds: number;
  readonly events: number;
  readonly slowestMs: number;
  readonly coverage: readonly (readonly [string, number])[];
  /** Report of a seed that failed. */
  readonly report: string | undefined;
}

const { first, end, step, options, permissions, thread, at } = workerData as SeedWork;
/** Seeds between two posts. */
const POST_EVERY = 25;

let [seeds, events, slowestMs] = [0, 0, 0];
let coverage = new Map<string, number>();

function post(report: string | undefined): void {
  const progress: SeedProgress = { seeds, events, slowestMs, coverage: [...coverage], report };
  parentPort?.postMessage(progress);
  [seeds, events, slowestMs] = [0, 0, 0];
  coverage = new Map();
}

for (let seed = first; seed < end; seed += step) {
  Atomics.store(at, thread, seed);
  const result = permissions ? await simulatePermissions(seed, options) : simulate(seed, options);
  seeds++;
  events += result.events;
  slowestMs = Math.max(slowestMs, result.convergedMs);
  for (const [name, times] of result.coverage) coverage.set(name, (coverage.get(name) ?? 0) + times);
  if (result.failure !== undefined) {
    Atomics.store(at, thread, 0);
    post(permissions ? await permissionReport(result, options) : seedReport(result, options));
  } else if (seeds >= POST_EVERY) post(undefined);
}
post(undefined);
