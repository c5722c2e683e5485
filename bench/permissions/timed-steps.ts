/** What some work took that yields between its steps. */
export interface TimedSteps<T> {
  readonly value: T;
  readonly ms: number;
  /** Processor time of this thread, milliseconds. */
  readonly processorMs: number;
  /** The longest step in processor time: what the event loop is held by on a machine of its own, milliseconds. */
  readonly longestStepMs: number;
}

function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Does all of the work, each step timed by itself. */
export function timedSteps<T>(steps: Generator<void, T>): TimedSteps<T> {
  const started = performance.now();
  const first = processorMs();
  for (let began = first, longestStepMs = 0; ;) {
    const step = steps.next();
    const ended = processorMs();
    longestStepMs = Math.max(longestStepMs, ended - began);
    began = ended;
    if (step.done === true)
      return { value: step.value, ms: performance.now() - started, processorMs: ended - first, longestStepMs };
  }
}
