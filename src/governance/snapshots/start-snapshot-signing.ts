import { type AuditTrail, silentTrail } from "../../api/audit-record.ts";
import type { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { FIELD_MANAGERS, LABELS } from "../../api/names.ts";
import { type ObjectKey, keyOf, keyText } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { type Metrics, silentMetrics } from "../../base/metrics.ts";
import { inSlices } from "../../base/next-turn.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { CacheEvent } from "../../controller/cache/indexed-store.ts";
import { type Controller, type Reconciler, startController } from "../../controller/controller.ts";
import { startEventRecorder } from "../../controller/events.ts";
import { type Source, ignoreStatusChanges, watchSource } from "../../controller/source.ts";
import { type Contribution, DECLARATION_FULLY_TRIMMED } from "../../permissions/builder/contribution.ts";
import type { KeyLookup, Signer } from "../../trust/dsse.ts";
import { type PermissionListener, type PermissionView, changedKey } from "../engine/permission-view.ts";
import { startPermissionEngine } from "../engine/running-engine.ts";
import { providerReachability } from "../identity/provider-reachability.ts";
import { ClusterPolicies } from "../policies/cluster-policies.ts";
import { engineInformers, startPermissionCaches } from "./permission-caches.ts";
import { startGuardian } from "../guardian/guardian-singleton.ts";
import { startMemberships } from "../membership/memberships.ts";
import { type PermissionSource, SourceListeners } from "../live/permission-source.ts";
import { startManagementRbac } from "../rbac/management-rbac.ts";
import { startPermissionStatuses } from "./permission-statuses.ts";
import { deletedProfileRecord } from "./permission-trail.ts";
import { recordTransition } from "./snapshot-events.ts";
import { SnapshotSigner } from "./snapshot-signer.ts";

/** Keys that are handed to the controllers at once. */
const SLICE_MS = 5;
/** Name of the management cluster when nothing else is said (permissions §0). */
const DEFAULT_MANAGEMENT_CLUSTER = "ccs-mgmt";

/** Options of {@link startSnapshotSigning}. */
export interface SnapshotSigningOptions {
  /** The management cluster. */
  readonly cluster: Cluster;
  /** The active signing key. */
  readonly signer: Signer;
  /** Trusted keys; must hold the active one. */
  readonly keys: KeyLookup;
  /** Name under which profiles and policies know the management cluster, besides `management`. */
  readonly managementCluster?: string;
  /** How long a statement counts as fresh, seconds (PERMISSION_SNAPSHOT_FRESHNESS_WINDOW); default 300. Renewed at half of it. */
  readonly freshnessWindowSeconds?: number;
  /** How long a tenant may decide without renewal, seconds; default 86,400. */
  readonly maxOfflineSeconds?: number;
  /** Revocations that were issued; absent means none. */
  readonly revocations?: SnapshotRevocations;
  /** Fencing check before leader-only writes. @throws NotLeading */
  readonly assertFenced?: () => void;
  /** The hub's own audit log; absent: nothing is recorded. */
  readonly trail?: AuditTrail;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics?: Metrics;
  readonly signal: AbortSignal;
}

/** Revocation floors of snapshots: a lower sequence is replaced by one at the floor, so that a revoked tenant can serve again. */
export interface SnapshotRevocations {
  /** Lowest sequence that may be in force on a cluster; 0 when nothing was revoked. */
  minSequence(cluster: string): number;
  /** Calls `listener` with a cluster id after its floor may have risen. Returns the way to stop. */
  subscribe(listener: (cluster: string) => void): () => void;
}

/** The running permission engine and signer. Leader only. */
export interface SnapshotSigning {
  /** Resolves when the caches have synced and the first computation is done. */
  readonly ready: Promise<void>;
  /** The graph that is signed, for questions about it. */
  readonly source: PermissionSource;
  /** Resolves when the signal has aborted and every loop has ended. */
  readonly closed: Promise<void>;
}

/**
 * Management side of the permission plane: validates sets, policies and profiles, sets `provisioned`, computes every tenant's content
 * and keeps it signed.
 */
export async function startSnapshotSigning(options: SnapshotSigningOptions): Promise<SnapshotSigning> {
  const { cluster, clock, random, signal } = options;
  const log = options.log.child({ room: "permission-engine" });
  const caches = startPermissionCaches({ cluster, clock, random, log, signal });
  const managementCluster = options.managementCluster ?? DEFAULT_MANAGEMENT_CLUSTER;
  const trail = options.trail ?? silentTrail;
  const metrics = options.metrics ?? silentMetrics;
  const leader = { cluster, assertFenced: options.assertFenced ?? (() => {}), trail, clock, random, log, signal };
  const listeners = new SourceListeners();
  /** Published version per cluster; bounded by the number of clusters. */
  const versions = new Map<string, string>();
  const quiet: Source = { synced: caches.synced, subscribe: () => () => {} };
  const controller = (name: string, reconcile: Reconciler, sources: readonly Source[]): Controller =>
    startController({
      name,
      reconcile,
      sources: [quiet, ...sources],
      metrics,
      clock,
      random,
      log,
      signal,
    });

  const signing = new SnapshotSigner({
    cluster,
    signer: options.signer,
    keys: options.keys,
    caches,
    computed: (name) => engine.view()?.snapshots.get(name),
    minSequence: (name) => options.revocations?.minSequence(name) ?? 0,
    assertFenced: options.assertFenced ?? (() => {}),
    published: (name, version) => {
      if (versions.get(name) === version) return;
      versions.set(name, version);
      for (const { object } of engine.view()?.profilesOn(name) ?? []) statuses.profiles.enqueue(keyOf(object));
    },
    trail,
    clock,
    random,
    log,
  });
  const snapshots = controller(
    "permission-snapshot",
    async (key) => (engine.view() === undefined ? undefined : signing.reconcile(key)),
    [
      // A Secret or object that somebody changed or removed is put right at once, not at the next renewal.
      watchSource(caches.secrets, { map: ({ metadata }) => clusterKey(metadata.labels?.[LABELS.cluster]) }),
      watchSource(caches.snapshots, {
        map: ({ spec }) => clusterKey(spec.targetCluster),
        predicate: (event) => event.type === "DELETED" || ignoreStatusChanges(event) || acknowledgementMoved(event),
      }),
    ],
  );
  const managementRbac = startManagementRbac({
    ...leader,
    managementCluster,
    view: () => engine.view(),
    changed: (keys) => {
      for (const key of keys) statuses.profiles.enqueue(key);
    },
  });
  const statuses = startPermissionStatuses({
    ...leader,
    caches,
    controller,
    view: () => engine.view(),
    versions,
    materialisationFailure: managementRbac.failure,
  });
  const { sets, policies, providers, bindings, profiles } = statuses;

  const warnOf = (profile: RBACProfile, { problem, fullyTrimmed }: Contribution): void => {
    const name = keyText(profile.metadata);
    if (problem !== undefined) log.warn({ profile: name, problem }, "profile excluded; the others go on");
    for (const declaration of fullyTrimmed)
      log.warn({ profile: name, declaration, warning: DECLARATION_FULLY_TRIMMED }, "its ceilings leave nothing of it");
  };

  /** Counts in the status of sets and policies follow the profiles that name them. */
  const counted = ({ metadata: { namespace = "" }, spec }: RBACProfile): void => {
    for (const { permissionSetRef: name } of spec.permissionDeclarations) sets.enqueue({ namespace, name });
    if (spec.rbacPolicyRef) policies.enqueue({ namespace, name: spec.rbacPolicyRef });
  };
  const listener: PermissionListener = {
    set: (before, after) => sets.enqueue(changedKey(before, after)),
    policy: (before, after) => policies.enqueue(changedKey(before, after)),
    provider: (before, after) => providers.enqueue(changedKey(before, after)),
    binding: (before, after) => bindings.enqueue(changedKey(before, after)),
    profile: (before, after) => {
      profiles.enqueue(changedKey(before, after));
      if (before?.object !== after?.object) for (const each of [before, after]) if (each) counted(each.object);
      if (after !== undefined) warnOf(after.object, after.contribution);
      else if (before?.verdict.ok === true) void trail.record(deletedProfileRecord(before.object));
    },
    cluster: (name, before, after) => {
      listeners.tell(name);
      if (before !== after) snapshots.enqueue({ name });
      if (after === undefined) versions.delete(name);
      if (name === managementCluster) managementRbac.wake();
    },
  };

  /** Every status and every snapshot is looked at, whatever was heard of them. */
  function* everything(view: PermissionView): Generator<void, void> {
    for (const { spec, status } of caches.snapshots.list()) {
      const { targetCluster: name, version } = spec;
      if (!versions.has(name) && view.snapshots.has(name) && status?.signedVersion === version)
        versions.set(name, version);
      // Also those of clusters that went away while nobody watched.
      snapshots.enqueue({ name });
      yield;
    }
    for (const name of view.snapshots.keys()) {
      snapshots.enqueue({ name });
      yield;
    }
    for (const { object, contribution } of view.profiles.values()) {
      profiles.enqueue(keyOf(object));
      warnOf(object, contribution);
      yield;
    }
    const kinds = [
      [view.sets, sets],
      [view.policies, policies],
      [view.providers, providers],
      [view.bindings, bindings],
    ] as const;
    for (const [judged, statuses] of kinds)
      for (const { object } of judged.values()) {
        statuses.enqueue(keyOf(object));
        yield;
      }
  }

  const engine = startPermissionEngine({
    settings: {
      managementCluster,
      ...(options.freshnessWindowSeconds !== undefined && { freshnessWindowSeconds: options.freshnessWindowSeconds }),
      ...(options.maxOfflineSeconds !== undefined && { maxOfflineSeconds: options.maxOfflineSeconds }),
    },
    informers: engineInformers(caches),
    listener,
    computedAnew: async () => {
      const view = engine.view();
      if (view === undefined) return;
      managementRbac.wake();
      listeners.tell(undefined);
      await inSlices(everything(view), SLICE_MS, clock);
    },
    computed: ({ recomputed, durationMs }) => {
      guardian.wake();
      const view = engine.view();
      metrics.observe("epg_compute_seconds", durationMs / 1000);
      if (view !== undefined) {
        metrics.gauge("epg_profiles", view.provisionedProfiles, { state: "provisioned" });
        metrics.gauge("epg_profiles", view.profiles.size - view.provisionedProfiles, { state: "refused" });
      }
      if (view === undefined || recomputed === 0) return;
      void trail.record({
        action: "epg.computation_complete",
        decision: "system",
        subject: FIELD_MANAGERS.permissionEngine,
        resource: "effective permission graph",
        details: {
          clusters: view.snapshots.size,
          recomputed,
          profiles: view.profiles.size,
          durationMs: Math.round(durationMs),
        },
      });
    },
    clock,
    log,
    signal,
  });
  const guardian = startGuardian({ ...leader, sets: caches.sets, view: () => engine.view() });
  caches.snapshots.subscribe(({ object }) => listeners.tell(object.spec.targetCluster));
  const events = startEventRecorder({ component: FIELD_MANAGERS.signer, ...leader });
  caches.snapshots.subscribe((event) => recordTransition(events, trail, event));
  const memberships = startMemberships({ ...leader, profiles: caches.profiles });
  const unsubscribe = options.revocations?.subscribe((name) => snapshots.enqueue({ name }));
  if (unsubscribe !== undefined) signal.addEventListener("abort", unsubscribe, { once: true });
  const layers = new ClusterPolicies({ cluster, caches, assertFenced: options.assertFenced ?? (() => {}), log });
  const clusterPolicies = controller("cluster-policy", layers.reconcile, layers.sources());
  const assertFenced = options.assertFenced ?? (() => {});
  const reachability = controller(
    "identity-provider-reachability",
    providerReachability({ cluster, providers: caches.providers, assertFenced, clock, random }),
    [watchSource(caches.providers, { predicate: ignoreStatusChanges })],
  );
  // A stop before the first sync ends `ready` with the signal's reason; `closed` is what a stopping owner waits for.
  engine.ready.catch(() => {});
  return {
    ready: engine.ready,
    source: {
      view: () => engine.view(),
      clusters: caches.clusters,
      snapshots: caches.snapshots,
      subscribe: (told) => listeners.subscribe(told),
    },
    closed: Promise.all([
      caches.closed,
      ...[snapshots, sets, policies, profiles, providers, bindings, clusterPolicies, reachability].map(
        (each) => each.closed,
      ),
      engine.closed,
      managementRbac.closed,
      guardian.closed,
      memberships.closed,
      events.closed,
    ]).then(() => {}),
  };
}

/** Condition OutOfSync follows what the tenant acknowledged. */
function acknowledgementMoved(event: CacheEvent<PermissionSnapshot>): boolean {
  return event.type === "MODIFIED" && event.object.status?.lastAckedVersion !== event.old.status?.lastAckedVersion;
}

function clusterKey(name: string | undefined): readonly ObjectKey[] {
  return name === undefined || name === "" ? [] : [{ name }];
}
