import { ClusterRole, ClusterRoleBinding, RoleBinding } from "../../api/builtin.ts";
import { type AuditRecord, type AuditTrail, auditObject, silentTrail } from "../../api/audit-record.ts";
import { ANNOTATIONS, FIELD_MANAGERS } from "../../api/names.ts";
import { type KubeObject, keyOf } from "../../api/object.ts";
import { type ResourceType, apiVersionOf } from "../../api/resource-type.ts";
import { errorMessage } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { type MaterialisedObject, materialisedKey, rbacText } from "./materialised.ts";
import type { RbacChanges } from "./rbac-changes.ts";

/** Objects written at once; the order of stages holds all the same. */
const PARALLEL = 8;
/** Most failures that are kept with their text. */
const MAX_FAILURES = 20;

/** One object that could not be brought to the plan. */
export interface RbacFailure {
  /** `Kind namespace/name`. */
  readonly object: string;
  readonly message: string;
}

/** What a pass did. */
export interface RbacOutcome {
  readonly written: number;
  readonly removed: number;
  /** Objects that could not be written or removed, with why; at most 20 are named. */
  readonly failed: readonly RbacFailure[];
  readonly failures: number;
}

/**
 * Brings a cluster's RBAC to a plan: server-side apply under one field manager, on objects that are ours or absent. One object that
 * cannot be written never keeps the others back; what failed is tried again with the next pass. The trail hears of every object that was
 * written or removed.
 */
export async function writeRbac(
  cluster: Cluster,
  changes: RbacChanges,
  trail: AuditTrail = silentTrail,
): Promise<RbacOutcome> {
  const failed: RbacFailure[] = [];
  let failures = 0;
  const run = async <T>(list: readonly T[], step: (entry: T) => Promise<void>, keyOfEntry: (entry: T) => string) => {
    let done = 0;
    for (let at = 0; at < list.length; at += PARALLEL)
      await Promise.all(
        list.slice(at, at + PARALLEL).map(async (entry) => {
          try {
            await step(entry);
            done++;
          } catch (error) {
            failures++;
            if (failed.length < MAX_FAILURES) failed.push({ object: keyOfEntry(entry), message: errorMessage(error) });
          }
        }),
      );
    return done;
  };
  const isRole = ({ kind }: KubeObject): boolean => kind === "ClusterRole";
  let removed = 0;
  let written = 0;
  const { remove, write } = changes;
  for (const roles of [false, true])
    removed += await run(
      remove.filter((object) => isRole(object) === roles),
      async (object) => {
        await removeObject(cluster, object);
        void trail.record(materialisedRecord(object, "rbac.removed"));
      },
      materialisedKey,
    );
  for (const roles of [true, false])
    written += await run(
      write.filter(({ wanted }) => isRole(wanted) === roles),
      async ({ wanted, held }) => {
        await writeObject(cluster, wanted, held);
        void trail.record(materialisedRecord(wanted, MATERIALISED_ACTIONS[kindOf(wanted)]));
      },
      ({ wanted }) => materialisedKey(wanted),
    );
  return { written, removed, failed, failures };
}

async function writeObject(
  cluster: Cluster,
  wanted: MaterialisedObject,
  held: MaterialisedObject | undefined,
): Promise<void> {
  const type = typeOf(wanted);
  const { roleRef } = wanted as { readonly roleRef?: { readonly kind: string; readonly name: string } };
  const heldRef = (held as { readonly roleRef?: typeof roleRef } | undefined)?.roleRef;
  // A roleRef never changes: another one is another binding.
  const replaced = held !== undefined && rbacText(refOnly(roleRef)) !== rbacText(refOnly(heldRef));
  if (replaced) await removeObject(cluster, held);
  await cluster.patch(
    type,
    keyOf(wanted),
    { type: "apply", body: JSON.parse(JSON.stringify({ ...wanted, apiVersion: apiVersionOf(type) })) as JsonObject },
    // Without force somebody else's object that came in between is a conflict, not ours to take.
    { fieldManager: FIELD_MANAGERS.rbacMaterialiser, force: held !== undefined && !replaced },
  );
}

function refOnly(roleRef: { readonly kind: string; readonly name: string } | undefined) {
  return roleRef === undefined ? {} : { roleRef };
}

async function removeObject(cluster: Cluster, object: MaterialisedObject): Promise<void> {
  const { uid } = object.metadata;
  try {
    await cluster.delete(typeOf(object), keyOf(object), uid === undefined ? {} : { preconditions: { uid } });
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
  }
}

const TYPES = { ClusterRole, ClusterRoleBinding, RoleBinding } as const;
const MATERIALISED_ACTIONS = {
  ClusterRole: "clusterrole.materialized",
  ClusterRoleBinding: "clusterrolebinding.materialized",
  RoleBinding: "rolebinding.materialized",
} as const;

function kindOf({ kind }: KubeObject): keyof typeof TYPES {
  switch (kind) {
    case "ClusterRole":
    case "ClusterRoleBinding":
    case "RoleBinding":
      return kind;
    default:
      throw new Error(`kind ${kind} is never materialised`);
  }
}

function typeOf(object: KubeObject): ResourceType<KubeObject> {
  return TYPES[kindOf(object)];
}

function materialisedRecord(object: MaterialisedObject, action: AuditRecord["action"]): AuditRecord {
  const profile = object.metadata.annotations?.[ANNOTATIONS.rbacProfile];
  return {
    ...auditObject(typeOf(object), object.metadata),
    action,
    decision: "system",
    subject: FIELD_MANAGERS.rbacMaterialiser,
    ...(profile !== undefined && { matchedPolicy: profile }),
  };
}
