import { type AuditTrail, silentTrail } from "../../api/audit-record.ts";
import type { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { FIELD_MANAGERS, LABELS } from "../../api/names.ts";
import type { KubeObject, ObjectKey } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { type Metrics, silentMetrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { CacheEvent } from "../../controller/cache/indexed-store.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import { type Controller, type Reconciler, startController } from "../../controller/controller.ts";
import { startEventRecorder } from "../../controller/events.ts";
import { type Source, ignoreStatusChanges, watchSource } from "../../controller/source.ts";
import { type Contribution, DECLARATION_FULLY_TRIMMED } from "../../permissions/builder/contribution.ts";
import type { KeyLookup, Signer } from "../../trust/dsse.ts";
import { Debounce } from "../index/debounce.ts";
import { providerReachability } from "../identity/provider-reachability.ts";
import { ClusterPolicies } from "../policies/cluster-policies.ts";
import { startPermissionCaches } from "./permission-caches.ts";
import { startGuardian } from "../guardian/guardian-singleton.ts";
import { startMemberships } from "../membership/memberships.ts";
import { startManagementRbac } from "../rbac/management-rbac.ts";
import { type PermissionView, PermissionEngine, objectKey } from "./permission-engine.ts";
import { startPermissionStatuses } from "./permission-statuses.ts";
import { deletedProfileRecord } from "./permission-trail.ts";
import { recordTransition } from "./snapshot-events.ts";
import { SnapshotSigner } from "./snapshot-signer.ts";

/** Quiet time before changes are computed, milliseconds (permissions §8.1). */
const QUIET_MS = 200;
/** Longest a change waits, milliseconds. */
const MAX_WAIT_MS = 2_000;
/** How often everything is computed anew and every status looked at again, milliseconds (permissions §8.1). */
const FULL_RECONCILE_MS = 10 * 60_000;
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
  const leader = { cluster, assertFenced: options.assertFenced ?? (() => {}), trail, clock, random, log, signal };
  let engine = new PermissionEngine();
  let view: PermissionView | undefined;
  /** Published version per cluster; bounded by the number of clusters. */
  const versions = new Map<string, string>();
  const quiet: Source = { synced: caches.synced, subscribe: () => () => {} };
  const controller = (name: string, reconcile: Reconciler, sources: readonly Source[]): Controller =>
    startController({
      name,
      reconcile,
      sources: [quiet, ...sources],
      metrics: options.metrics ?? silentMetrics,
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
    computed: (name) => view?.snapshots.get(name),
    minSequence: (name) => options.revocations?.minSequence(name) ?? 0,
    assertFenced: options.assertFenced ?? (() => {}),
    published: (name, version) => {
      if (versions.get(name) === version) return;
      versions.set(name, version);
      for (const { object, contribution } of view?.profiles.values() ?? [])
        if (contribution.clusters.includes(name)) statuses.profiles.enqueue(keyOfObject(object));
    },
    trail,
    clock,
    random,
    log,
  });
  const snapshots = controller(
    "permission-snapshot",
    async (key) => (view === undefined ? undefined : signing.reconcile(key)),
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
    view: () => view,
    changed: (keys) => {
      for (const key of keys) {
        const judged = view?.profiles.get(key);
        if (judged !== undefined) statuses.profiles.enqueue(keyOfObject(judged.object));
      }
    },
  });
  const statuses = startPermissionStatuses({
    ...leader,
    caches,
    controller,
    view: () => view,
    versions,
    managementCluster,
    materialisationFailure: managementRbac.failure,
  });
  const { sets, policies, providers, bindings, profiles } = statuses;

  const warnOf = (profile: RBACProfile, { problem, fullyTrimmed }: Contribution): void => {
    const name = objectKey(profile.metadata);
    if (problem !== undefined) log.warn({ profile: name, problem }, "profile excluded; the others go on");
    for (const declaration of fullyTrimmed)
      log.warn({ profile: name, declaration, warning: DECLARATION_FULLY_TRIMMED }, "its ceilings leave nothing of it");
  };

  const compute = (): void => {
    const before = view;
    const started = clock.monotonic();
    const now = engine.compute({
      clusters: caches.clusters.list(),
      profiles: caches.profiles.list(),
      policies: caches.policies.list(),
      sets: caches.sets.list(),
      providers: caches.providers.list(),
      bindings: caches.bindings.list(),
      managementCluster,
      ...(options.freshnessWindowSeconds !== undefined && { freshnessWindowSeconds: options.freshnessWindowSeconds }),
      ...(options.maxOfflineSeconds !== undefined && { maxOfflineSeconds: options.maxOfflineSeconds }),
    });
    view = now;
    for (const name of new Set([...now.snapshots.keys(), ...(before?.snapshots.keys() ?? [])]))
      if (before?.snapshots.get(name) !== now.snapshots.get(name)) snapshots.enqueue({ name });
    for (const name of versions.keys()) if (!now.snapshots.has(name)) versions.delete(name);
    // Counts in the status of sets and policies follow the profiles that name them.
    const counted = new Set<string>();
    for (const [key, { object, contribution }] of now.profiles) {
      const held = before?.profiles.get(key);
      if (held === now.profiles.get(key)) continue;
      profiles.enqueue(keyOfObject(object));
      for (const name of namedBy(object)) counted.add(name);
      if (held !== undefined) for (const name of namedBy(held.object)) counted.add(name);
      warnOf(object, contribution);
    }
    for (const [key, { object, verdict }] of before?.profiles ?? []) {
      if (now.profiles.has(key)) continue;
      for (const name of namedBy(object)) counted.add(name);
      if (verdict.ok) void trail.record(deletedProfileRecord(object));
    }
    for (const [key, entry] of now.sets)
      if (before?.sets.get(key) !== entry || counted.has(key)) sets.enqueue(keyOfObject(entry.object));
    for (const [key, entry] of now.policies)
      if (before?.policies.get(key) !== entry || counted.has(key)) policies.enqueue(keyOfObject(entry.object));
    for (const [key, entry] of now.providers)
      if (before?.providers.get(key) !== entry) providers.enqueue(keyOfObject(entry.object));
    for (const [key, entry] of now.bindings)
      if (before?.bindings.get(key) !== entry) bindings.enqueue(keyOfObject(entry.object));
    managementRbac.wake();
    guardian.wake();
    const durationMs = clock.monotonic() - started;
    if (now.recomputed.size > 0)
      void trail.record({
        action: "epg.computation_complete",
        decision: "system",
        subject: FIELD_MANAGERS.permissionEngine,
        resource: "effective permission graph",
        details: {
          clusters: now.snapshots.size,
          recomputed: now.recomputed.size,
          profiles: now.profiles.size,
          durationMs: Math.round(durationMs),
        },
      });
    log.debug({ clusters: now.snapshots.size, recomputed: now.recomputed.size, durationMs }, "permissions computed");
  };

  const guardian = startGuardian({ ...leader, sets: caches.sets, view: () => view });
  const events = startEventRecorder({ component: FIELD_MANAGERS.signer, ...leader });
  caches.snapshots.subscribe((event) => recordTransition(events, trail, event));
  const memberships = startMemberships({ ...leader, profiles: caches.profiles });
  const unsubscribe = options.revocations?.subscribe((name) => snapshots.enqueue({ name }));
  if (unsubscribe !== undefined) signal.addEventListener("abort", unsubscribe, { once: true });
  const debounce = new Debounce({ quietMs: QUIET_MS, maxMs: MAX_WAIT_MS, clock, signal, fire: compute });
  const layers = new ClusterPolicies({ cluster, caches, assertFenced: options.assertFenced ?? (() => {}), log });
  const clusterPolicies = controller("cluster-policy", layers.reconcile, layers.sources());
  const ready = caches.synced.then(() => {
    compute();
    // Snapshots of clusters that went away while nobody watched.
    for (const { spec } of caches.snapshots.list()) snapshots.enqueue({ name: spec.targetCluster });
    const changed = (event: { readonly relevant: boolean }): void => {
      if (event.relevant) debounce.touch("permissions");
    };
    const follow = <T extends KubeObject>(informer: Informer<T>): void => {
      informer.subscribe((event) => changed({ relevant: ignoreStatusChanges(event) }));
    };
    follow(caches.clusters);
    follow(caches.profiles);
    follow(caches.policies);
    follow(caches.sets);
    follow(caches.providers);
    follow(caches.bindings);
  });
  const assertFenced = options.assertFenced ?? (() => {});
  const reachability = controller(
    "identity-provider-reachability",
    providerReachability({ cluster, providers: caches.providers, assertFenced, clock, random }),
    [watchSource(caches.providers, { predicate: ignoreStatusChanges })],
  );
  const safetyNet = async (): Promise<void> => {
    try {
      await caches.synced;
      for (;;) {
        await clock.sleep(FULL_RECONCILE_MS, signal);
        engine = new PermissionEngine();
        compute();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };
  const reconciling = safetyNet();
  // A stop before the first sync ends `ready` with the signal's reason; `closed` is what a stopping owner waits for.
  ready.catch(() => {});
  return {
    ready,
    closed: Promise.all([
      caches.closed,
      ...[snapshots, sets, policies, profiles, providers, bindings, clusterPolicies, reachability].map(
        (each) => each.closed,
      ),
      reconciling,
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

/** `namespace/name` of the policy and the sets that a profile names. */
function namedBy({ metadata: { namespace = "" }, spec }: RBACProfile): readonly string[] {
  const sets = spec.permissionDeclarations.map(({ permissionSetRef }) => permissionSetRef);
  return [spec.rbacPolicyRef ?? "", ...sets].map((name) => objectKey({ namespace, name }));
}

function clusterKey(name: string | undefined): readonly ObjectKey[] {
  return name === undefined || name === "" ? [] : [{ name }];
}

function keyOfObject({ metadata }: KubeObject): ObjectKey {
  return { namespace: metadata.namespace ?? "", name: metadata.name };
}
