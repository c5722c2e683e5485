// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";

/** RBACProfile grants permission sets to one principal on clusters. */
export interface RBACProfile extends KubeObject {
  readonly apiVersion: "guardian.ontai.dev/v1alpha1";
  readonly kind: "RBACProfile";
  /** Grants of one principal. */
  readonly spec: RBACProfileSpec;
  /** Observed state. */
  readonly status?: RBACProfileStatus;
}

/** The served resource of {@link RBACProfile}. */
export const RBACProfile: ResourceType<RBACProfile> = {
  group: "guardian.ontai.dev",
  version: "v1alpha1",
  resource: "rbacprofiles",
  kind: "RBACProfile",
  namespaced: true,
};

/** Grants of one principal. */
export interface RBACProfileSpec {
  /** `system:serviceaccount:{ns}:{name}` or any other name. */
  readonly principalRef: string;
  /** Clusters this profile grants on. */
  readonly targetClusters: readonly string[];
  /** What is granted. */
  readonly permissionDeclarations: readonly PermissionDeclaration[];
  /** RBACPolicy in the same namespace; empty on a tenant means a derived object. */
  readonly rbacPolicyRef?: string;
  /** Domain identity, for operators. */
  readonly domainIdentityRef?: string;
  /** Removes all grants and denies the principal. */
  readonly suspend?: boolean;
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** One declaration. */
export interface PermissionDeclaration {
  /** PermissionSet in the same namespace. */
  readonly permissionSetRef: string;
  /** Where the rules hold. */
  readonly scope: "namespaced" | "cluster";
  /** Restricts targetClusters; empty is all of them. */
  readonly clusters?: readonly string[];
  /** With scope namespaced: empty is every namespace, but no cluster-scoped request. */
  readonly namespaces?: readonly string[];
  /** End of a time-bound grant, evaluated at decision time. */
  readonly expiresAt?: string;
}

/** Observed state. */
export interface RBACProfileStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** The gate: every check passed. */
  readonly provisioned?: boolean;
  /** For people. */
  readonly validationSummary?: string;
  /** Snapshot versions that include the profile, one per cluster. */
  readonly epgVersion?: string;
  /** When it was last provisioned; cleared on regression. */
  readonly lastProvisionedAt?: string;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}
