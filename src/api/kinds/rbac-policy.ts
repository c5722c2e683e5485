// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";

/** RBACPolicy is the ceiling over the profiles of its namespace. */
export interface RBACPolicy extends KubeObject {
  readonly apiVersion: "guardian.ontai.dev/v1alpha1";
  readonly kind: "RBACPolicy";
  /** Ceiling over profiles. */
  readonly spec: RBACPolicySpec;
  /** Observed state. */
  readonly status?: RBACPolicyStatus;
}

/** The served resource of {@link RBACPolicy}. */
export const RBACPolicy: ResourceType<RBACPolicy> = {
  group: "guardian.ontai.dev",
  version: "v1alpha1",
  resource: "rbacpolicies",
  kind: "RBACPolicy",
  namespaced: true,
};

/** Ceiling over profiles. */
export interface RBACPolicySpec {
  /** Class of principals governed. */
  readonly subjectScope: "platform" | "tenant";
  /** Clusters; empty is the management cluster only, `*` any registered one. */
  readonly allowedClusters?: readonly string[];
  /** Ceiling PermissionSet in the same namespace. */
  readonly maximumPermissionSetRef: string;
  /** What a breach of the ceiling does. */
  readonly enforcementMode: "strict" | "audit";
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** Observed state. */
export interface RBACPolicyStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** For people. */
  readonly validationSummary?: string;
  /** Profiles under this policy. */
  readonly profileCount?: number;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}
