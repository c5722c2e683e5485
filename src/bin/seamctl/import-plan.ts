import { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../../api/builtin.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { FIELD_MANAGERS, LABELS, tenantNamespace } from "../../api/names.ts";
import { type KubeObject, keyOf } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { IMPORTED, type ImportedRbac } from "../../permissions/intake/import-rbac.ts";
import type { RbacObjects } from "../../permissions/surface/rbac-surface.ts";
import type { ObjectInFile } from "./object-files.ts";
import { listAll } from "./permission-world.ts";

/** Most refusals that an error lists. */
const MAX_LISTED = 20;

/** Every RBAC object of a cluster. */
export async function readRbac(cluster: Cluster): Promise<RbacObjects> {
  const [roles, clusterRoles, roleBindings, clusterRoleBindings] = await Promise.all([
    listAll(cluster, Role),
    listAll(cluster, ClusterRole),
    listAll(cluster, RoleBinding),
    listAll(cluster, ClusterRoleBinding),
  ]);
  return { roles, clusterRoles, roleBindings, clusterRoleBindings };
}

/** The RBAC objects among those of files; other kinds are passed over. */
export function rbacOfFiles(files: readonly ObjectInFile[]): RbacObjects {
  const of = <T extends KubeObject>({ kind }: ResourceType<T>): readonly T[] =>
    files
      .map(({ object }) => object)
      .filter((object) => object.kind === kind && object.apiVersion.startsWith("rbac.authorization.k8s.io/"))
      .map((object) => object as unknown as T);
  return {
    roles: of(Role),
    clusterRoles: of(ClusterRole),
    roleBindings: of(RoleBinding),
    clusterRoleBindings: of(ClusterRoleBinding),
  };
}

/** An imported object with what applying it does. */
export interface ImportStep {
  readonly type: ResourceType<KubeObject>;
  readonly object: KubeObject;
  readonly action: "create" | "change" | "keep";
}

/** What applying an import does to the management cluster. */
export interface ImportPlan {
  readonly steps: readonly ImportStep[];
  /** Imported before and not in the cluster's RBAC any more. */
  readonly stale: readonly { readonly type: ResourceType<KubeObject>; readonly object: KubeObject }[];
}

/**
 * Shows every object to the API server first, so that all of it can be applied or nothing is.
 *
 * @throws SeamError `ImportRefused` naming every object that the server or the owner of a name refuses
 */
export async function planImport(cluster: Cluster, name: string, imported: ImportedRbac): Promise<ImportPlan> {
  const namespace = tenantNamespace(name);
  const wanted: readonly (readonly [ResourceType<KubeObject>, readonly KubeObject[]])[] = [
    [PermissionSet, imported.sets],
    [RBACProfile, imported.profiles],
  ];
  const steps: ImportStep[] = [];
  const stale: { type: ResourceType<KubeObject>; object: KubeObject }[] = [];
  const refused: string[] = [];
  for (const [type, objects] of wanted) {
    const page = await listAll(cluster, type);
    const held = new Map(
      page.filter(({ metadata }) => metadata.namespace === namespace).map((object) => [object.metadata.name, object]),
    );
    for (const object of objects) {
      const existing = held.get(object.metadata.name);
      if (existing !== undefined && !isImported(existing)) {
        refused.push(
          `${type.kind} ${namespace}/${object.metadata.name}: exists and was not imported; rename or delete it`,
        );
        continue;
      }
      try {
        const stored = await apply(cluster, type, object, true);
        const same = existing !== undefined && specText(existing) === specText(stored);
        steps.push({ type, object, action: existing === undefined ? "create" : same ? "keep" : "change" });
      } catch (error) {
        refused.push(`${type.kind} ${namespace}/${object.metadata.name}: ${errorMessage(error)}`);
      }
    }
    const names = new Set(objects.map(({ metadata }) => metadata.name));
    for (const object of held.values())
      if (isImported(object) && !names.has(object.metadata.name)) stale.push({ type, object });
  }
  if (refused.length === 0) return { steps, stale };
  throw new SeamError({
    reason: "ImportRefused",
    object: `RBAC of ${name}`,
    expected: `${refused.length} objects are refused, nothing was written\n${refused.slice(0, MAX_LISTED).join("\n")}`,
  });
}

/** Applies a plan: sets before the profiles that name them; removal, when asked for, profiles first. */
export async function applyImport(cluster: Cluster, { steps, stale }: ImportPlan, prune: boolean): Promise<void> {
  for (const { type, object, action } of steps) if (action !== "keep") await apply(cluster, type, object, false);
  if (!prune) return;
  for (const { type, object } of [...stale].reverse())
    try {
      await cluster.delete(type, keyOf(object));
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
}

function apply(
  cluster: Cluster,
  type: ResourceType<KubeObject>,
  object: KubeObject,
  dryRun: boolean,
): Promise<KubeObject> {
  const body = JSON.parse(JSON.stringify(object)) as JsonObject;
  const options = { fieldManager: FIELD_MANAGERS.rbacIntake, force: true, dryRun };
  return cluster.patch(type, keyOf(object), { type: "apply", body }, options);
}

function isImported({ metadata }: KubeObject): boolean {
  return metadata.labels?.[LABELS.rbacManagedBy] === IMPORTED;
}

function specText(object: KubeObject & { readonly spec?: unknown }): string {
  return JSON.stringify(object.spec);
}
