import { type Action, describeAction, scheduleOf } from "../schedule.ts";
import { type RunResult, sizeIn } from "../simulation.ts";
import { type PermissionAction, describePermissionAction, permissionSchedule } from "./permission-schedule.ts";
import { type PermissionRunOptions, simulatePermissions } from "./simulate-permissions.ts";

/** Lines of a transcript that a report shows at most: the end is what tells. */
const SHOWN_LINES = 160;
/** Runs that may be spent on a smaller schedule. */
const MAX_RUNS = 200;

/** Both schedules of a run, as one list to leave things out of. */
type Step =
  | { readonly plane: false; readonly action: Action }
  | { readonly plane: true; readonly action: PermissionAction };

/** What a person needs of a seed that fails: what was broken, a smaller schedule that still breaks it, and what happened. */
export async function permissionReport(result: RunResult, options: PermissionRunOptions = {}): Promise<string> {
  const { seed, failure } = result;
  const size = sizeIn(seed, options);
  const all: readonly Step[] = [
    ...(options.schedule ?? scheduleOf(seed, size)).map((action) => ({ plane: false, action }) as const),
    ...(options.permissionSchedule ?? permissionSchedule(seed, size)).map(
      (action) => ({ plane: true, action }) as const,
    ),
  ];
  const run = (steps: readonly Step[], traced = false): Promise<RunResult> =>
    simulatePermissions(seed, {
      ...options,
      traced,
      schedule: steps.flatMap((step) => (step.plane ? [] : [step.action])),
      permissionSchedule: steps.flatMap((step) => (step.plane ? [step.action] : [])),
    });
  const steps = await smaller(all, async (candidate) => (await run(candidate)).failure !== undefined);
  const smallest = await run(steps, true);
  const inOrder = steps.toSorted((a, b) => a.action.atMs - b.action.atMs);
  return [
    `seed ${seed} (${size.agents} agents, with permissions): ${failure ?? "holds"}`,
    `smaller schedule (${steps.length} actions): ${smallest.failure ?? "does not fail any more"}`,
    ...inOrder.map((step) => (step.plane ? describePermissionAction(step.action) : describeAction(step.action))),
    "its transcript:",
    ...smallest.transcript.split("\n").slice(-SHOWN_LINES),
  ].join("\n");
}

/** Leaves out chunks, halves first and then one by one, as long as it still fails. */
async function smaller<T>(all: readonly T[], fails: (some: readonly T[]) => Promise<boolean>): Promise<readonly T[]> {
  let steps = all;
  let runs = 0;
  for (let chunk = Math.ceil(steps.length / 2); chunk >= 1; chunk = Math.floor(chunk / 2)) {
    for (let at = 0; at < steps.length && runs < MAX_RUNS; runs++) {
      const candidate = [...steps.slice(0, at), ...steps.slice(at + chunk)];
      if (await fails(candidate)) steps = candidate;
      else at += chunk;
    }
  }
  return steps;
}
