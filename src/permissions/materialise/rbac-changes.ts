import { ANNOTATIONS, LABELS } from "../../api/names.ts";
import type { KubeObject } from "../../api/object.ts";
import { MAX_MATERIALISED_OBJECTS } from "./plan-rbac.ts";
import { type MaterialisedObject, isMaterialised, materialisedKey, rbacText } from "./materialised.ts";

/** What must be done to a cluster, in order: nobody keeps a right while another one is given. */
export interface RbacChanges {
  /** Ours and not wanted any more: bindings first, then roles. */
  readonly remove: readonly MaterialisedObject[];
  /** Wanted and absent or different: roles first, then bindings. `held` is ours. */
  readonly write: readonly { readonly wanted: MaterialisedObject; readonly held: MaterialisedObject | undefined }[];
  /** Wanted under a name that somebody else's object has, as keys: left alone. */
  readonly foreign: readonly string[];
  /** Wanted objects beyond {@link MAX_MATERIALISED_OBJECTS}; when there are any, nothing is added. */
  readonly beyondLimit: number;
}

/**
 * Compares what should stand with what stands, pure.
 *
 * @param found every ClusterRole, ClusterRoleBinding and RoleBinding of the cluster, ours or not
 */
export function rbacChanges(
  wanted: readonly MaterialisedObject[],
  found: Iterable<MaterialisedObject>,
  limit = MAX_MATERIALISED_OBJECTS,
): RbacChanges {
  const held = new Map<string, MaterialisedObject>();
  for (const object of found) held.set(materialisedKey(object), object);
  const keys = new Set(wanted.map(materialisedKey));
  const beyondLimit = Math.max(0, wanted.length - limit);
  const remove = [...held.values()].filter((object) => isMaterialised(object) && !keys.has(materialisedKey(object)));
  const foreign: string[] = [];
  const write: { readonly wanted: MaterialisedObject; readonly held: MaterialisedObject | undefined }[] = [];
  for (const object of wanted) {
    const key = materialisedKey(object);
    const existing = held.get(key);
    if (existing === undefined) {
      if (beyondLimit === 0) write.push({ wanted: object, held: undefined });
    } else if (!isMaterialised(existing)) foreign.push(key);
    else if (existing.metadata.deletionTimestamp === undefined && !says(existing, object))
      write.push({ wanted: object, held: existing });
  }
  return {
    remove: remove.sort((a, b) => rank(b) - rank(a)),
    write: write.sort((a, b) => rank(a.wanted) - rank(b.wanted)),
    foreign,
    beyondLimit,
  };
}

/** Roles before bindings. */
function rank({ kind }: KubeObject): number {
  return kind === "ClusterRole" ? 0 : 1;
}

function says(held: MaterialisedObject, wanted: MaterialisedObject): boolean {
  return (
    rbacText(held) === rbacText(wanted) &&
    held.metadata.labels?.[LABELS.rbacProfile] === wanted.metadata.labels?.[LABELS.rbacProfile] &&
    held.metadata.annotations?.[ANNOTATIONS.rbacProfile] === wanted.metadata.annotations?.[ANNOTATIONS.rbacProfile]
  );
}
