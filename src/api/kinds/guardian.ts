// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";

/** Guardian is the state of the permission plane on one cluster; one object, named guardian. */
export interface Guardian extends KubeObject {
  readonly apiVersion: "guardian.ontai.dev/v1alpha1";
  readonly kind: "Guardian";
  /** What people decide about the plane as a whole. */
  readonly spec: GuardianSpec;
  /** Observed state. */
  readonly status?: GuardianStatus;
}

/** The served resource of {@link Guardian}. */
export const Guardian: ResourceType<Guardian> = {
  group: "guardian.ontai.dev",
  version: "v1alpha1",
  resource: "guardians",
  kind: "Guardian",
  namespaced: true,
};

/** What people decide about the plane as a whole. */
export interface GuardianSpec {
  /** Whether API groups of new CRDs are proposed for the fleet's ceiling; never widened without approval. */
  readonly apiGroupSweep?: "off" | "propose";
}

/** Observed state. */
export interface GuardianStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Mode of the ownership webhook; goes one way. */
  readonly webhookMode?: "Initialising" | "ObserveOnly" | "Enforcing";
  /** Namespaces that are enforced, or about to be. */
  readonly namespaceEnforcements?: readonly NamespaceEnforcement[];
  /** API groups of CRDs that are neither Kubernetes' nor ours, sorted. */
  readonly discoveredAPIGroups?: readonly string[];
  /** Discovered groups that the fleet's ceiling does not cover, sorted; with apiGroupSweep propose. */
  readonly proposedAPIGroups?: readonly string[];
  /** Clusters with a snapshot. */
  readonly clusters?: number;
  /** RBACProfiles. */
  readonly profiles?: number;
  /** RBACProfiles that count. */
  readonly provisionedProfiles?: number;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}

/** One namespace; `_cluster` stands for cluster-scoped objects. */
export interface NamespaceEnforcement {
  /** Namespace. */
  readonly namespace: string;
  /** How far it is. */
  readonly state: "active" | "enforcing";
}
