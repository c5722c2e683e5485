import type { LifecyclePolicies } from "../../api/kinds/lifecycle-policies.ts";
import type { StrictObject } from "./strict-object.ts";

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

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Drops members whose value is undefined, so that a read value equals the one that was written. */
export function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Defined<T>;
}
