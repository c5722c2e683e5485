// Generated from crds/ by `npm run generate`. Do not edit.
import type { KubeObject } from "../object.ts";
import type { ResourceType } from "../resource-type.ts";
import type { Condition } from "./condition.ts";
import type { DriftedResourceRef } from "./drifted-resource-ref.ts";

/** DriftSignal is the at-least-once acknowledgement chain of one drift event. */
export interface DriftSignal extends KubeObject {
  readonly apiVersion: "seam.ontai.dev/v1alpha1";
  readonly kind: "DriftSignal";
  /** One drift event and its acknowledgement chain. */
  readonly spec: DriftSignalSpec;
  /** Observed state. */
  readonly status?: DriftSignalStatus;
}

/** The served resource of {@link DriftSignal}. */
export const DriftSignal: ResourceType<DriftSignal> = {
  group: "seam.ontai.dev",
  version: "v1alpha1",
  resource: "driftsignals",
  kind: "DriftSignal",
  namespaced: true,
};

/** One drift event and its acknowledgement chain. */
export interface DriftSignalSpec {
  /** Where the chain stands. */
  readonly state: "pending" | "delivered" | "queued" | "confirmed";
  /** UUID v4 of the drift event. */
  readonly correlationID: string;
  /** First observation. */
  readonly observedAt: string;
  /** Governing object: PackDelivery, TalosCluster or RunnerConfig. */
  readonly affectedCRRef: DriftSignalSpecAffectedCRRef;
  /** For people. */
  readonly driftReason: string;
  /** Class of drift. */
  readonly driftClass?:
    | "PackResources"
    | "TalosVersion"
    | "TalosVersionMixed"
    | "KubernetesVersion"
    | "RunnerConfigMissing";
  /** Declared value, for version classes. */
  readonly declared?: string;
  /** Observed value, for version classes. */
  readonly observed?: string;
  /** Objects that differ; the first 20. */
  readonly driftedResources?: readonly DriftedResourceRef[];
  /** PackInstalled name. */
  readonly packInstanceRef?: string;
  /** When the last corrective attempt was admitted. */
  readonly lastAttemptAt?: string;
  /** Job or object that corrects, set with state queued. */
  readonly correctionJobRef?: string;
  /** Failed corrections. */
  readonly escalationCounter?: number;
  /** Cluster id from the client certificate. */
  readonly reportedBy?: string;
}

/** Governing object: PackDelivery, TalosCluster or RunnerConfig. */
export interface DriftSignalSpecAffectedCRRef {
  /** API group. */
  readonly group: string;
  /** Kind. */
  readonly kind: "PackDelivery" | "TalosCluster" | "RunnerConfig";
  /** Namespace. */
  readonly namespace?: string;
  /** Name. */
  readonly name: string;
}

/** Observed state. */
export interface DriftSignalStatus {
  /** metadata.generation last processed by the owning reconciler. */
  readonly observedGeneration?: number;
  /** Latest observations of the object's state, one entry per type, one writer per entry. */
  readonly conditions?: readonly Condition[];
}
