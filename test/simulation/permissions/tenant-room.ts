import { Metadata } from "@grpc/grpc-js";
import { Nack_Class } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { snapshotName } from "../../../src/api/names.ts";
import type { Clock } from "../../../src/base/clock.ts";
import { errorMessage } from "../../../src/base/errors.ts";
import { silentLog } from "../../../src/base/log.ts";
import { silentMetrics } from "../../../src/base/metrics.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import type { IndexItem } from "../../../src/federation/index/index-document.ts";
import type { HandlerPhase } from "../../../src/federation/session/spoke/effects.ts";
import { acknowledge } from "../../../src/federation/spoke/items/snapshot/snapshot-receipt.ts";
import { SnapshotHandler } from "../../../src/federation/spoke/items/snapshot/snapshot-handler.ts";
import { watchSnapshotStore } from "../../../src/federation/spoke/items/snapshot/snapshot-watch.ts";
import type { ItemNack } from "../../../src/federation/spoke/ports.ts";
import { SurfaceFacts } from "../../../src/federation/spoke/rbac/surface-facts.ts";
import type { Decision } from "../../../src/permissions/decision/check.ts";
import type { PermissionIndex } from "../../../src/permissions/index/permission-index.ts";
import type { AccessRequest } from "../../../src/permissions/rules/access-request.ts";
import { DecisionAudit } from "../../../src/permissions/service/decision-audit.ts";
import { FieldViolations } from "../../../src/permissions/service/field-violations.ts";
import { QuestionGate } from "../../../src/permissions/service/question-gate.ts";
import { encodeContent } from "../../../src/permissions/snapshot/content.ts";
import { MAX_CLOCK_SKEW_MS } from "../../../src/permissions/snapshot/limits.ts";
import { type SnapshotPosition, comparePositions } from "../../../src/permissions/snapshot/snapshot-version.ts";
import type { ActiveSnapshot, SnapshotStoreEvent } from "../../../src/permissions/store/active-snapshot.ts";
import { type SnapshotStore, openSnapshotStore } from "../../../src/permissions/store/snapshot-store.ts";
import type { KeyRing } from "../../../src/trust/keyring/key-ring.ts";
import type { AgentLife, AgentRoom } from "../plane.ts";
import { type World, must } from "../world.ts";
import { apiClient } from "./api-client.ts";
import { ACCOUNT_USER, CEILING_VERB, OFFLINE_SECONDS, WINDOW_SECONDS, principalOf } from "./declared-permissions.ts";
import { ObjectStore } from "./object-store.ts";
import { NO_MARKS, type PermissionJudge } from "./permission-judge.ts";
import { processClock } from "./process-clock.ts";
import { TenantSurface } from "./tenant-surface.ts";
import { SimulatedDisk } from "./simulated-disk.ts";

const LIMITS = { freshnessWindowSeconds: WINDOW_SECONDS, maxOfflineSeconds: OFFLINE_SECONDS };

/** How often the tenant's own RBAC is looked at, milliseconds. */
const SURFACE_LOOK_MS = 4_000;

/** One life of the room's process. */
interface Running {
  readonly store: SnapshotStore;
  readonly handler: SnapshotHandler;
  readonly gate: QuestionGate;
}

/** What the room had in force when somebody last looked, and how old that was then. */
interface Seen {
  readonly snapshot: ActiveSnapshot;
  readonly atMs: number;
  readonly ageMs: number;
}

/** As the store writes it. */
interface DurableFloor {
  readonly accepted?: SnapshotPosition;
  readonly minimumSequence: number;
}

/** Hashes of what indexes were built from: an index never changes. */
const hashes: WeakMap<PermissionIndex, string> = new WeakMap();

/** The permission plane of one tenant in its agent's process: real store, real handler, real gate, on a disk that may fail. */
export class TenantRoom implements AgentRoom {
  readonly cluster: string;
  readonly disk: SimulatedDisk<typeof NO_MARKS>;
  readonly #world: World;
  readonly #judge: PermissionJudge;
  /** Trusted keys, as they are mounted. */
  readonly #keys: KeyRing;
  readonly #api = new ObjectStore();
  /** What stands on the cluster beside what the plane says. */
  readonly surface: TenantSurface;
  /** While true, the tenant's API server answers now and then only. */
  apiFails = false;
  /** Called when an offer has verified and is not in force yet. */
  onVerified: () => void = () => {};
  #life: AgentLife | undefined = undefined;
  #running: Promise<Running> | undefined = undefined;
  #now: Running | undefined = undefined;
  #seen: Seen | undefined = undefined;
  /** A change of the ring is being looked at. */
  #reverifying = false;

