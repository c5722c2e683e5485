// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { SealedCausalChain } from "./sealed-causal-chain.ts";

/** PermissionSet is a named set of permissions, in the terms of Kubernetes RBAC. */
export interface PermissionSet extends KubeObject {
  readonly apiVersion: "guardian.ontai.dev/v1alpha1";
  readonly kind: "PermissionSet";
  /** A named set of permissions. */
  readonly spec: PermissionSetSpec;
  /** Observed state. */
  readonly status?: PermissionSetStatus;
}

/** The served resource of {@link PermissionSet}. */
export const PermissionSet: ResourceType<PermissionSet> = {
  group: "guardian.ontai.dev",
  version: "v1alpha1",
  resource: "permissionsets",
  kind: "PermissionSet",
  namespaced: true,
};

/** A named set of permissions. */
export interface PermissionSetSpec {
  /** For people. */
  readonly description?: string;
  /** Rules. */
  readonly permissions: readonly PermissionRule[];
  /** Sealed causal chain: the root declaration this object descends from. Set at creation, immutable. */
  readonly lineage?: SealedCausalChain;
}

/** One rule. */
export interface PermissionRule {
  /** API groups; `""` is core, `*` is all. */
  readonly apiGroups?: readonly string[];
  /** `*`, `name`, `name/sub` or `*\/sub`. */
  readonly resources?: readonly string[];
  /** Verbs; `*` is all. */
  readonly verbs: readonly string[];
  /** Names; absent means every name. */
  readonly resourceNames?: readonly string[];
  /** Paths; excludes the resource fields. */
  readonly nonResourceURLs?: readonly string[];
}

/** Observed state. */
export interface PermissionSetStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Profiles of the same namespace that reference this set. */
  readonly profileReferenceCount?: number;
  /** SHA-256 of the canonical rule list. */
  readonly rulesHash?: string;
  /** Lints and sensitive verbs. */
  readonly warnings?: readonly string[];
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}
