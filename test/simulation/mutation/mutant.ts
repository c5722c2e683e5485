/** What notices that something is broken. */
export type CaughtBy =
  /** The directed scenario whose name begins so. */
  | { readonly scenario: string }
  /** Random worlds: with the permission plane, or with several replicas, where they need one. */
  | { readonly worlds: "one hub" | "three replicas" | "permissions" }
  /** A test beside the source, where a machine is small enough to be asked about everything. */
  | { readonly test: string };

/** One thing that is broken on purpose: text of a source file and what stands there instead. */
export interface Mutant {
  readonly name: string;
  /** Below the root of the repository. */
  readonly file: string;
  /** Text that stands there exactly once. */
  readonly find: string;
  readonly put: string;
  readonly caughtBy: CaughtBy;
}
