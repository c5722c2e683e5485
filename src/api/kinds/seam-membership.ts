// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";

/** SeamMembership is the join declaration of an operator; it is admitted when its RBACProfile is provisioned. */
export interface SeamMembership extends KubeObject {
  readonly apiVersion: "seam.ontai.dev/v1alpha1";
  readonly kind: "SeamMembership";
  /** Who joins. */
  readonly spec: SeamMembershipSpec;
  /** Observed state. */
  readonly status?: SeamMembershipStatus;
}

/** The served resource of {@link SeamMembership}. */
export const SeamMembership: ResourceType<SeamMembership> = {
  group: "seam.ontai.dev",
  version: "v1alpha1",
  resource: "seammemberships",
  kind: "SeamMembership",
  namespaced: true,
};

/** Who joins. */
export interface SeamMembershipSpec {
  /** Operator name. */
  readonly appIdentityRef: string;
  /** Equals the domainIdentityRef of the RBACProfile. */
  readonly domainIdentityRef: string;
  /** `system:serviceaccount:{ns}:{name}`, the principal of an RBACProfile of the same namespace. */
  readonly principalRef: string;
  /** Which snapshot it works by. */
  readonly tier: "infrastructure" | "application";
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** Observed state. */
export interface SeamMembershipStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** It may work. */
  readonly admitted?: boolean;
  /** First admission. */
  readonly admittedAt?: string;
  /** PermissionSnapshot it works by. */
  readonly permissionSnapshotRef?: string;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}
