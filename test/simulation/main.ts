import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { permissionReport } from "./permissions/permission-report.ts";
import { simulatePermissions } from "./permissions/simulate-permissions.ts";
import { runSeeds, type SeedTotals } from "./run-seeds.ts";
import type { ScheduleSize } from "./schedule.ts";
import { play } from "./scenarios/scenario.ts";
import { SCENARIOS } from "./scenarios/scenarios.ts";
import { seedReport } from "./seed-report.ts";
import { simulate } from "./simulation.ts";

const USAGE = `npm run simulate -- [--seeds N] [--seed K] [--threads T] [--agents A --actions M] [--scenarios] [--trace]

  --seeds N     how many seeds, from --seed on                 (1000)
  --seed K      the first one                                  (1)
  --threads T   threads that share the work                    (all cores)
  --agents A    agents in every run, instead of 1 to 4 by the seed
  --actions M   actions in every run, instead of a number by the seed
  --replicas R  hub replicas                                   (1)
  --scenarios   plays the directed scenarios and nothing else
  --permissions with the permission plane: signers, signed snapshots and what tenants answer from them
  --trace       prints the transcript of the seed --seed and nothing else

A seed that fails prints the smallest schedule that still fails, and its transcript. The same seed always does the same.`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    threads: { type: "string", default: String(availableParallelism()) },
    agents: { type: "string" },
    actions: { type: "string" },
    replicas: { type: "string", default: "1" },
    scenarios: { type: "boolean", default: false },
    permissions: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const size: ScheduleSize | undefined =
  values.agents === undefined && values.actions === undefined
    ? undefined
    : { agents: Number(values.agents ?? "4"), actions: Number(values.actions ?? "36"), spanMs: 120_000 };
const options = { replicas: Number(values.replicas), ...(size === undefined ? {} : { size }) };
const first = Number(values.seed);
/** Least time between two lines of progress, milliseconds. */
const PROGRESS_MS = 10_000;

if (values.help) console.log(USAGE);
else if (values.scenarios) playAll();
else if (values.trace) await trace();
else await run(Number(values.seeds));

function playAll(): void {
  for (const scenario of SCENARIOS) {
    try {
      play(scenario);
      console.log(`holds: ${scenario.name}`);
    } catch (error) {
      console.log(`\nFAILS: ${scenario.name}\n${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  }
}

async function trace(): Promise<void> {
  const traced = { ...options, traced: true };
  const result = values.permissions ? await simulatePermissions(first, traced) : simulate(first, traced);
  console.log(result.transcript);
  if (result.failure === undefined) console.log(`seed ${first} holds`);
  else console.log(values.permissions ? await permissionReport(result, options) : seedReport(result, options));
  process.exitCode = result.failure === undefined ? 0 : 1;
}

async function run(count: number): Promise<void> {
  const startedMs = performance.now();
  let saidMs = startedMs;
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  const onProgress = ({ seeds, reports }: SeedTotals): void => {
    if (performance.now() - saidMs < PROGRESS_MS) return;
    saidMs = performance.now();
    const left = ((count - seeds) / seeds) * seconds();
    console.log(`${seeds} of ${count} seeds, ${reports.length} failed, about ${Math.ceil(left)} s to go`);
  };
  const totals = await runSeeds({
    first,
    count,
    threads: Number(values.threads),
    options,
    permissions: values.permissions,
    onProgress,
  });
  for (const report of totals.reports) console.log(`\n${report}`);
  console.log(
    `${totals.seeds} seeds from ${first}: ${totals.reports.length} failed; ${totals.events} events in ` +
      `${seconds().toFixed(1)} s; slowest convergence ${(totals.slowestMs / 1000).toFixed(0)} s virtual`,
  );
  const counts = [...totals.coverage].toSorted(([a], [b]) => (a < b ? -1 : 1));
  console.log(`met: ${counts.map(([name, times]) => `${name} ${times}`).join(", ")}`);
  process.exitCode = totals.reports.length === 0 ? 0 : 1;
}
