import { silentTrail } from "../../../src/api/audit-record.ts";
import { ConfigMap, type ConfigMapObject, Secret, type SecretObject } from "../../../src/api/builtin.ts";
import { PermissionSnapshot } from "../../../src/api/kinds/permission-snapshot.ts";
import { LABELS, NAMESPACES, clusterOfNamespace, signedSnapshotSecretName } from "../../../src/api/names.ts";
import type { KubeObject, ObjectKey } from "../../../src/api/object.ts";
import type { ResourceType } from "../../../src/api/resource-type.ts";
import { silentLog } from "../../../src/base/log.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import { type Controller, startController } from "../../../src/controller/controller.ts";
import { PermissionEngine } from "../../../src/governance/engine/permission-engine.ts";
import { type PermissionObject, objectName } from "../../../src/governance/engine/permission-object.ts";
import { objectsOf } from "../../../src/governance/engine/permission-world.ts";
import { SNAPSHOT_LEDGER } from "../../../src/governance/snapshots/snapshot-ledger.ts";
import { SnapshotSigner } from "../../../src/governance/snapshots/snapshot-signer.ts";
import { parseStatement } from "../../../src/permissions/snapshot/statement.ts";
import { decodeEnvelope } from "../../../src/trust/dsse.ts";
import type { KeyRing } from "../../../src/trust/keyring/key-ring.ts";
import { trustingOwnKey } from "../../../src/trust/keyring/own-key.ts";
import { Process } from "../process.ts";
import { START_WALL_MS, type World } from "../world.ts";
import { apiClient } from "./api-client.ts";
import { type DeclaredPermissions, OFFLINE_SECONDS, WINDOW_SECONDS } from "./declared-permissions.ts";
import type { LeaderLease } from "./leader-lease.ts";
import { type ObjectStore, pathOf } from "./object-store.ts";
import type { PermissionJudge } from "./permission-judge.ts";
import { processClock } from "./process-clock.ts";
import type { SigningKey } from "./signing-keys.ts";

/** What every signer process shares. */
export interface SignerParts {
  readonly world: World;
  readonly store: ObjectStore;
  readonly declared: DeclaredPermissions;
  readonly judge: PermissionJudge;
  readonly lease: LeaderLease;
  /** The active key and the keys that are trusted, as they are mounted when a process starts. */
  readonly keys: { active: SigningKey; readonly ring: KeyRing };
  /** Revocation floor of a cluster. */
  floor(cluster: string): number;
  /** Milliseconds that the wall clock of the management side is off. */
  skewMs(): number;
  failing(): boolean;
}

/**
 * One replica of the management side: the real engine, signer and controller over a simulated API server, while it leads. Caches lag,
 * the process dies at any request, and a replica that lost the lease while it was stopped finds that out by the fence alone.
 */
export class SignerProcess {
  readonly name: string;
  readonly #parts: SignerParts;
  readonly #process: Process;
  #bootMs = 0;
  #dieAfter = Infinity;
  #over = false;
  #engine: PermissionEngine | undefined = undefined;
  /** What the engine was told, by name. */
  #told: Map<string, PermissionObject> = new Map();
  #cache: Map<string, KubeObject> = new Map();
  #controller: Controller | undefined = undefined;
  #leads = false;
  /** Times a replica began to lead. */
  elections = 0;

