/** One thing that must be true before the process takes work (lessons §5.5). */
export interface ReadinessCheck {
  readonly name: string;
  /** Undefined when fulfilled; otherwise what is missing, for people. */
  readonly check: () => string | undefined;
}

/** Outcome of all checks. */
export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

/** Runs every check; one that throws counts as not fulfilled. */
export function readinessReport(checks: readonly ReadinessCheck[]): ReadinessReport {
  const results = checks.map(({ name, check }) => {
    const missing = outcome(check);
    return { name, ok: missing === undefined, detail: missing ?? "" };
  });
  return { ready: results.every(({ ok }) => ok), checks: results };
}

function outcome(check: ReadinessCheck["check"]): string | undefined {
  try {
    return check();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
