/** How a program ended, as its shim leaves it in the folder of the pod. */
export interface ExitReport {
  /** 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly signal: string | undefined;
  /** RFC 3339, whole seconds. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Why it was ended from outside, or could not be started. */
  readonly reason: "Completed" | "Error" | "StartError" | "Abandoned";
  /** Last lines of its output when it failed. */
  readonly message: string;
}

/** Reads an exit report. Undefined when it is none: it is written in one step, so half a one is a foreign file. */
export function parseExitReport(text: string): ExitReport | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { exitCode, signal, startedAt, finishedAt, reason, message } = value as Partial<
    Record<keyof ExitReport, unknown>
  >;
  const known = (["Completed", "Error", "StartError", "Abandoned"] as const).find((each) => each === reason);
  if (typeof exitCode !== "number" || typeof startedAt !== "string" || typeof finishedAt !== "string" || !known)
    return undefined;
  return {
    exitCode,
    signal: typeof signal === "string" ? signal : undefined,
    startedAt,
    finishedAt,
    reason: known,
    message: typeof message === "string" ? message : "",
  };
}
