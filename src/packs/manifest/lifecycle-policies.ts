import type { JsonObject } from "../../base/json.ts";
import type { StrictObject } from "./strict-object.ts";

/** `lifecyclePolicies` of a PackDelivery (resources-seam §1.1), as the tenant obeys them. Absent members mean the default. */
export interface LifecyclePolicies {
  /** Default true; refers to the artifact, which nothing deletes. */
  readonly retainOnDeletion?: boolean;
  /** Default Delete. */
  readonly deletionPolicy?: "Delete" | "Orphan";
  /** Default true. */
  readonly prune?: boolean;
  /** Default Retain. */
  readonly persistentVolumeClaims?: "Retain" | "Delete";
  /** Default Retain. */
  readonly customResourceDefinitions?: "Retain" | "Delete";
  /** Default Retain; on prune only. */
  readonly statefulSets?: "Retain" | "Delete";
  /** Default DeleteIfEmpty; only namespaces the pack created. */
  readonly namespaces?: "Retain" | "DeleteIfEmpty";
  /** Kinds that may be deleted and created again on an immutable field error. */
  readonly replace?: readonly string[];
  /** Default Fail: objects that exist and are not ours. */
  readonly adoption?: "Fail" | "Adopt";
  /** Default Auto. */
  readonly driftCorrection?: "Auto" | "Manual";
  /** Default Keep. */
  readonly onRevocation?: "Keep" | "Uninstall";
  /** Default Keep. */
  readonly onTargetRemoved?: "Keep" | "Uninstall";
}

/** Most kinds `replace` may name. */
const MAX_REPLACE = 32;

/** Reads policies. @throws SeamError `BodyInvalid` */
export function readLifecyclePolicies(from: StrictObject): LifecyclePolicies {
  const policies = {
    retainOnDeletion: from.optionalBoolean("retainOnDeletion"),
    deletionPolicy: from.optionalChoice("deletionPolicy", ["Delete", "Orphan"]),
    prune: from.optionalBoolean("prune"),
    persistentVolumeClaims: from.optionalChoice("persistentVolumeClaims", ["Retain", "Delete"]),
    customResourceDefinitions: from.optionalChoice("customResourceDefinitions", ["Retain", "Delete"]),
    statefulSets: from.optionalChoice("statefulSets", ["Retain", "Delete"]),
    namespaces: from.optionalChoice("namespaces", ["Retain", "DeleteIfEmpty"]),
    replace: from.optionalTexts("replace", MAX_REPLACE),
    adoption: from.optionalChoice("adoption", ["Fail", "Adopt"]),
    driftCorrection: from.optionalChoice("driftCorrection", ["Auto", "Manual"]),
    onRevocation: from.optionalChoice("onRevocation", ["Keep", "Uninstall"]),
    onTargetRemoved: from.optionalChoice("onTargetRemoved", ["Keep", "Uninstall"]),
  };
  from.end();
  return withoutUndefined(policies);
}

/** JSON form of policies. */
export function lifecyclePoliciesJson(policies: LifecyclePolicies): JsonObject {
  return { ...policies };
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Drops members whose value is undefined, so that a read value equals the one that was written. */
export function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Defined<T>;
}
