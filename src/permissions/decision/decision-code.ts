import type { Outcome } from "../index/permission-index.ts";

/** Why a decision is what it is; the contract for programs (permissions §11.3). */
export type DecisionCode =
  | "ALLOWED"
  | "NO_MATCHING_RULE"
  | "PRINCIPAL_UNKNOWN"
  | "PRINCIPAL_SUSPENDED"
  | "CONDITIONAL_ON_NAME"
  | "CLUSTER_NOT_SERVED"
  | "SNAPSHOT_NOT_LOADED"
  | "SNAPSHOT_EXPIRED"
  | "SNAPSHOT_REVOKED"
  | "SNAPSHOT_TOO_OLD"
  | "SNAPSHOT_CHANGED"
  | "CALLER_NOT_AUTHORIZED";

/** Code of an outcome of the engine core. */
export const CODE_OF_OUTCOME: Readonly<Record<Outcome, DecisionCode>> = {
  allowed: "ALLOWED",
  conditional: "CONDITIONAL_ON_NAME",
  noMatchingRule: "NO_MATCHING_RULE",
  unknown: "PRINCIPAL_UNKNOWN",
  suspended: "PRINCIPAL_SUSPENDED",
};