  constructor(name: string, parts: SignerParts) {
    this.name = name;
    this.#parts = parts;
    this.#process = new Process(parts.world);
    parts.store.watch((path, object) => {
      const { world } = parts;
      this.#process.after(world.chance(0.05) ? world.between(500, 3_000) : world.between(1, 120), () =>
        this.#seen(path, object),
      );
    });
  }

  boot(): void {
    const { world } = this.#parts;
    if (this.#over) return;
    this.#process.start();
    this.#bootMs = world.nowMs;
    this.#dieAfter = Infinity;
    this.#leads = false;
    this.#controller = undefined;
    world.trace(this.name, () => `boots (process ${this.#process.incarnation})`);
    this.#campaign();
  }

  /** The process dies at the `boundaries`-th step of a request from now. */
  crash(boundaries: number): void {
    if (!this.#process.alive) return;
    this.#dieAfter = boundaries;
    if (boundaries === 0) this.#die();
    else this.#process.after(4_000, () => this.#die());
  }

  freeze(ms: number): void {
    this.#parts.world.trace(this.name, () => `is frozen for ${ms} ms`);
    this.#process.freeze(ms);
  }

  /** What was declared changed: this process learns of it. */
  declared(): void {
    const { world } = this.#parts;
    this.#process.after(world.between(20, 900), () => this.#compute());
  }

  /** A floor may have risen. */
  floorRaised(cluster: string): void {
    this.#process.after(this.#parts.world.between(1, 200), () => this.#enqueue(cluster));
  }

  /** Switched off for good. */
  stop(): void {
    this.#over = true;
    this.#die();
  }

  /** No crash is left over. */
  settle(): void {
    if (this.#dieAfter !== Infinity) this.#die();
  }

  #die(): void {
    if (!this.#process.alive) return;
    const { world } = this.#parts;
    world.trace(this.name, () => "crashes");
    this.#process.end();
    this.#dieAfter = Infinity;
    this.#leads = false;
    this.#controller = undefined;
    if (!this.#over) world.after(world.between(100, 6_000), () => this.boot());
  }

  #boundary(): boolean {
    if (--this.#dieAfter > 0) return false;
    this.#die();
    return true;
  }

  /** Asks for the lease and renews it; leads while it has it. */
  #campaign(): void {
    const { lease, world } = this.#parts;
    const held = lease.acquire(this.name, world.nowMs);
    if (held && !this.#leads) this.#lead();
    if (!held && this.#leads) {
      world.trace(this.name, () => "leads no more");
      this.crash(0); // as production does: a leader that lost the lease ends
      return;
    }
    this.#process.after(lease.renewMs, () => this.#campaign());
  }

  #lead(): void {
    const { world, store, lease, keys, floor } = this.#parts;
    this.#leads = true;
    this.elections++;
    world.trace(this.name, () => `leads with key ${keys.active.signer.keyId.slice(0, 6)}`);
    world.stir();
    this.#engine = new PermissionEngine({
      managementCluster: "management",
      freshnessWindowSeconds: WINDOW_SECONDS,
      maxOfflineSeconds: OFFLINE_SECONDS,
    });
    this.#told = new Map();
    this.#cache = new Map(store.list());
    const clock = processClock(world, {
      process: this.#process,
      monotonicMs: () => world.nowMs - this.#bootMs,
      wallMs: () => this.#wallMs(),
    });
    const parts = {
      clock,
      random: new SeededRandom(world.between(1, 2 ** 30)),
      log: silentLog,
      signal: new AbortController().signal,
    };
    const signer = new SnapshotSigner({
      ...parts,
      cluster: apiClient({
        world,
        store,
        process: this.#process,
        boundary: () => this.#boundary(),
        failing: () => this.#parts.failing(),
        wrote: (object) => this.#wrote(object),
      }),
      signer: keys.active.signer,
      keys: trustingOwnKey(keys.ring, keys.active.signer),
      caches: {
        snapshots: { get: (key) => this.#cached(PermissionSnapshot, key) },
        secrets: { get: (key) => this.#cached(Secret, key) },
      },
      computed: (cluster) => this.#engine?.view.snapshots.get(cluster),
      minSequence: floor,
      assertFenced: () => {
        if (!lease.holds(this.name, world.nowMs)) throw new Error(`${this.name} does not lead any more`);
      },
      published: () => {},
      trail: silentTrail,
    });
    this.#controller = startController({
      ...parts,
      name: "permission-snapshot",
      sources: [],
      reconcile: signer.reconcile,
    });
    this.#compute();
  }

  #wallMs(): number {
    return START_WALL_MS + this.#parts.world.nowMs + this.#parts.skewMs();
  }

  /** What was declared becomes what may be signed, change by change. */
  #compute(): void {
    const engine = this.#engine;
    if (!this.#leads || engine === undefined) return;
    const { declared, judge } = this.#parts;
    const { world, expected } = declared.current;
    const now = new Map(objectsOf(world).map((object) => [objectName(object), object]));
    for (const [name, object] of now) if (this.#told.get(name) !== object) engine.apply({ type: "put", object });
    for (const [name, { kind, metadata }] of this.#told)
      if (!now.has(name))
        engine.apply({ type: "remove", kind, namespace: metadata.namespace ?? "", name: metadata.name });
    this.#told = now;
    const changed = new Set<string>();
    const steps = engine.settle({ cluster: (name) => changed.add(name) });
    while (steps.next().done !== true);
    for (const cluster of changed) {
      const [snapshot, meant] = [engine.view.snapshots.get(cluster), expected.get(cluster)];
      if (snapshot !== undefined && meant !== undefined) judge.computed(cluster, snapshot.contentHash, meant);
      this.#enqueue(cluster);
    }
  }

  #enqueue(cluster: string): void {
    if (!this.#leads) return;
    this.#parts.world.stir();
    this.#controller?.enqueue({ name: cluster });
  }

  #seen(path: string, object: KubeObject | undefined): void {
    const held = this.#cache.get(path);
    if (object === undefined) this.#cache.delete(path);
    else this.#cache.set(path, object);
    const cluster = clusterNamedBy(object ?? held);
    if (cluster !== undefined) this.#enqueue(cluster);
  }

  /** What stands under a type's path is of that type. */
  #cached<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): T | undefined {
    return this.#cache.get(pathOf(type, key)) as T | undefined;
  }

  #wrote(object: KubeObject): void {
    const { judge, floor, world } = this.#parts;
    const cluster = clusterOfNamespace(object.metadata.namespace);
    if (cluster === undefined) return;
    if (object.kind === ConfigMap.kind && object.metadata.name === SNAPSHOT_LEDGER) {
      const { epoch, sequence, contentHash = "" } = (object as ConfigMapObject).data ?? {};
      const time = { trueMs: START_WALL_MS + world.nowMs, skewed: this.#parts.skewMs() !== 0 };
      judge.ledger(cluster, { epoch: Number(epoch), sequence: Number(sequence), contentHash }, floor(cluster), time);
    }
    if (object.kind !== Secret.kind || object.metadata.name !== signedSnapshotSecretName(cluster)) return;
    const envelope = decodeEnvelope(Buffer.from((object as SecretObject).data?.["envelope"] ?? "", "base64"));
    if (envelope === undefined) return;
    const statement = parseStatement(envelope.body);
    world.trace(this.name, () => `signed ${statement.version} for ${cluster}`);
    judge.published(cluster, statement);
  }
}

function clusterNamedBy(object: KubeObject | undefined): string | undefined {
  if (object?.kind === Secret.kind) return object.metadata.labels?.[LABELS.cluster];
  return object?.kind === PermissionSnapshot.kind && object.metadata.namespace === NAMESPACES.seam
    ? object.metadata.labels?.[LABELS.cluster]
    : undefined;
}
