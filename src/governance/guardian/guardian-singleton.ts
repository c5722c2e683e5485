import { CustomResourceDefinition, type CustomResourceDefinitionObject } from "../../api/builtin.ts";
import { type AuditTrail, auditObject } from "../../api/audit-record.ts";
import { type ConditionUpdate, findCondition } from "../../api/conditions.ts";
import { Guardian } from "../../api/kinds/guardian.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { ANNOTATIONS, FIELD_MANAGERS, GUARDIAN_NAME, NAMESPACES, PERMISSION_LAYERS } from "../../api/names.ts";
import type { ObjectKey } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { isStatus } from "../../cluster/api-status-error.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { type Informer, startInformer } from "../../controller/cache/informer.ts";
import { type Result, startController } from "../../controller/controller.ts";
import { type Source, ignoreStatusChanges, watchSource } from "../../controller/source.ts";
import { applyStatus } from "../../controller/status.ts";
import type { PermissionView } from "../engine/permission-view.ts";
import { approvedGroups, discoveredGroups, extensionRule, uncoveredGroups } from "./api-groups.ts";

/** Counts of profiles move with every computation; the status follows them at this pace, milliseconds. */
const GATHER_MS = 1_000;
const EVERY_MS = 10 * 60_000;

/** What {@link startGuardian} works with. */
export interface GuardianParts {
  readonly cluster: Cluster;
  readonly sets: Informer<PermissionSet>;
  /** The newest computation; undefined before the first. */
  readonly view: () => PermissionView | undefined;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced: () => void;
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Keeper of the Guardian singleton. */
export interface GuardianKeeper {
  /** Looks again, after a computation. */
  wake(): void;
  readonly closed: Promise<void>;
}

const KEY: ObjectKey = { namespace: NAMESPACES.seam, name: GUARDIAN_NAME };
const FLEET: ObjectKey = { namespace: NAMESPACES.seam, name: PERMISSION_LAYERS.fleet.maximum };

/**
 * Keeps the one Guardian object: how many clusters and profiles the plane serves, which foreign API groups there are, and - only when a
 * person has switched it on - which of them the fleet's ceiling lacks. A ceiling is never widened by a CRD's appearing: each group needs a
 * person's approval on the object (permissions §3, W27).
 */
export function startGuardian(parts: GuardianParts): GuardianKeeper {
  const { cluster, sets, clock, random, log, signal } = parts;
  const guardians = startInformer({ cluster, type: Guardian, namespace: NAMESPACES.seam, clock, random, log, signal });
  const crds = startInformer({ cluster, type: CustomResourceDefinition, clock, random, log, signal });
  const gathered = { map: () => [KEY], gatherMs: GATHER_MS };
  const first: Source = {
    synced: Promise.resolve(),
    subscribe: (enqueue) => {
      enqueue(KEY);
      return () => {};
    },
  };
  const controller = startController({
    name: "guardian",
    reconcile: () => reconcile(parts, guardians, crds),
    sources: [
      first,
      watchSource(guardians, { map: () => [KEY], predicate: ignoreStatusChanges }),
      watchSource(crds, { ...gathered, predicate: ignoreStatusChanges }),
      watchSource(sets, {
        map: ({ metadata }) => (metadata.name === FLEET.name && metadata.namespace === FLEET.namespace ? [KEY] : []),
        predicate: ignoreStatusChanges,
      }),
    ],
    workers: 1,
    clock,
    random,
    log,
    signal,
  });
  return {
    wake: () => controller.enqueueAfter(KEY, GATHER_MS),
    closed: Promise.all([controller.closed, guardians.closed, crds.closed]).then(() => {}),
  };
}

async function reconcile(
  { cluster, sets, view: viewNow, assertFenced, trail, clock, log }: GuardianParts,
  guardians: Informer<Guardian>,
  crds: Informer<CustomResourceDefinitionObject>,
): Promise<Result | void> {
  const guardian = guardians.get(KEY);
  assertFenced();
  if (guardian === undefined) {
    await createSingleton(cluster);
    return;
  }
  const view = viewNow();
  const groups = discoveredGroups(crds.list());
  const fleet = sets.get(FLEET);
  const proposing = guardian.spec.apiGroupSweep === "propose" && fleet !== undefined;
  const lacking = proposing ? uncoveredGroups(groups, fleet.spec.permissions) : [];
  const approved = approvedGroups(guardian.metadata.annotations?.[ANNOTATIONS.ceilingExtensionApproved]);
  const granted = lacking.filter((group) => approved.has(group));
  if (fleet !== undefined && granted.length > 0) {
    await extendCeiling(cluster, fleet, granted);
    log.warn(
      { groups: granted, ceiling: `${NAMESPACES.seam}/${FLEET.name}` },
      "approved API groups were added to the fleet's ceiling",
    );
    await trail.record({
      ...auditObject(PermissionSet, fleet.metadata),
      action: "ceiling.changed",
      decision: "admit",
      subject: FIELD_MANAGERS.permissionEngine,
      code: "ExtensionApproved",
      details: { groups: granted },
    });
  }
  const proposed = lacking.filter((group) => !approved.has(group));
  const { generation = 0 } = guardian.metadata;
  const conditions: ConditionUpdate[] = [
    {
      type: "CeilingExtensionProposed",
      status: proposed.length > 0 ? "True" : "False",
      reason: proposed.length > 0 ? "AwaitingApproval" : proposing ? "NothingToPropose" : "SweepOff",
      message:
        proposed.length > 0
          ? `${FLEET.name} does not cover ${proposed.slice(0, 20).join(", ")}; approve with annotation ${ANNOTATIONS.ceilingExtensionApproved}, a comma-separated list of groups`
          : "",
      observedGeneration: generation,
    },
    {
      type: "FleetCeilingPresent",
      status: fleet === undefined ? "False" : "True",
      reason: fleet === undefined ? "PermissionSetNotFound" : "PermissionSetFound",
      message:
        fleet === undefined
          ? `PermissionSet ${NAMESPACES.seam}/${FLEET.name} does not exist, so nothing is granted anywhere; create it`
          : "",
      observedGeneration: generation,
    },
  ];
  const standing = findCondition(guardian.status?.conditions, "CeilingExtensionProposed")?.message ?? "";
  const [proposal] = conditions;
  if (proposed.length > 0 && proposal?.message !== standing)
    await trail.record({
      ...auditObject(Guardian, guardian.metadata),
      action: "ceiling.extension_proposed",
      decision: "audit",
      subject: FIELD_MANAGERS.permissionEngine,
      code: "AwaitingApproval",
      details: { groups: proposed },
    });
  const fields = {
    observedGeneration: generation,
    discoveredAPIGroups: groups,
    ...(proposing && { proposedAPIGroups: proposed }),
    clusters: view?.snapshots.size ?? 0,
    profiles: view?.profiles.size ?? 0,
    provisionedProfiles: view?.provisionedProfiles ?? 0,
  };
  await applyStatus({ cluster, clock }, Guardian, guardian, { fields, conditions }, FIELD_MANAGERS.permissionEngine);
  return { requeueAfterMs: EVERY_MS };
}

async function createSingleton(cluster: Cluster): Promise<void> {
  try {
    await cluster.create(
      Guardian,
      { apiVersion: "guardian.ontai.dev/v1alpha1", kind: "Guardian", metadata: { ...KEY }, spec: {} },
      { fieldManager: FIELD_MANAGERS.permissionEngine },
    );
  } catch (error) {
    if (!isStatus(error, "AlreadyExists")) throw error;
  }
}

/** Conditional on what was read: a person who tightens the ceiling meanwhile is not overruled. @throws ApiStatusError 409 */
async function extendCeiling(cluster: Cluster, fleet: PermissionSet, groups: readonly string[]): Promise<void> {
  const permissions = [...fleet.spec.permissions, ...groups.map(extensionRule)];
  const extended = { ...fleet, spec: { ...fleet.spec, permissions } };
  await cluster.update(PermissionSet, extended, { fieldManager: FIELD_MANAGERS.permissionEngine });
}
