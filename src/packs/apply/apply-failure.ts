import { SeamError } from "../../base/errors.ts";

/** Failure categories of pack-deploy (dispatcher §8.3). */
export type FailureCategory = "ValidationFailure" | "ExecutionFailure" | "ExternalDependencyFailure";

/** One object that could not be brought to its desired state. */
export interface ObjectFailure {
  /** `Deployment hello/web`. */
  readonly object: string;
  readonly message: string;
}

/** Most objects a failure's text names. */
const MAX_NAMED = 20;

/** Why a pack could not be applied; names every object concerned. */
export class ApplyFailure extends SeamError {
  override readonly name = "ApplyFailure";
  readonly category: FailureCategory;
  /** True when the same content may succeed later without anybody changing it. */
  readonly retryable: boolean;
  readonly failures: readonly ObjectFailure[];

  constructor(parts: {
    /** Step that failed, as PackLog names it. */
    readonly step: string;
    /** Stable reason, for example `AdoptionRefused`. */
    readonly reason: string;
    readonly category: FailureCategory;
    readonly retryable: boolean;
    readonly failures: readonly ObjectFailure[];
    readonly remedy?: string;
  }) {
    const named = parts.failures.slice(0, MAX_NAMED).map(({ object, message }) => `${object}: ${message}`);
    if (parts.failures.length > MAX_NAMED) named.push(`… and ${parts.failures.length - MAX_NAMED} more`);
    super({
      reason: parts.reason,
      object: `step ${parts.step}`,
      expected: named.join("; "),
      ...(parts.remedy === undefined ? {} : { remedy: parts.remedy }),
    });
    this.category = parts.category;
    this.retryable = parts.retryable;
    this.failures = parts.failures;
  }
}
