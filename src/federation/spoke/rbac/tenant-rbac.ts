import { auditObject } from "../../../api/audit-record.ts";
import { findCondition } from "../../../api/conditions.ts";
import { PermissionSnapshotReceipt } from "../../../api/kinds/permission-snapshot-receipt.ts";
import { FIELD_MANAGERS, NAMESPACES, snapshotReceiptName } from "../../../api/names.ts";
import type { Random } from "../../../base/random.ts";
import { isStatus } from "../../../cluster/api-status-error.ts";
import type { CacheEvent } from "../../../controller/cache/indexed-store.ts";
import { type Result, startController } from "../../../controller/controller.ts";
import { type Source, watchSource } from "../../../controller/source.ts";
import { applyStatus } from "../../../controller/status.ts";
import type { KubeObject, ObjectKey } from "../../../api/object.ts";
import {
  isMaterialised,
  materialisedKey,
  type MaterialisedObject,
} from "../../../permissions/materialise/materialised.ts";
import { MAX_MATERIALISED_OBJECTS, type RbacPlan, planRbac } from "../../../permissions/materialise/plan-rbac.ts";
import { type RbacChanges, rbacChanges } from "../../../permissions/materialise/rbac-changes.ts";
import { type RbacOutcome, writeRbac } from "../../../permissions/materialise/write-rbac.ts";
import { compareSurface, surfaceAgrees } from "../../../permissions/surface/compare-surface.ts";
import { rbacSurface } from "../../../permissions/surface/rbac-surface.ts";
import { acknowledge } from "../items/snapshot/snapshot-receipt.ts";
import type { SnapshotParts } from "../items/snapshot/snapshot-parts.ts";
import { liveNamespaces, startRbacCaches } from "./rbac-caches.ts";
import type { SurfaceFacts } from "./surface-facts.ts";

/** Quiet time after a change before it is looked at, milliseconds: a burst is one look. */
const GATHER_MS = 500;
/** A look at everything in any case (permissions §10.5). */
const EVERY_MS = 5 * 60_000;
/** How long materialised rights stay while no snapshot is held at all: long enough for a hub to deliver it again to a lost disk. */
const NOTHING_HELD_GRACE_MS = 5 * 60_000;
/** How soon what could not be written is tried again, milliseconds. */
const RETRY_MS = 30_000;
/** How soon a receipt that does not exist yet is looked for again: the first acknowledgement makes it. */
const RECEIPT_MS = 2_000;
/** Most names of materialised objects in the receipt. */
const MAX_LISTED_ARTIFACTS = 1_000;
/** Most failures told in the receipt. */
const MAX_TOLD = 3;

/** What {@link startTenantRbac} works with. */
export interface TenantRbacOptions extends SnapshotParts {
  /** False only compares: the cluster's RBAC is somebody else's. */
  readonly materialise: boolean;
  /** Where the outcome is kept for the report to the hub. */
  readonly surface: SurfaceFacts;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** The running loop. */
export interface TenantRbac {
  /** Resolves when the signal has aborted and everything has ended. */
  readonly closed: Promise<void>;
}

const KEY: ObjectKey = { name: "rbac" };

/**
 * Keeps the tenant's own RBAC at what its verified snapshot grants, and compares the two (permissions §7.4, §10.5). Watch-fed and
 * level-based: an altered or deleted object of ours comes back, a grant that has ended goes, and what others bind is told, never touched.
 */
export function startTenantRbac(options: TenantRbacOptions): TenantRbac {
  const { clock, store, random, signal } = options;
  const log = options.log.child({ component: "tenant-rbac" });
  const caches = startRbacCaches({ cluster: options.cluster, clock, random, log, signal });
  const loop = new TenantRbacLoop({ ...options, log }, caches);
  const wake = { map: () => [KEY], gatherMs: GATHER_MS };
  const snapshots: Source = {
    synced: Promise.resolve(),
    subscribe: (enqueue) => {
      enqueue(KEY);
      return store.subscribe(({ type }) => {
        if (type !== "renewed" && type !== "refused") enqueue(KEY);
      });
    },
  };
  const controller = startController({
    name: "tenant-rbac",
    reconcile: () => loop.look(),
    sources: [
      snapshots,
      watchSource(caches.namespaces, { ...wake, predicate: comesOrGoes }),
      watchSource(caches.roles, wake),
      watchSource(caches.clusterRoles, wake),
      watchSource(caches.roleBindings, wake),
      watchSource(caches.clusterRoleBindings, wake),
    ],
    workers: 1,
    clock,
    random,
    log,
    signal,
  });
  return { closed: Promise.all([controller.closed, caches.closed]).then(() => {}) };
}

function comesOrGoes(event: CacheEvent<KubeObject>): boolean {
  return event.type !== "MODIFIED" || event.object.metadata.deletionTimestamp !== event.old.metadata.deletionTimestamp;
}

class TenantRbacLoop {
  readonly #parts: TenantRbacOptions;
  readonly #caches: ReturnType<typeof startRbacCaches>;
  readonly #startedMs: number;

