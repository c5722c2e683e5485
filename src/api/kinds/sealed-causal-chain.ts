// Generated from crds/ by `npm run generate`. Do not edit.
import type { CreatingOperator } from "./creating-operator.ts";

/** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
export interface SealedCausalChain {
  /** Kind of the root declaration. */
  readonly rootKind: string;
  /** Name of the root declaration. */
  readonly rootName: string;
  /** Namespace of the root declaration. */
  readonly rootNamespace: string;
  /** UID of the root declaration; detects replacement. */
  readonly rootUID: string;
  /** Operator that created this object. */
  readonly creatingOperator: CreatingOperator;
  /** Why this object was created. */
  readonly creationRationale:
    | "ClusterProvision"
    | "ClusterDecommission"
    | "SecurityEnforcement"
    | "PackExecution"
    | "VirtualizationFulfillment"
    | "ConductorAssignment"
    | "VortexBinding";
  /** metadata.generation of the root when this object was created. */
  readonly rootGenerationAtCreation: number;
}
