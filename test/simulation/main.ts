import { parseArgs } from "node:util";
import { describeAction, DEFAULT_SIZE, scheduleOf } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulation.ts";

/** `node test/simulation/main.ts --seeds N [--seed K] [--agents A] [--actions M] [--trace]`: runs seeds K … K+N-1. */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    agents: { type: "string", default: String(DEFAULT_SIZE.agents) },
    actions: { type: "string", default: String(DEFAULT_SIZE.actions) },
    trace: { type: "boolean", default: false },
  },
});
const size = { agents: Number(values.agents), actions: Number(values.actions), spanMs: DEFAULT_SIZE.spanMs };
const first = Number(values.seed);
const count = Number(values.seeds);
const startedMs = performance.now();
let events = 0;
let slowestMs = 0;
let failures = 0;
const coverage = new Map<string, number>();
for (let seed = first; seed < first + count; seed++) {
  const result = simulate(seed, { size, traced: values.trace });
  events += result.events;
  for (const [name, times] of result.coverage) coverage.set(name, (coverage.get(name) ?? 0) + times);
  slowestMs = Math.max(slowestMs, result.convergedMs);
  if (values.trace) console.log(result.transcript);
  if (result.failure === undefined) continue;
  failures++;
  console.log(`seed ${seed}: ${result.failure}`);
  const schedule = shrink(seed, size, scheduleOf(seed, size));
  const smallest = simulate(seed, { size, schedule, traced: true });
  console.log(`smallest schedule (${schedule.length} actions): ${smallest.failure ?? "does not fail any more"}`);
  console.log(schedule.map(describeAction).join("\n"));
  if (!values.trace) console.log(smallest.transcript.split("\n").slice(-80).join("\n"));
  if (failures >= 3) break;
}
const seconds = (performance.now() - startedMs) / 1000;
console.log(
  `${count} seeds from ${first}, ${size.agents} agents, ${size.actions} actions: ${failures} failed; ` +
    `${events} events in ${seconds.toFixed(1)} s; slowest convergence ${(slowestMs / 1000).toFixed(0)} s virtual`,
);
console.log([...coverage].map(([name, times]) => `${name} ${times}`).join(", "));
process.exitCode = failures === 0 ? 0 : 1;
