import type { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { LABELS } from "../../api/names.ts";
import type { KubeObject, ObjectKey } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { Informer } from "../../controller/cache/informer.ts";
import { type Controller, type Reconciler, startController } from "../../controller/controller.ts";
import { type Source, ignoreStatusChanges, watchSource } from "../../controller/source.ts";
import { applicableClusters } from "../../permissions/builder/applicable-clusters.ts";
import type { KeyLookup, Signer } from "../../trust/dsse.ts";
import { Debounce } from "../index/debounce.ts";
import { startPermissionCaches } from "./permission-caches.ts";
import type { Verdict } from "../../permissions/validation/verdict.ts";
import { type Judged, type PermissionView, computePermissions, objectKey } from "./permission-engine.ts";
import { writePolicyStatus, writeProfileStatus, writeSetStatus } from "./permission-status.ts";
import { SnapshotSigner } from "./snapshot-signer.ts";

/** Quiet time before changes are computed, milliseconds (permissions §8.1). */
const QUIET_MS = 200;
/** Longest a change waits, milliseconds. */
const MAX_WAIT_MS = 2_000;
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
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
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
  const parts = { cluster, clock };
  let view: PermissionView | undefined;
  /** Published version per cluster; bounded by the number of clusters. */
  const versions = new Map<string, string>();
  const quiet: Source = { synced: caches.synced, subscribe: () => () => {} };
  const controller = (name: string, reconcile: Reconciler, sources: readonly Source[]): Controller =>
    startController({ name, reconcile, sources: [quiet, ...sources], clock, random, log, signal });

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
      for (const { object } of view?.profiles.values() ?? []) profiles.enqueue(keyOfObject(object));
    },
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
        predicate: (event) => event.type === "DELETED" || ignoreStatusChanges(event),
      }),
    ],
  );
  /** Writes the status of an object from the verdict on exactly this generation; a newer generation is about to be judged. */
  const statusOf =
    <T extends KubeObject, V extends Verdict>(
      informer: Informer<T>,
      judgedIn: (view: PermissionView) => ReadonlyMap<string, Judged<T, V>>,
      write: (object: T, verdict: V, view: PermissionView) => Promise<void>,
    ): Reconciler =>
    async (key) => {
      const now = view;
      const judged = now && judgedIn(now).get(objectKey(key));
      const object = informer.get(key);
      if (now === undefined || judged === undefined || object === undefined) return;
      const { generation, uid } = judged.object.metadata;
      if (object.metadata.generation !== generation || object.metadata.uid !== uid) return;
      options.assertFenced?.();
      await write(object, judged.verdict, now);
    };
  const sets = controller(
    "permission-set",
    statusOf(
      caches.sets,
      (now) => now.sets,
      (set, verdict, now) => writeSetStatus(parts, set, verdict, now),
    ),
    [],
  );
  const policies = controller(
    "rbac-policy",
    statusOf(
      caches.policies,
      (now) => now.policies,
      (policy, verdict, now) => writePolicyStatus(parts, policy, verdict, now),
    ),
    [],
  );
  const profiles = controller(
    "rbac-profile",
    statusOf(
      caches.profiles,
      (now) => now.profiles,
      (profile, verdict, now) => writeProfileStatus(parts, profile, verdict, versionsOf(profile, now)),
    ),
    [],
  );

  function versionsOf(profile: RBACProfile, now: PermissionView): ReadonlyMap<string, string> {
    const policy = now.policies.get(`${profile.metadata.namespace ?? ""}/${profile.spec.rbacPolicyRef ?? ""}`)?.object;
    if (policy === undefined) return new Map();
    const registered = new Set(caches.clusters.list().map(({ metadata }) => metadata.name));
    const clusters = profile.spec.permissionDeclarations.flatMap((declaration) =>
      applicableClusters(profile, declaration, policy, { registered, managementCluster }),
    );
    const found = new Map<string, string>();
    for (const name of clusters) {
      const version = versions.get(name);
      if (version !== undefined) found.set(name, version);
    }
    return found;
  }

  const compute = (): void => {
    const before = view;
    const started = clock.monotonic();
    const now = computePermissions(
      {
        clusters: caches.clusters.list(),
        profiles: caches.profiles.list(),
        policies: caches.policies.list(),
        sets: caches.sets.list(),
        managementCluster,
        ...(options.freshnessWindowSeconds !== undefined && { freshnessWindowSeconds: options.freshnessWindowSeconds }),
        ...(options.maxOfflineSeconds !== undefined && { maxOfflineSeconds: options.maxOfflineSeconds }),
      },
      before,
    );
    view = now;
    for (const { namespace, name, problem } of now.excluded)
      log.warn({ profile: `${namespace}/${name}`, problem }, "profile excluded; the others go on");
    for (const name of new Set([...now.snapshots.keys(), ...(before?.snapshots.keys() ?? [])]))
      if (before?.snapshots.get(name) !== now.snapshots.get(name)) snapshots.enqueue({ name });
    for (const name of versions.keys()) if (!now.snapshots.has(name)) versions.delete(name);
    for (const { object } of now.sets.values()) sets.enqueue(keyOfObject(object));
    for (const { object } of now.policies.values()) policies.enqueue(keyOfObject(object));
    for (const { object } of now.profiles.values()) profiles.enqueue(keyOfObject(object));
    log.debug({ clusters: now.snapshots.size, durationMs: clock.monotonic() - started }, "permissions computed");
  };

  const unsubscribe = options.revocations?.subscribe((name) => snapshots.enqueue({ name }));
  if (unsubscribe !== undefined) signal.addEventListener("abort", unsubscribe, { once: true });
  const debounce = new Debounce({ quietMs: QUIET_MS, maxMs: MAX_WAIT_MS, clock, signal, fire: compute });
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
  });
  // A stop before the first sync ends `ready` with the signal's reason; `closed` is what a stopping owner waits for.
  ready.catch(() => {});
  return {
    ready,
    closed: Promise.all([caches.closed, snapshots.closed, sets.closed, policies.closed, profiles.closed]).then(
      () => {},
    ),
  };
}

function clusterKey(name: string | undefined): readonly ObjectKey[] {
  return name === undefined || name === "" ? [] : [{ name }];
}

function keyOfObject({ metadata }: KubeObject): ObjectKey {
  return { namespace: metadata.namespace ?? "", name: metadata.name };
}
