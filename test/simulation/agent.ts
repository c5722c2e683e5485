import { create } from "@bufbuild/protobuf";
import { RunnerConfigValidationRequestSchema } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { Nack_Class } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { itemKey } from "../../src/federation/index/index-document.ts";
import { forEachBody } from "../../src/federation/index/plan-index.ts";
import { frameEnvelope } from "../../src/federation/session/encode-frame.ts";
import { type Frame, payloadCase } from "../../src/federation/session/frame.ts";
import { SESSION_BUDGET_BYTES } from "../../src/federation/session/limits.ts";
import type { Ready } from "../../src/federation/session/ready.ts";
import type { HandlerPhase, SpokeEffect } from "../../src/federation/session/spoke/effects.ts";
import type { SpokeEvent } from "../../src/federation/session/spoke/events.ts";
import { ITEM_LEVELS, type ItemLevel, type SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import { SpokeSession } from "../../src/federation/session/spoke/spoke-session.ts";
import { AgentStore, type AgentStoreCopy, SNAPSHOT_RECEIPT } from "./agent-store.ts";
import { isForged } from "./forgery.ts";
import { AgentRules } from "./agent-rules.ts";
import { itemReportsIn } from "./carried-reports.ts";
import { type BlobWorld, KEYS, KEY_IDS } from "./desired-state.ts";
import type { ItemNack } from "../../src/federation/spoke/ports.ts";
import type { SimulatedHub } from "./hub.ts";
import { Link, type LinkEnd, Wire } from "./link.ts";
import type { AgentRoom } from "./plane.ts";
import { Process } from "./process.ts";
import { spokenVersions } from "./spoken-versions.ts";
import { storedDocument } from "./stored-document.ts";
import { Tenant } from "./tenant.ts";
import { EffectRate, START_WALL_MS, type World, must } from "./world.ts";

type SpokeReady = Ready<SpokeWrite, SpokeEffect>;

const NO_BODIES = {
  pinned: (): Uint8Array => new Uint8Array(),
  inline: (): Uint8Array | undefined => undefined,
};

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
  readonly #links: Map<number, Link> = new Map();
  readonly #aborted: Set<number> = new Set();
  /** How to end each handler that runs, before its time. */
  readonly #running: Map<number, () => void> = new Map();
  /** Requests asked and not answered: each must be answered once. */
  readonly requests: Set<string> = new Set();
  #requestCount = 0;
  /** A room of the tenant in this process besides; see plane.ts. */
  room: AgentRoom | undefined = undefined;
  /** Newest state that this process has heard of each drift signal. */
  readonly drifts: Map<string, number> = new Map();
  /** Milliseconds the wall clock is off. */
  skewMs = 0;
  /** Frames sent that are not heartbeats, acknowledgements or part of opening; for the livelock check. */
  busyFrames = 0;
  handlersRun = 0;
  /** Called when a phase of an item starts. */
  onHandler: (key: string, phase: HandlerPhase) => void = () => {};
  /** Called when the process dials. */
  onDial: (endpoints: readonly string[]) => void = () => {};
  /** Called when the index in force ran out, or is fresh again. */
  onFreshness: (expired: boolean) => void = () => {};

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
    for (const link of this.#links.values()) link.reset();
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
    this.#aborted.clear();
    this.#running.clear();
    this.requests.clear();
    for (const link of this.#links.values()) link.agentGone("agent crashed", this.#world.chance(0.3));
    this.#links.clear();
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
      this.#effect(effect);
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
    if (!this.#links.has(generation)) return;
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
        this.#effect(effect);
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

  #effect(effect: SpokeEffect): void {
    const world = this.#world;
    switch (effect.type) {
      case "Dial":
        this.#dial(effect.generation, effect.endpoints);
        return;
      case "Send":
        this.#send(effect.generation, effect.frame);
        return;
      case "Destroy": {
        const link = this.#links.get(effect.generation);
        this.#links.delete(effect.generation);
        world.trace(this.cluster, () => `destroys stream ${effect.generation}: ${effect.code} ${effect.detail}`);
        link?.agentGone(effect.code, world.chance(0.1));
        return;
      }
      case "RunHandler":
        this.#handle(effect);
        return;
      case "AbortHandler":
        this.#aborted.add(effect.token);
        // Some handlers look at their signal, and those that wait for health always do.
        if (this.tenant.healthMs !== undefined || world.chance(0.3))
          this.#process.after(5, () => this.#running.get(effect.token)?.());
        return;
      case "CheckBlob": {
        const { digest } = effect;
        this.#process.after(world.between(1, 10), () => {
          const blob = this.store.blobs.get(digest);
          this.#step({ type: "BlobChecked", digest, ok: blob !== undefined && this.store.isBody(digest, blob.data) });
        });
        return;
      }
      case "LoadFacts": {
        const { token, keys } = effect;
        this.#process.after(world.between(0, 3), () =>
          this.#step({ type: "FactsLoaded", token, facts: this.store.loadFacts(keys) }),
        );
        return;
      }
      case "ListFacts":
        this.#process.after(world.between(0, 3), () => {
          for (const fact of this.store.record().facts) this.#step({ type: "FactPending", fact });
        });
        return;
      case "LoadAudit": {
        const { token, from, maxEvents, maxBytes } = effect;
        this.#process.after(world.between(0, 3), () => {
          const { batch, bytes } = this.store.loadAudit(from, maxEvents, maxBytes);
          this.#step({ type: "AuditLoaded", token, batch, bytes });
        });
        return;
      }
      case "Revoke": {
        const { serial, target, minSequence } = effect.push;
        must(serial > this.store.revocationSerial, `${this.cluster}: revocation ${serial} is put in force twice`);
        const applied = this.tenant.revokes(world.chance(0.1));
        const done = (): void => {
          if (applied) this.tenant.revoked.add(serial);
          this.#step({ type: "RevokeDone", serial, applied, detail: "" });
        };
        const { room } = this;
        this.#process.after(world.between(1, 30), () => {
          if (!applied || room === undefined || target === "PackInstalled") done();
          else this.#after(room.revokeBelow(Number(minSequence)), done);
        });
        return;
      }
      case "EnforceFloors": {
        const { token, floors } = effect;
        const ok = !world.chance(0.1);
        const done = (): void => {
          for (const floor of ok ? floors : []) {
            this.tenant.raiseFloor(floor);
            for (const serial of this.#hub.store(this.cluster).coveredBy(floor)) this.tenant.revoked.add(serial);
          }
          this.#step({ type: "FloorsEnforced", token, ok });
        };
        const { room } = this;
        this.#process.after(world.between(1, 30), () => {
          const raised = floors.filter(({ target }) => target !== "PackInstalled");
          if (!ok || room === undefined || raised.length === 0) done();
          else this.#after(Promise.all(raised.map(({ floor }) => room.revokeBelow(floor))), done);
        });
        return;
      }
      case "IndexFreshness":
        this.onFreshness(effect.expired);
        world.trace(this.cluster, () => `index ${effect.expired ? "ran out" : "is fresh again"}`);
        return;
      case "Response":
        must(this.requests.delete(effect.response.value.requestId), `${this.cluster}: a request is answered twice`);
        return;
      case "RequestFailed":
        must(this.requests.delete(effect.requestId), `${this.cluster}: a request is answered twice`);
        return;
      case "IndexJudged":
        world.trace(
          this.cluster,
          () => `index ${effect.sequence} ${effect.accepted ? "accepted" : `refused: ${effect.code}`}`,
        );
        return;
      case "ChannelChanged":
        world.trace(this.cluster, () => `channel ${effect.connected ? "connected" : `degraded: ${effect.reason}`}`);
        return;
      case "AuditMoved":
        this.#world.trace(this.cluster, () => `moves its audit log behind ${effect.behind}, by ${effect.by}`);
        return;
      case "AuditRefused":
        must(this.#hub.store(this.cluster).forked, `${this.cluster}: the sink refused audit numbers`);
        return;
      case "DriftUpdated":
        this.drifts.set(effect.update.signalName, effect.update.escalationCounter);
        return;
      case "FactRefused":
        return;
    }
  }

  #dial(generation: number, endpoints: readonly string[]): void {
    const world = this.#world;
    world.trace(this.cluster, () => `dials (${generation})`);
    this.onDial(endpoints);
    this.#process.after(world.between(5, 60), () => {
      if (this.wire.partitioned || this.wire.stuck !== undefined) {
        // A connect phase has deadlines of its own; when the shell's fail too, the machine's must do.
        if (world.chance(0.1)) return;
        this.#process.after(5_000, () =>
          this.#step({ type: "DialFailed", generation, reason: "TCP connect timed out", answered: false }),
        );
        return;
      }
      // A stream ends with the process that dialled it: its generation is another stream's in the next life.
      const { incarnation } = this.#process;
      const here = (run: () => void): void => {
        if (incarnation === this.#process.incarnation) run();
      };
      const end: LinkEnd = {
        frame: (envelope, bytes) => here(() => this.#received(generation, envelope, bytes)),
        closed: (reason) => here(() => this.#event(() => ({ type: "StreamClosed", generation, reason }))),
        blocked: () => here(() => this.#event(() => ({ type: "StreamBlocked", generation }))),
        drained: () => here(() => this.#event(() => ({ type: "StreamDrained", generation }))),
      };
      const link = this.#hub.accept(this.cluster, (hubEnd) => new Link(world, this.wire, end, hubEnd), endpoints);
      if (link === undefined) {
        this.#step({ type: "DialFailed", generation, reason: "connection refused", answered: false });
        return;
      }
      this.#links.set(generation, link);
      this.#step({ type: "StreamOpened", generation });
    });
  }

  #received(generation: number, envelope: Envelope, bytes: number): void {
    this.#event(() => ({ type: "FrameReceived", generation, envelope, bytes }));
  }

  #send(generation: number, frame: Frame): void {
    const link = this.#links.get(generation);
    if (link === undefined) return; // destroyed meanwhile: the machine learns of it by its own Destroy or StreamClosed
    const envelope = frameEnvelope(frame, NO_BODIES);
    for (const report of itemReportsIn(envelope)) {
      const record = this.store.items.get(itemKey(report));
      must(
        record !== undefined &&
          (record.item.version > Number(report.version) || ITEM_LEVELS.indexOf(record.level) >= report.level),
        `${this.cluster}: ${itemKey(report)} reports level ${report.level} before it is durable`,
      );
      const isSame = record.item.version === Number(report.version);
      must(
        !isSame || frame.lane === (record.item.deleted === true ? "delete" : "update"),
        `${this.cluster}: ${itemKey(report)} is reported on the lane ${frame.lane}`,
      );
    }
    this.#rules?.sends(generation, frame, envelope);
    if (frame.seq > 1) this.busyFrames++;
    if (frame.seq > 0 || payloadCase(frame.body) !== "heartBeat")
      this.#world.trace(this.cluster, () => `> ${generation}#${frame.seq} ${payloadCase(frame.body)} ack ${frame.ack}`);
    link.sendUp(envelope, frame.bytes);
  }

  #handle(effect: Extract<SpokeEffect, { type: "RunHandler" }>): void {
    const { token, phase, item } = effect;
    const world = this.#world;
    const key = itemKey(item);
    this.handlersRun++;
    this.#checkMayRun(effect);
    this.onHandler(key, phase);
    const healthMs = this.tenant.healthMs ?? world.between(5, 1_500);
    const delayMs = phase === "healthy" ? healthMs : world.between(1, 120);
    const done = (refused: ItemNack | undefined): void => {
      const aborted = this.#aborted.delete(token);
      const nack =
        refused ?? (aborted && world.chance(0.5) ? abortedNack() : this.tenant.run(phase, item, world.chance(0.5)));
      world.trace(this.cluster, () => `${phase} ${key}@${item.version} ${nack === undefined ? "ok" : nack.reason}`);
      if (nack === undefined && phase === "apply") this.fact(item.name);
      this.#step({ type: "HandlerDone", token, nack });
    };
    const { room } = this;
    const end = (): void => {
      if (!this.#running.delete(token)) return;
      if (room?.handles(item) !== true) done(undefined);
      else
        this.#after(
          room.run(phase, item, (digest) => this.#heldBody(digest)),
          done,
        );
    };
    this.#running.set(token, end);
    this.#process.after(delayMs, end);
  }

  /** Goes on when a room is done, in this life of the process only. */
  #after<T>(work: Promise<T>, done: (outcome: T) => void): void {
    const { incarnation } = this.#process;
    const goOn = async (): Promise<void> => {
      const outcome = await work;
      if (incarnation === this.#process.incarnation) this.#process.after(0, () => done(outcome));
    };
    this.#world.stir();
    goOn().catch(this.#world.fail);
  }

  #heldBody(digest: string): Uint8Array {
    const blob = this.store.blobs.get(digest);
    // A handler that outlived its item: superseded, and its bodies are gone.
    if (blob?.checked !== true) throw new Error(`${digest} is not held`);
    return blob.data;
  }

  /** The version must be durable with its bodies when a phase starts, and what the phase does must not be recorded already. */
  #checkMayRun(effect: Extract<SpokeEffect, { type: "RunHandler" }>): void {
    const { phase, item } = effect;
    const key = itemKey(item);
    const record = this.store.items.get(key);
    must(record !== undefined, `${this.cluster}: ${phase} of ${key} without a durable record`);
    this.#checkFloors(phase, key);
    if (record.item.version !== item.version) return; // superseded between the step and the commit of a later one
    must(
      MAY_START_AT[phase].includes(record.level),
      `${this.cluster}: ${phase} of ${key} at durable level ${record.level}`,
    );
    must(record.quarantinedBy !== this.#agentVersion, `${this.cluster}: ${phase} of quarantined ${key}`);
    forEachBody(item, (digest) => {
      must(
        this.store.blobs.get(digest)?.checked === true,
        `${this.cluster}: ${phase} of ${key} without body ${digest}`,
      );
    });
  }

  /** Nothing of an index takes effect before its revocation floors are in force (R-4.51). */
  #checkFloors(phase: string, key: string): void {
    const stored = this.store.index;
    // Readys that shared a commit: what the earlier one starts is older than the index that the later one stored.
    if (this.#shared) return;
    if (phase === "healthy" || stored === undefined) return;
    for (const { target, name, floor } of storedDocument(stored).revocations)
      must(
        this.tenant.floor(target, name) >= floor,
        `${this.cluster}: ${phase} of ${key} before floor ${floor} of ${target}/${name} is in force`,
      );
  }
}

/** Levels that may be the durable one when a phase starts: a phase does not wait for the record of the one before. */
const MAY_START_AT: Readonly<Record<HandlerPhase, readonly ItemLevel[]>> = {
  verify: ["received"],
  apply: ["received", "verified"],
  healthy: ["received", "verified", "applied"],
  remove: ["pending"],
};

function abortedNack(): ItemNack {
  return { class: Nack_Class.INTERNAL, retryable: true, reason: "ABORTED", detail: "superseded" };
}
