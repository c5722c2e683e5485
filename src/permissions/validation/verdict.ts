/** One failed check: object, field, expectation, remedy (permissions §7). */
export interface FailedCheck {
  /** Name of the check, for example `ScopeValid[1]`. */
  readonly check: string;
  /** `Kind namespace/name`. */
  readonly object: string;
  readonly field: string;
  /** What is expected and what was found. */
  readonly expected: string;
  readonly remedy: string;
}

/** Outcome of validating one object. All failures of the step that decided are in it, not only the first. */
export interface Verdict {
  readonly ok: boolean;
  /** Reason of the condition. */
  readonly reason: string;
  /** For people: every failed check, joined with `; `. */
  readonly message: string;
  readonly failed: readonly FailedCheck[];
  /** Lints: shown in status, never refuse. */
  readonly warnings: readonly string[];
}

/** `Kind namespace/name`. */
export function objectText(kind: string, metadata: { readonly namespace?: string; readonly name: string }): string {
  return `${kind} ${metadata.namespace ?? ""}/${metadata.name}`;
}

/** `Check: object: field: expected; remedy`. */
export function failedCheckText({ check, object, field, expected, remedy }: FailedCheck): string {
  return `${check}: ${object}: ${field}: ${expected}; ${remedy}`;
}

/** Everything holds. */
export function passed(reason: string, message: string, warnings: readonly string[] = []): Verdict {
  return { ok: true, reason, message, failed: [], warnings };
}

/** Something does not. */
export function refused(reason: string, failed: readonly FailedCheck[], warnings: readonly string[] = []): Verdict {
  return { ok: false, reason, message: failed.map(failedCheckText).join("; "), failed, warnings };
}

/** Text of `status.validationSummary`. */
export function summaryText(verdict: Verdict): string {
  return verdict.ok ? "Valid." : `Validation failed: ${verdict.failed.length} check(s) failed.`;
}