  /** Lowest sequence that anybody asked for so far. */
  readonly #askedFloor: () => number;

  constructor(world: World, cluster: string, judge: PermissionJudge, keys: KeyRing, askedFloor: () => number) {
    this.#world = world;
    this.#askedFloor = askedFloor;
    this.cluster = cluster;
    this.surface = new TenantSurface(cluster);
    this.#judge = judge;
    this.#keys = keys;
    this.disk = new SimulatedDisk(world, NO_MARKS);
  }

  booted(life: AgentLife): void {
    this.#life = life;
    this.disk.life = life;
    this.#now = undefined;
    this.#seen = undefined;
    this.#reverifying = false;
    this.#world.stir();
    const running = this.#open(life);
    running.catch(this.#world.fail);
    this.#running = running;
  }

  ended(): void {
    this.#life = undefined;
    this.#running = undefined;
    this.#now = undefined;
    this.#seen = undefined;
    this.disk.life = undefined;
    this.disk.tear();
  }

  handles(item: IndexItem): boolean {
    return item.kind === "PermissionSnapshot" && item.name === snapshotName(this.cluster);
  }

  async run(phase: HandlerPhase, item: IndexItem, read: (digest: string) => Uint8Array): Promise<ItemNack | undefined> {
    const { handler } = await this.#started();
    try {
      const outcome = await handler[phase]({
        cluster: this.cluster,
        item,
        body: read(item.digest),
        blobs: { read: async (digest: string) => read(digest) },
        signal: new AbortController().signal,
        waitingFor: () => {},
      });
      if (!outcome.ok) this.#world.coverage.add({ [`snapshot ${outcome.nack.reason}`]: 1 });
      if (outcome.ok && phase === "verify") this.onVerified();
      return outcome.ok ? undefined : outcome.nack;
    } catch (error) {
      // As the runner of handlers does.
      if (error instanceof Error && error.name === "SimulationFailure") throw error;
      return { class: Nack_Class.INTERNAL, retryable: true, reason: "INTERNAL", detail: errorMessage(error) };
    } finally {
      this.#world.stir();
    }
  }

  async revokeBelow(minSequence: number): Promise<void> {
    const { handler } = await this.#started();
    await handler.revoke(minSequence);
    const { minimumSequence } = this.#durableFloor();
    must(
      minimumSequence >= minSequence,
      `${this.cluster}: floor ${minSequence} is said to be in force, and ${minimumSequence} is on the disk`,
    );
    const { marks } = this.disk;
    this.disk.marks = { ...marks, floor: Math.max(marks.floor, minSequence) };
    this.check();
    this.#world.stir();
  }

  backup(): void {
    this.disk.backup();
  }

  restore(): void {
    this.disk.restore();
  }

  tearing(writes: number): void {
    this.disk.tearing(writes);
  }

  /** Other keys are mounted. */
  trust(keys: Parameters<KeyRing["replace"]>[0]): void {
    this.#keys.replace(keys);
    const { store } = this.#now ?? {};
    if (store === undefined) return;
    const now = this.#now;
    this.#reverifying = true;
    this.#world.stir();
    store.reverify().then(
      () => {
        if (this.#now === now) this.#reverifying = false;
      },
      (error: unknown) => this.#world.fail(error),
    );
  }

  get trustedKeys(): readonly string[] {
    return this.#keys.keyIds;
  }

  /** What is in force; undefined when nothing is, or the process is down. */
  get current(): ActiveSnapshot | undefined {
    return this.#now?.store.current;
  }

  /** True when the last offer verified. */
  get degraded(): boolean {
    return this.#now?.store.state().degraded ?? true;
  }

  get freshness(): string {
    return this.#now?.store.state().freshness ?? "DOWN";
  }

  /** Somebody on the tenant asks, and the answer is compared with what was signed, known and declared. */
  check(): void {
    const [life, now] = [this.#life, this.#now];
    if (life === undefined || now === undefined) return;
    const { cluster } = this;
    const { current } = now.store;
    // What is revoked decides nothing from the moment on that the floor is durable; that is said when its files are gone too.
    must(
      current === undefined || current === this.#seen?.snapshot,
      `${cluster}: what is in force changed and nobody said so`,
    );
    const user = principalOf(cluster);
    const answers = (verb: string, who = user): boolean => this.#answer(now, who, verb).allowed;
    if (current === undefined) {
      must(!answers(CEILING_VERB), `${cluster}: an answer without a snapshot`);
      return;
    }
    const { statement } = current;
    const expected = this.#judge.inForce(cluster, statement, hashOf(current.index), this.disk.marks);
    if (!this.#reverifying && !this.#keys.empty)
      must(
        this.#keys.key(current.keyId) !== undefined,
        `${cluster}: ${statement.version} is by a key that was withdrawn`,
      );
    const { snapshot, atMs, ageMs } = this.#seen ?? { snapshot: current, atMs: this.#world.nowMs, ageMs: 0 };
    must(snapshot === current, `${cluster}: seen`);
    const age = ageMs + this.#world.nowMs - atMs;
    const freshness = this.#judge.freshness(age, LIMITS);
    const said = now.store.state().freshness;
    must(said === freshness, `${cluster}: ${statement.version} is ${said} and ${freshness} at ${age} ms`);
    this.#world.coverage.add({ [`answers ${freshness}`]: 1 });
    const decides = freshness !== "EXPIRED";
    for (const verb of [CEILING_VERB, ...expected.verbs])
      must(
        answers(verb) === (decides && expected.verbs.has(verb)),
        `${cluster}: ${statement.version} (${freshness}) answers ${verb} with ${String(answers(verb))}`,
      );
    for (const verb of ["never-granted", ...expected.denied])
      must(
        !answers(verb) && !answers(verb, ACCOUNT_USER),
        `${cluster}: ${statement.version} grants ${verb}, which does not stand`,
      );
    for (const verb of [CEILING_VERB, ...expected.verbs])
      must(
        answers(verb, ACCOUNT_USER) === (decides && expected.bound && expected.verbs.has(verb)),
        `${cluster}: ${statement.version} answers the account that is ${expected.bound ? "" : "not "}bound for ${verb}`,
      );
    // Whoever is suspended is told so, and nobody else.
    const isSuspended = this.#answer(now, user, CEILING_VERB).code === "PRINCIPAL_SUSPENDED";
    must(
      isSuspended === (decides && expected.suspended),
      `${cluster}: ${statement.version} ${isSuspended ? "says" : "does not say"} that ${user} is suspended`,
    );
    if (isSuspended) this.#world.coverage.add({ "answers suspended": 1 });
    if (expected.bound) this.#world.coverage.add({ "answers to an account": 1 });
  }

  #answer({ gate }: Running, user: string, verb: string): Decision {
    const about = { user, groups: [] };
    const request: AccessRequest = {
      form: "resource",
      verb,
      apiGroup: "",
      resource: "pods",
      subresource: "",
      namespace: "a",
      name: "",
    };
    const question = {
      query: "check",
      about,
      common: { cluster: "", requestId: "" },
      method: "CheckPermission",
    } as const;
    const principal = { kind: "certificate", name: user, groups: [], certificateSerial: "", notAfterMs: 0 } as const;
    const context = { signal: new AbortController().signal, principal, peer: "", metadata: new Metadata() };
    const opened = gate.open(context, question, new FieldViolations());
    must(!(opened instanceof Promise), "a question without a requirement waits");
    return gate.decide(opened, about, request);
  }

  async #started(): Promise<Running> {
    const running = this.#running;
    must(running !== undefined, `${this.cluster}: a handler runs in no process`);
    return running;
  }

  async #open(life: AgentLife): Promise<Running> {
    const world = this.#world;
    const clock: Clock = processClock(world, life);
    const { signal } = new AbortController();
    const parts = { clock, random: new SeededRandom(1), log: silentLog, signal };
    const store = await openSnapshotStore({
      ...parts,
      directory: "/",
      files: this.disk,
      cluster: this.cluster,
      keys: this.#keys,
    });
    const held = store.current;
    if (held === undefined) this.#mayHoldNothing(clock.now());
    else this.#isAboveDurableFloor(held);
    // The wall clock is all that survives a restart.
    if (held !== undefined) this.#look(held, Math.max(0, clock.now() - held.statement.issuedAtMs));
    store.subscribe((event) => this.#heard(store, event));
    const snapshotParts = {
      ...parts,
      store,
      clusterId: this.cluster,
      cluster: apiClient({
        world,
        store: this.#api,
        process: life.process,
        boundary: () => life.boundary(),
        failing: () => this.apiFails,
      }),
      facts: {
        snapshotReceipt: async (report: Parameters<AgentLife["snapshotReceipt"]>[0]) => life.snapshotReceipt(report),
      },
      trail: { record: async () => life.audit(1) },
      surface: new SurfaceFacts(),
    };
    watchSnapshotStore({ ...snapshotParts, events: { record: () => {} } });
    const audit = new DecisionAudit({ ...parts, lane: { audit: async () => {} } });
    const running = {
      store,
      handler: new SnapshotHandler(snapshotParts),
      gate: new QuestionGate({ ...parts, store, audit, metrics: silentMetrics }),
    };
    if (this.#life === life) this.#now = running;
    this.#lookAtSurface(life, snapshotParts);
    world.stir();
    return running;
  }

  /** As the loop over a tenant's RBAC does: what differs is told once, in the next receipt. */
  #lookAtSurface(life: AgentLife, parts: Parameters<typeof acknowledge>[0]): void {
    const { store, surface } = parts;
    life.process.after(SURFACE_LOOK_MS, () => {
      const { current } = store;
      if (current !== undefined && this.surface.look(surface, current.index.content, life.wallMs())) {
        this.#world.stir();
        // What could not be told is told with the next receipt.
        acknowledge(parts).catch((error: unknown) => this.#world.trace(this.cluster, () => errorMessage(error)));
      }
      this.#lookAtSurface(life, parts);
    });
  }

  #look(snapshot: ActiveSnapshot, ageMs: number): void {
    this.#seen = { snapshot, atMs: this.#world.nowMs, ageMs };
    const { marks } = this.disk;
    const { statement } = snapshot;
    const { epoch, sequence } = statement;
    // Judged against what was known before.
    this.#judge.inForce(this.cluster, statement, hashOf(snapshot.index), marks);
    this.disk.marks = { ...marks, position: { epoch, sequence }, statement };
  }

  /** What the disk says of floors, read by nobody's code but this. */
  #durableFloor(): DurableFloor {
    const file = this.disk.peek("floors.json");
    if (file === undefined) return { minimumSequence: 0 };
    const { floors } = JSON.parse(Buffer.from(file).toString()) as { floors: Record<string, DurableFloor> };
    return floors["PermissionSnapshot"] ?? { minimumSequence: 0 };
  }

  #isAboveDurableFloor({ statement }: ActiveSnapshot): void {
    const { accepted, minimumSequence } = this.#durableFloor();
    if (accepted !== undefined && accepted.epoch !== statement.epoch) return;
    must(
      statement.sequence >= minimumSequence,
      `${this.cluster}: ${statement.version} is in force after a restart, below the floor ${minimumSequence} on the disk`,
    );
  }

