import { describeAction, scheduleOf } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import { type RunOptions, type RunResult, simulate, sizeIn } from "./simulation.ts";

/** Lines of a transcript that a report shows at most: the end is what tells. */
const SHOWN_LINES = 120;

/** What a person needs of a seed that fails: what was broken, the smallest schedule that still breaks it, and what happened. */
export function seedReport(result: RunResult, options: RunOptions = {}): string {
  const { seed, failure } = result;
  const size = sizeIn(seed, options);
  const schedule = shrink(seed, options, options.schedule ?? scheduleOf(seed, size));
  const smallest = simulate(seed, { ...options, schedule, traced: true });
  const lines = smallest.transcript.split("\n");
  const left = lines.length > SHOWN_LINES ? [`… ${lines.length - SHOWN_LINES} lines before`] : [];
  return [
    `seed ${seed} (${size.agents} agents, ${size.actions} actions): ${failure ?? "holds"}`,
    `smallest schedule (${schedule.length} actions): ${smallest.failure ?? "does not fail any more"}`,
    ...schedule.map(describeAction),
    "its transcript:",
    ...left,
    ...lines.slice(-SHOWN_LINES),
  ].join("\n");
}
