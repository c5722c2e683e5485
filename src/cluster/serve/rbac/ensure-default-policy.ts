import { isDeepStrictEqual } from "node:util";
import {
  ClusterRole,
  ClusterRoleBinding,
  type ClusterRoleBindingObject,
  type ClusterRoleObject,
} from "../../../api/builtin.ts";
import type { KubeObject } from "../../../api/object.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import { isStatus } from "../../api-status-error.ts";
import type { Cluster } from "../../cluster.ts";
import { AUTOUPDATE_ANNOTATION, DEFAULT_CLUSTER_ROLE_BINDINGS, DEFAULT_CLUSTER_ROLES } from "./default-policy.ts";

const OPTIONS = { fieldManager: "seam-apiserver" };

/**
 * Creates the default roles and bindings that are missing and gives those that say so back what they lack, as kube-apiserver does
 * when it starts. What somebody added stays.
 */
export async function ensureDefaultPolicy(cluster: Cluster): Promise<void> {
  await Promise.all([
    ...DEFAULT_CLUSTER_ROLES.map((role) => ensure(cluster, ClusterRole, role, withRules)),
    ...DEFAULT_CLUSTER_ROLE_BINDINGS.map((binding) => ensure(cluster, ClusterRoleBinding, binding, withSubjects)),
  ]);
}

async function ensure<T extends KubeObject>(
  cluster: Cluster,
  type: ResourceType<T>,
  wanted: T,
  repaired: (stored: T, wanted: T) => T,
): Promise<void> {
  const { name } = wanted.metadata;
  try {
    const stored = await cluster.get(type, { name });
    if (stored.metadata.annotations?.[AUTOUPDATE_ANNOTATION] !== "true") return;
    const whole = repaired(stored, wanted);
    if (whole !== stored) await cluster.update(type, whole, OPTIONS);
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
    await cluster.create(type, wanted, OPTIONS);
  }
}

function withRules(stored: ClusterRoleObject, wanted: ClusterRoleObject): ClusterRoleObject {
  if (wanted.aggregationRule !== undefined) return stored; // its rules are those of the roles it selects
  const rules = extended(stored.rules ?? [], wanted.rules ?? []);
  return rules === undefined ? stored : { ...stored, rules };
}

function withSubjects(stored: ClusterRoleBindingObject, wanted: ClusterRoleBindingObject): ClusterRoleBindingObject {
  const subjects = extended(stored.subjects ?? [], wanted.subjects ?? []);
  return subjects === undefined ? stored : { ...stored, subjects };
}

/** `present` and what it lacks of `wanted`; undefined when it lacks nothing. */
function extended<T>(present: readonly T[], wanted: readonly T[]): readonly T[] | undefined {
  const missing = wanted.filter((item) => !present.some((have) => isDeepStrictEqual(have, item)));
  return missing.length === 0 ? undefined : [...present, ...missing];
}
