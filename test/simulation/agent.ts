import { create } from "@bufbuild/protobuf";
import { RunnerConfigValidationRequestSchema } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { SESSION_BUDGET_BYTES } from "../../src/federation/session/limits.ts";
import type { Ready } from "../../src/federation/session/ready.ts";
import type { HandlerPhase, SpokeEffect } from "../../src/federation/session/spoke/effects.ts";
import type { SpokeEvent } from "../../src/federation/session/spoke/events.ts";
import type { SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import { SpokeSession } from "../../src/federation/session/spoke/spoke-session.ts";
import { AgentEffects } from "./agent-effects.ts";
import { AgentHandlers } from "./agent-handlers.ts";
import { AgentRules } from "./agent-rules.ts";
import type { AgentShell } from "./agent-shell.ts";
import { AgentStore, type AgentStoreCopy, SNAPSHOT_RECEIPT } from "./agent-store.ts";
import { AgentStreams } from "./agent-streams.ts";
import { type BlobWorld, KEYS, KEY_IDS } from "./desired-state.ts";
import { isForged } from "./forgery.ts";
import { Wire } from "./link.ts";
import type { AgentRoom } from "./plane.ts";
import { Process } from "./process.ts";
import type { SimulatedHub } from "./simulated-hub.ts";
import { spokenVersions } from "./spoken-versions.ts";
import { Tenant } from "./tenant.ts";
import { EffectRate, START_WALL_MS, type World, must } from "./world.ts";

type SpokeReady = Ready<SpokeWrite, SpokeEffect>;

/** One simulated agent: the real machine, a shell around it, a store that survives, and a process that does not. */
export class Agent {
  readonly cluster: string;
  readonly store: AgentStore;
  readonly tenant: Tenant;
  /** The last backup of the store. */
  #backup: AgentStoreCopy | undefined = undefined;
  /** Told apart from another agent with the same certificate. */
  readonly #twin: string;
  #retired = false;
  readonly #rate: EffectRate;
  readonly wire = new Wire();
  readonly #world: World;
  readonly #hub: SimulatedHub;
  readonly #process: Process;
  #session: SpokeSession | undefined = undefined;
  #rules: AgentRules | undefined = undefined;
  #readys: SpokeReady[] = [];
  #committing = false;
  /** The effects being performed are of several Readys that shared a commit. */
  #shared = false;
  #tickAtMs = Infinity;
  #bootMs = 0;
  #agentVersion = "v1";
  /** Boundaries (commits and effects) until the process dies; Infinity: it lives. */
  #dieAfter = Infinity;
  readonly #shell: AgentShell;
  readonly #streams: AgentStreams;
  readonly #handlers: AgentHandlers;
  readonly #effects: AgentEffects;
  #requestCount = 0;
  /** A room of the tenant in this process besides; see plane.ts. */
  room: AgentRoom | undefined = undefined;
  /** Milliseconds the wall clock is off. */
  skewMs = 0;

  /** `twin`: not empty for a second agent with the certificate of another one. */
  constructor(world: World, hub: SimulatedHub, cluster: string, blobs: BlobWorld, twin = "") {
    this.#world = world;
    this.#process = new Process(world);
    this.#hub = hub;
    this.cluster = cluster;
    this.#twin = twin;
    this.#rate = new EffectRate(`${cluster}${twin}`);
    this.store = new AgentStore(cluster, `store-${cluster}${twin}`);
    this.tenant = new Tenant(cluster, blobs);
    this.#shell = {
      world,
      hub,
      cluster,
      process: this.#process,
      store: this.store,
      tenant: this.tenant,
      wire: this.wire,
      room: () => this.room,
      rules: () => this.#rules,
      agentVersion: () => this.#agentVersion,
      shared: () => this.#shared,
      step: (event) => this.#step(event),
      event: (make) => this.#event(make),
      fact: (name) => this.fact(name),
    };
    this.#streams = new AgentStreams(this.#shell);
    this.#handlers = new AgentHandlers(this.#shell);
    this.#effects = new AgentEffects(this.#shell, this.#streams, this.#handlers);
    this.store.onLoss = (write) =>
      must(hub.store(cluster).lenient, `${cluster}: ${write.type} though neither side lost its store`);
    this.store.isBody = (digest, data) => blobs.isBody(digest, data);
    this.store.storedTexts = () => hub.store(cluster).auditTexts();
    this.store.isStored = (epoch, sequence) => {
      const { events, closed } = hub.store(cluster).audit(epoch);
      return events.has(sequence) || closed.some(([from, to]) => from <= sequence && sequence <= to);
    };
    this.store.onAcknowledged = (write) => hub.checkAcknowledged(cluster, write);
  }

  /** Frames sent that are not heartbeats, acknowledgements or part of opening; for the livelock check. */
  get busyFrames(): number {
    return this.#streams.busyFrames;
  }

  /** Requests asked and not answered. */
  get requests(): Set<string> {
    return this.#effects.requests;
  }

  /** Newest state that this process has heard of each drift signal. */
  get drifts(): Map<string, number> {
    return this.#effects.drifts;
  }

  /** Called when the index in force ran out, or is fresh again. */
  set onFreshness(run: (expired: boolean) => void) {
    this.#effects.onFreshness = run;
  }

  get handlersRun(): number {
    return this.#handlers.count;
  }

  /** Called when a phase of an item starts. */
  get onHandler(): (key: string, phase: HandlerPhase) => void {
    return this.#handlers.onHandler;
  }

  set onHandler(run: (key: string, phase: HandlerPhase) => void) {
    this.#handlers.onHandler = run;
  }

  /** Called when the process dials. */
  set onDial(run: (endpoints: readonly string[]) => void) {
    this.#streams.onDial = run;
  }

  get session(): SpokeSession | undefined {
    return this.#session;
  }

  /** Starts the process from what the store holds. */
  boot(): void {
    const world = this.#world;
    this.#process.start();
    this.#bootMs = world.nowMs - world.between(0, 1000);
    this.#dieAfter = Infinity;
    this.#readys = [];
    this.#committing = false;
    this.#tickAtMs = Infinity;
    this.#session = new SpokeSession({
      cluster: this.cluster,
      agentVersion: this.#agentVersion,
      instanceId: `${this.cluster}${this.#twin}-${this.#process.incarnation}`,
      keys: KEYS,
      trustedKeyIds: KEY_IDS,
      random: new SeededRandom(world.between(1, 2 ** 30)),
      record: this.store.record(),
      readBackMs: START_WALL_MS + world.nowMs,
      protocolVersions: spokenVersions(world),
    });
    this.#rules = new AgentRules({
      who: `${this.cluster}${this.#twin}`,
      session: this.#session,
      tenant: this.tenant,
      wire: this.wire,
      welcomed: (term, sessionId) => this.#hub.store(this.cluster).welcomed(term, sessionId),
      serial: () => this.#hub.store(this.cluster).serial,
      original: () => this.#twin === "" && !this.#hub.store(this.cluster).lenient,
      index: this.store.index,
      term: this.store.term,
      nowMs: world.nowMs,
    });
    this.drifts.clear();
    world.trace(this.cluster, () => `boots (process ${this.#process.incarnation})`);
    this.room?.booted({
      process: this.#process,
      monotonicMs: () => world.nowMs - this.#bootMs,
      wallMs: () => this.#wallMs(),
      boundary: () => this.#boundary(),
      snapshotReceipt: (report) => {
        const reportVersion = this.store.putSnapshotReceipt(report);
        const fact = { key: SNAPSHOT_RECEIPT, kind: "snapshotReceiptReport", reportVersion } as const;
        this.#event(() => ({ type: "FactPending", fact }));
      },
      audit: (count) => this.audit(count),
    });
    this.#step({ type: "Start" });
  }

  /** The process dies at the `boundaries`-th commit or effect from now. */
  crash(boundaries: number): void {
    if (this.#session === undefined) return;
    this.#dieAfter = boundaries;
    if (boundaries === 0) this.#die();
    else this.#process.after(5_000, () => this.#die()); // an idle process meets no boundary
  }

  /** A backup of the store is taken. */
  backup(): void {
    this.#backup = this.store.copy();
    this.room?.backup();
  }

  /** The machine is set up anew from the last backup, or from nothing. */
  restore(): void {
    const backup = this.#backup;
    this.#world.trace(this.cluster, () => `is set up anew from ${backup === undefined ? "nothing" : "a backup"}`);
    this.#losesStore();
    this.crash(0);
    if (backup === undefined) this.store.wipe(this.#world.nowMs);
    else this.store.restore(backup);
    this.room?.restore();
  }

  /** The machine loses power at the `boundaries`-th commit or effect, and its disk with it the last `transactions`. */
  tear(boundaries: number, transactions: number): void {
    if (this.#session === undefined) return;
    this.#losesStore();
    this.store.tearing(transactions);
    this.room?.tearing(transactions);
    this.crash(boundaries);
  }

  /** A second agent with this certificate, from a copy of this one's store or from its own. */
  twin(blobs: BlobWorld, copied: boolean): Agent {
    const twin = new Agent(this.#world, this.#hub, this.cluster, blobs, "'");
    if (copied) twin.store.restore(this.store.copy());
    else twin.store.wipe(this.#world.nowMs);
    twin.store.remembered = undefined;
    for (const agent of [this, twin]) agent.#losesStore();
    if (copied) this.#hub.store(this.cluster).forked = true;
    return twin;
  }

  /** The agent is switched off for good. */
  retire(): void {
    this.#retired = true;
    this.#die();
  }

  /** No crash is left over: one that was to come comes now. */
  settle(): void {
    if (this.#dieAfter !== Infinity) this.#die();
  }

  /** Everything on the tenant reports its state once more. */
  reportAll(): void {
    for (const key of this.store.facts.keys())
      if (key !== SNAPSHOT_RECEIPT) this.fact(key.slice("packReceiptReport/".length));
  }

  #losesStore(): void {
    this.tenant.outlivesAgent = true;
    this.#hub.store(this.cluster).lenient = true;
    this.#hub.store(this.cluster).agentForgot = true;
  }

  /** SIGSTOP: nothing is handled until then. */
  freeze(ms: number): void {
    this.#world.trace(this.cluster, () => `is frozen for ${ms} ms`);
    this.#process.freeze(ms);
  }

  /** The process is replaced by another build. */
  upgrade(): void {
    this.#agentVersion = `v${Number(this.#agentVersion.slice(1)) + 1}`;
    this.crash(0);
  }

  /** Every connection of this agent is reset. */
  reset(): void {
    this.#world.trace(this.cluster, () => "connections are reset");
    this.#streams.reset();
  }

  /** Something on the tenant reports its state. */
  fact(name: string): void {
    const { key, version } = this.store.putFact(name);
    this.#event(() => ({ type: "FactPending", fact: { key, kind: "packReceiptReport", reportVersion: version } }));
  }

  /** Audit events happen. */
  audit(count: number): void {
    const last = this.store.appendAudit(count, `${this.cluster}/${this.#world.nowMs}`);
    this.#event(() => ({ type: "AuditAppended", epoch: this.store.auditEpoch, last, backlogBytes: 0n }));
  }

  /** A room of the tenant asks the hub. */
  ask(): void {
    if (this.#session === undefined) return;
    const requestId = `${this.cluster}-${this.#process.incarnation}-${++this.#requestCount}`;
    this.requests.add(requestId);
    const value = create(RunnerConfigValidationRequestSchema, { requestId, runnerConfigName: "x" });
    const request = { case: "runnerConfigValidationRequest", value } as const;
    this.#event(() => ({ type: "Request", request, deadlineMs: 5_000 }));
  }

  #die(): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#world.trace(this.cluster, () => "crashes");
    this.#process.end();
    this.#session = undefined;
    this.#readys = [];
    this.#dieAfter = Infinity;
    this.#handlers.ended();
    this.requests.clear();
    this.#streams.ended();
    this.store.tear();
    this.room?.ended();
    this.#world.coverage.add(session.counters);
    if (!this.#retired) this.#world.after(this.#world.between(50, 3_000), () => this.boot());
  }

  #event(make: () => SpokeEvent): void {
    this.#process.after(0, () => this.#step(make()));
  }

  #step(event: SpokeEvent): void {
    const session = this.#session;
    if (session === undefined) return;
    if (event.type === "FrameReceived") this.#heard(event.generation, event.envelope);
    const wallMs = this.#wallMs();
    const ready = session.step(event, this.#world.nowMs - this.#bootMs, wallMs);
    const wakesMs = session.deadlineMs + this.#bootMs;
    this.#rules?.stepped({ event, ready, nowMs: this.#world.nowMs, wallMs, wakesMs });
    const { incarnation } = this.#process;
    for (const effect of ready.atOnce) {
      this.#effects.perform(effect);
      if (incarnation !== this.#process.incarnation || this.#boundary()) return;
    }
    if (ready.persist.length > 0 || ready.afterPersist.length > 0) this.#readys.push(ready);
    this.#rate.add(this.#world.nowMs, ready.afterPersist.length);
    const { queuedBytes } = session;
    must(queuedBytes <= SESSION_BUDGET_BYTES, `${this.cluster}: ${queuedBytes} bytes queued and unacknowledged`);
    this.#scheduleTick(session);
    this.#work();
  }

  #heard(generation: number, envelope: Envelope): void {
    this.#rules?.receives(generation, envelope);
    if (!this.#streams.has(generation)) return;
    const { payload } = envelope;
    if (payload.case === "goodbye")
      this.#rules?.waits(generation, payload.value.code, Number(payload.value.retryAfterMs), this.#world.nowMs);
    if (payload.case === "itemRetry" && !isForged(envelope))
      this.#hub.store(this.cluster).heardRetries.add(payload.value.orderId);
  }

  #wallMs(): number {
    return START_WALL_MS + this.#world.nowMs + this.skewMs;
  }

  #scheduleTick(session: SpokeSession): void {
    const atMs = session.deadlineMs + this.#bootMs;
    if (atMs >= this.#tickAtMs || atMs === Infinity) return;
    this.#tickAtMs = atMs;
    this.#process.after(atMs - this.#world.nowMs, () => {
      if (this.#tickAtMs !== atMs) return;
      this.#tickAtMs = Infinity;
      this.#step({ type: "Tick" });
    });
  }

  /** Handles Readys strictly in order; several may share one commit. */
  #work(): void {
    if (this.#committing) return;
    while (this.#readys.length > 0) {
      const together = this.#world.chance(0.3) ? this.#readys.length : 1;
      const batch = this.#readys.splice(0, together);
      const rests = batch.every((ready) => ready.afterPersist.length === 0) && this.#world.chance(0.5);
      if (batch.some((ready) => ready.persist.length > 0)) {
        this.#committing = true;
        const commitMs = this.#world.chance(0.05) ? 60 : this.#world.between(0, 3);
        this.#process.after(rests ? commitMs + 5 : commitMs, () => this.#commit(batch));
        return;
      }
      this.#perform(batch);
    }
  }

  #commit(batch: readonly SpokeReady[]): void {
    if (this.#boundary()) return;
    for (const ready of batch) this.store.commit(ready.persist);
    this.#committing = false;
    if (this.#boundary()) return;
    const { incarnation } = this.#process;
    this.#perform(batch);
    if (incarnation === this.#process.incarnation) this.#work();
  }

  #perform(batch: readonly SpokeReady[]): void {
    const { incarnation } = this.#process;
    for (const ready of batch) {
      const takes = ready.afterPersist.findIndex((effect) => effect.type === "IndexJudged" && effect.accepted);
      for (const [at, effect] of ready.afterPersist.entries()) {
        // What a step did before it took the next index came of the one before, too.
        this.#shared = batch.length > 1 || at < takes;
        this.#effects.perform(effect);
        if (incarnation !== this.#process.incarnation || this.#boundary()) return;
      }
    }
  }

  /** A place where the process may die. */
  #boundary(): boolean {
    if (--this.#dieAfter > 0) return false;
    this.#die();
    return true;
  }
}
