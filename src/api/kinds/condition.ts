// Generated from crds/ by `npm run generate`. Do not edit.

/** One condition of the object. */
export interface Condition {
  /** Type of the condition, CamelCase. */
  readonly type: string;
  /** Whether the condition holds. */
  readonly status: "True" | "False" | "Unknown";
  /** metadata.generation that the condition was set upon. */
  readonly observedGeneration?: number;
  /** When status last changed. */
  readonly lastTransitionTime: string;
  /** Why status has its value, CamelCase; the contract for programs. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}