  /** Floors are durable before what rests on them. */
  #isAccepted({ statement }: ActiveSnapshot): void {
    const { accepted } = this.#durableFloor();
    must(
      accepted !== undefined && comparePositions(accepted, statement) >= 0,
      `${this.cluster}: ${statement.version} is in force before its position is durable`,
    );
  }

  /** After a restart what was in force is in force again, unless it was revoked, its key is not there or the clock is behind. */
  #mayHoldNothing(nowMs: number): void {
    const { statement } = this.disk.marks;
    if (statement === undefined || statement.sequence < this.#askedFloor()) return;
    if (this.#keys.key(statement.keyId) === undefined || statement.issuedAtMs > nowMs + MAX_CLOCK_SKEW_MS) return;
    must(false, `${this.cluster}: ${statement.version} was in force, and nothing is after a restart`);
  }

  #heard(store: SnapshotStore, event: SnapshotStoreEvent): void {
    const { cluster } = this;
    this.#world.trace(cluster, () => `snapshot ${event.type} ${store.current?.statement.version ?? "none"}`);
    this.#world.coverage.add({ [`snapshots ${event.type}`]: 1 });
    switch (event.type) {
      case "renewed":
        must(
          event.current.statement.issuedAtMs > (this.#seen?.snapshot.statement.issuedAtMs ?? 0),
          `${cluster}: ${event.current.statement.version} is renewed by what was said before`,
        );
        this.#isAccepted(event.current);
        this.#look(event.current, 0);
        return;
      case "activated":
        this.#isAccepted(event.current);
        this.#look(event.current, 0);
        return;
      case "revoked":
        must(
          (this.#seen?.snapshot.statement.sequence ?? 0) < event.minSequence,
          `${cluster}: what is not below the floor ${event.minSequence} was dropped`,
        );
        this.#seen = undefined;
        return;
      case "refused":
        if (event.what === "held") {
          this.#seen = undefined;
          return;
        }
        must(
          store.current === this.#seen?.snapshot,
          `${cluster}: a refused offer (${event.rejection.code}) changed what is in force`,
        );
        return;
      case "healed":
        // What was held and did not verify at first may be in force again.
        if (event.what === "held" && store.current !== undefined && this.#seen === undefined)
          this.#look(store.current, Math.max(0, (this.#life?.wallMs() ?? 0) - store.current.statement.issuedAtMs));
        return;
      case "freshness":
        return;
    }
  }
}

function hashOf(index: PermissionIndex): string {
  let hash = hashes.get(index);
  if (hash === undefined) {
    hash = encodeContent(index.content).contentHash;
    hashes.set(index, hash);
  }
  return hash;
}