  constructor(parts: TenantRbacOptions, caches: ReturnType<typeof startRbacCaches>) {
    this.#parts = parts;
    this.#caches = caches;
    this.#startedMs = parts.clock.monotonic();
  }

  async look(): Promise<Result> {
    const { clock, materialise, cluster } = this.#parts;
    const plan = this.#plan();
    if (plan === undefined) return { requeueAfterMs: this.#graceMs() };
    const found: readonly MaterialisedObject[] = [
      ...this.#caches.clusterRoles.list(),
      ...this.#caches.clusterRoleBindings.list(),
      ...this.#caches.roleBindings.list(),
    ];
    const changes = materialise ? rbacChanges(plan.objects, found) : NO_CHANGES;
    const outcome = await writeRbac(cluster, changes, this.#parts.trail);
    if (outcome.written + outcome.removed > 0)
      this.#parts.log.info({ written: outcome.written, removed: outcome.removed }, "RBAC materialised");
    if (outcome.failures > 0)
      this.#parts.log.warn({ failures: outcome.failures, failed: outcome.failed }, "RBAC could not be materialised");
    const told = await this.#tell(plan, changes, outcome, found);
    const endMs = plan.nextEndMs === undefined ? EVERY_MS : Math.max(0, plan.nextEndMs - clock.now()) + 1;
    const againMs = !told ? RECEIPT_MS : outcome.failures > 0 ? RETRY_MS : EVERY_MS;
    return { requeueAfterMs: Math.min(endMs, againMs) };
  }

  /** What should stand now; undefined while it is too early to say. A snapshot that decides nothing any more grants nothing here either. */
  #plan(): RbacPlan | undefined {
    const { store, clock } = this.#parts;
    const { current } = store;
    const { freshness } = store.state();
    if (freshness === "NOT_READY" && this.#graceMs() > 0) return undefined;
    if (current === undefined || (freshness !== "FRESH" && freshness !== "STALE"))
      return { objects: [], nextEndMs: undefined };
    return planRbac(current.index.content, clock.now(), liveNamespaces(this.#caches));
  }

  #graceMs(): number {
    return Math.max(0, this.#startedMs + NOTHING_HELD_GRACE_MS - this.#parts.clock.monotonic());
  }

  /** False while there is no receipt to tell it in. */
  async #tell(
    plan: RbacPlan,
    changes: RbacChanges,
    outcome: RbacOutcome,
    found: readonly MaterialisedObject[],
  ): Promise<boolean> {
    const { store, clock, surface, clusterId, cluster, materialise } = this.#parts;
    const { current } = store;
    // What has just been written comes back by the watches, and is compared then.
    const settled = outcome.written + outcome.removed === 0;
    const report =
      current === undefined || !settled
        ? surface.report
        : compareSurface(current.index.content, {
            surface: rbacSurface({
              roles: this.#caches.roles.list(),
              clusterRoles: this.#caches.clusterRoles.list(),
              roleBindings: this.#caches.roleBindings.list(),
              clusterRoleBindings: this.#caches.clusterRoleBindings.list(),
            }),
            namespaces: liveNamespaces(this.#caches),
            nowMs: clock.now(),
          });
    const status = provisioningText(plan, changes, outcome, materialise);
    const artifacts = settled ? found.filter(isMaterialised).map(materialisedKey).sort() : undefined;
    const changed = surface.say(report, status);
    const key = { namespace: NAMESPACES.ont, name: snapshotReceiptName(clusterId) };
    let receipt: PermissionSnapshotReceipt;
    try {
      receipt = await cluster.get(PermissionSnapshotReceipt, key);
    } catch (error) {
      if (isStatus(error, "NotFound")) return false;
      throw error;
    }
    const fields = {
      localProvisioningStatus: status,
      localArtifacts: artifacts?.slice(0, MAX_LISTED_ARTIFACTS) ?? receipt.status?.localArtifacts ?? [],
      ...(report !== undefined && {
        surfaceHash: report.surfaceHash,
        excess: report.excess,
        excessTotal: report.excessTotal,
        missing: report.missing,
        missingTotal: report.missingTotal,
      }),
    };
    const agrees = report !== undefined && surfaceAgrees(report);
    const conditions =
      report === undefined
        ? []
        : [
            {
              type: "Compliant",
              status: agrees ? ("True" as const) : ("False" as const),
              reason: agrees ? "DriftAbsent" : "DriftDetected",
              message: `${report.excessTotal} rights beyond the snapshot, ${report.missingTotal} missing`,
            },
          ];
    const before = findCondition(receipt.status?.conditions, "Compliant")?.status;
    const another = report !== undefined && receipt.status?.surfaceHash !== report.surfaceHash;
    if (report !== undefined && ((before === "False") === agrees || (!agrees && another)))
      await this.#parts.trail.record({
        ...auditObject(PermissionSnapshotReceipt, receipt.metadata),
        action: "surface.drift",
        decision: "system",
        subject: `cluster:${clusterId}`,
        code: agrees ? "DriftAbsent" : "DriftDetected",
        ...(current !== undefined && { snapshotVersion: current.statement.version }),
        details: { excess: report.excessTotal, missing: report.missingTotal, surfaceHash: report.surfaceHash },
      });
    await applyStatus(
      { cluster, clock },
      PermissionSnapshotReceipt,
      receipt,
      { fields, conditions },
      FIELD_MANAGERS.rbacSurface,
    );
    if (changed) await acknowledge(this.#parts);
    return true;
  }
}

const NO_CHANGES: RbacChanges = { remove: [], write: [], foreign: [], beyondLimit: 0 };

/** `localProvisioningStatus`: one sentence, and what is wrong. */
function provisioningText(plan: RbacPlan, changes: RbacChanges, outcome: RbacOutcome, materialise: boolean): string {
  if (!materialise) return "not materialised: switched off on this tenant";
  const problems = [
    ...(changes.beyondLimit > 0
      ? [
          `${changes.beyondLimit} objects beyond the limit of ${MAX_MATERIALISED_OBJECTS}; nothing is added until there are fewer`,
        ]
      : []),
    ...changes.foreign.slice(0, MAX_TOLD).map((key) => `${key} belongs to somebody else and is left alone`),
    ...outcome.failed.slice(0, MAX_TOLD).map(({ object, message }) => `${object}: ${message}`),
  ];
  const sum = `${plan.objects.length} roles and bindings`;
  return problems.length === 0 ? `${sum} stand` : `${sum} wanted: ${problems.join("; ")}`.slice(0, 4096);
}
