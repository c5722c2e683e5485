import { create } from "@bufbuild/protobuf";
import { RunnerConfigValidationResponseSchema } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { DriftUpdateSchema } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { Goodbye_Code } from "../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { type IndexRevocation, itemKey } from "../../src/federation/index/index-document.ts";
import { Turns } from "../../src/federation/hub/turns.ts";
import { forEachBody } from "../../src/federation/index/plan-index.ts";
import { frameEnvelope } from "../../src/federation/session/encode-frame.ts";
import { type Frame, payloadCase } from "../../src/federation/session/frame.ts";
import type { HubEffect } from "../../src/federation/session/hub/effects.ts";
import type { HubEvent, StoreOutcome } from "../../src/federation/session/hub/events.ts";
import { HubSession } from "../../src/federation/session/hub/hub-session.ts";
import {
  AUDIT_IN_FLIGHT,
  MAX_SERVED_FETCHES,
  SESSION_BUDGET_BYTES,
  WINDOW_FRAMES,
} from "../../src/federation/session/limits.ts";
import type { SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import type { DesiredState } from "./desired-state.ts";
import { HubRules } from "./hub-rules.ts";
import { HubStore } from "./hub-store.ts";
import type { Link, LinkEnd } from "./link.ts";
import { Process } from "./process.ts";
import { spokenVersions } from "./spoken-versions.ts";
import { EffectRate, START_WALL_MS, SimulationFailure, type World, must } from "./world.ts";

/** One tenant as the hub's process sees it; gone with the process. */
interface Served {
  readonly session: HubSession;
  readonly links: Map<number, Link>;
  readonly pins: Map<string, Uint8Array>;
  generation: number;
  tickAtMs: number;
  readonly rate: EffectRate;
  /** Batches that the sink has not stored yet. */
  storing: number;
  readonly rules: HubRules;
  /** What the machine takes for the desired index, which may be a wrong one. */
  told: DesiredIndex | undefined;
}

/** What one of several replicas has to do with the others (replicas/); absent for a hub that is alone. */
export interface HubPart {
  readonly name: string;
  /** Of the present membership. */
  readonly identity: string;
  readonly stores: Map<string, HubStore>;
  /** A new life began. `release` ends the stream of a session that another replica owns. */
  booted(process: Process, release: (cluster: string, endpoint: string) => void): void;
  /** Asked before every event. */
  valid(): boolean;
  endpoints(cluster: string): readonly string[];
  elsewhere(cluster: string): string;
  acquire(cluster: string, above: bigint, done: (term: bigint | undefined) => void): void;
  fenced<T>(cluster: string, object: string, write: () => T, done: (outcome: T | undefined) => void): void;
}

/** The hub as schedules and agents see it: one process, or several replicas. */
export interface SimulatedHub {
  readonly wallMs: number;
  readonly busyFrames: number;
  failing: boolean;
  moving: boolean;
  skewMs: number;
  boot(): void;
  session(cluster: string): HubSession | undefined;
  store(cluster: string): HubStore;
  crash(boundaries: number): void;
  settle(): void;
  lose(cluster: string): void;
  freeze(ms: number): void;
  desiredChanged(cluster: string): void;
  replay(cluster: string, old: DesiredIndex): void;
  revoke(cluster: string, revocation: IndexRevocation): void;
  retry(cluster: string, kind: string, name: string): void;
  pinned(cluster: string): number;
  drift(cluster: string, name: string): void;
  /** Bytes and bodies held for agents, by the simulator's own measure. */
  checkMemory(): void;
  evict(cluster: string): void;
  checkAcknowledged(cluster: string, write: SpokeWrite): void;
  /** An agent dials; `endpoints` are those it was told of, empty for the configured ones. */
  accept(cluster: string, connect: (end: LinkEnd) => Link, endpoints: readonly string[]): Link | undefined;
}

/** Facts a session may have waiting: one per unacknowledged frame, and as many revocations that Hello told of. */
const MAX_WAITING_FACTS = 2 * WINDOW_FRAMES;

/** Audit batches that may wait: those of the stream, and as many that are being stored for the one before. */
const MAX_WAITING_AUDITS = 2 * AUDIT_IN_FLIGHT;

/** The simulated hub: one real machine per tenant, a shell around them, stores that survive, and a process that does not. */
export class Hub implements SimulatedHub {
  readonly #world: World;
  readonly #part: HubPart | undefined;
  readonly #process: Process;
  readonly #desired: Map<string, DesiredState> = new Map();
  readonly stores: Map<string, HubStore>;
  readonly #served: Map<string, Served> = new Map();
  readonly #bodies: Map<string, { served: number }> = new Map();
  #bootMs = 0;
  /** Boundaries (effects and stores) until the process dies; Infinity: it lives. */
  #dieAfter = Infinity;
  /** One agent at a time, so that the others wait. */
  #compares = new Turns<string>(1);
  /** While true, stores fail now and then. */
  failing = false;
  /** While true, ownership moves with every stream. */
  moving = false;
  skewMs = 0;
  busyFrames = 0;
  /** What directed scenarios switch off for a while: answers to requests, bodies, stores, and the whole process when it dies (milliseconds). */
  readonly off: {
    answers: boolean;
    /** Altered bodies are found to be altered before they are sent. */
    altered: boolean;
    bodies: boolean;
    loads: boolean;
    /** Loaded sessions have a term below the agent's. */
    terms: boolean;
    stores: boolean;
    processMs: number | undefined;
    /** Time that loading a session takes, milliseconds. */
    loadMs: number | undefined;
    /** Time that the sink takes, milliseconds. */
    sinkMs: number | undefined;
    /** Length of the text in news of drift. */
    driftText: number | undefined;
  } = {
    answers: false,
    altered: false,
    loads: false,
    terms: false,
    bodies: false,
    stores: false,
    processMs: undefined,
    loadMs: undefined,
    sinkMs: undefined,
    driftText: undefined,
  };
  /** Times that a machine asked for news to be handed in anew. */
  resyncs = 0;
  /** Bodies that were asked for, refused ones too. */
  bodiesAsked = 0;

  constructor(world: World, desired: readonly DesiredState[], part?: HubPart) {
    this.#world = world;
    this.#part = part;
    this.#process = new Process(world);
    this.stores = part?.stores ?? new Map();
    for (const state of desired) {
      this.#desired.set(state.cluster, state);
      if (part === undefined) this.stores.set(state.cluster, new HubStore(state.cluster));
    }
  }

  /** False while the process is down or stopped. */
  get running(): boolean {
    return this.#process.alive && !this.#process.frozen;
  }

  get wallMs(): number {
    return START_WALL_MS + this.#world.nowMs + this.skewMs;
  }

  /** The live session of a tenant. */
  session(cluster: string): HubSession | undefined {
    return this.#served.get(cluster)?.session;
  }

  store(cluster: string): HubStore {
    const store = this.stores.get(cluster);
    if (store === undefined) throw new SimulationFailure(`no such cluster ${cluster}`);
    return store;
  }

  boot(): void {
    this.#process.start();
    this.#dieAfter = Infinity;
    this.#bootMs = this.#world.nowMs - this.#world.between(0, 1000);
    this.#world.trace("hub", () => `boots (process ${this.#process.incarnation})`);
    this.#part?.booted(this.#process, (cluster, endpoint) => this.#release(cluster, endpoint));
    for (const [cluster, state] of this.#desired) {
      this.#served.set(cluster, {
        session: new HubSession({
          cluster,
          random: new SeededRandom(this.#world.between(1, 2 ** 30)),
          // Some hubs send even small indexes by reference, so that this form is met as often as the others.
          ...(this.#world.chance(0.2) ? { offerBodyBytes: 600 } : {}),
          // So are range digests.
          ...(this.#world.chance(0.5) ? { comparedBodyBytes: 400 } : {}),
          protocolVersions: spokenVersions(this.#world),
        }),
        links: new Map(),
        pins: new Map(),
        generation: 0,
        tickAtMs: Infinity,
        rate: new EffectRate(`the hub for ${cluster}`),
        told: undefined,
        storing: 0,
        rules: new HubRules(cluster, this.store(cluster)),
      });
      this.#step(cluster, { type: "DesiredChanged", desired: state.current });
      this.#step(cluster, { type: "RevocationsChanged", pending: this.store(cluster).pending });
      this.#step(cluster, { type: "RetriesChanged", orders: this.store(cluster).retries });
    }
  }

  /** kill -9 at the `boundaries`-th effect or store from now, and up again after a while. */
  crash(boundaries: number): void {
    if (!this.#process.alive) return;
    this.#dieAfter = boundaries;
    if (boundaries === 0) this.#die();
    else this.#process.after(3_000, () => this.#die()); // an idle process meets no boundary
  }

  /** No crash is left over: one that was to come comes now. */
  settle(): void {
    if (this.#dieAfter !== Infinity) this.#die();
  }

  /** The disks under one tenant's records are gone; the process with them. */
  lose(cluster: string): void {
    this.crash(0);
    this.#world.trace("hub", () => `loses what it stored of ${cluster}`);
    this.store(cluster).lose();
  }

  #die(): void {
    if (!this.#process.alive) return;
    this.#dieAfter = Infinity;
    this.#world.trace("hub", () => "crashes");
    this.#process.end();
    const silent = this.#world.chance(0.3);
    for (const { session } of this.#served.values()) this.#world.coverage.add(session.counters);
    for (const served of this.#served.values())
      for (const link of served.links.values()) link.hubGone("hub crashed", silent);
    this.#served.clear();
    this.#compares = new Turns(1);
    this.#world.after(this.off.processMs ?? this.#world.between(100, 8_000), () => this.boot());
  }

  freeze(ms: number): void {
    this.#world.trace("hub", () => `is frozen for ${ms} ms`);
    this.#process.freeze(ms);
  }

  /**
   * The formula of docs/scale.md over the whole world: `agents × SESSION_BUDGET_BYTES`, measured once by the machines' own word and once from
   * the frames themselves. Bodies are shared and counted apart.
   */
  checkMemory(): void {
    let [said, measured] = [0, 0];
    for (const { session, rules } of this.#served.values()) {
      said += session.queuedBytes;
      measured += rules.bytes;
    }
    const budget = this.#served.size * SESSION_BUDGET_BYTES;
    must(
      said <= budget && measured <= said,
      `hub: ${said} bytes by its own word, ${measured} measured, for ${this.#served.size} agents with ${budget} in all`,
    );
  }

  /** How often a body was pinned to be sent. */
  body(digest: string): { served: number } {
    let body = this.#bodies.get(digest);
    if (body === undefined) {
      body = { served: 0 };
      this.#bodies.set(digest, body);
    }
    return body;
  }

  /** Tells the machine that the index builder signed a new index. */
  desiredChanged(cluster: string): void {
    this.#event(cluster, () => ({ type: "DesiredChanged", desired: this.#desired.get(cluster)?.current }));
  }

  /** The hub takes `index` for the desired one. */
  feed(cluster: string, index: DesiredIndex): void {
    this.#event(cluster, () => ({ type: "DesiredChanged", desired: index }));
  }

  /** Somebody feeds the hub a wrong index, and it is set right after a while: a restored backup, or an attacker. */
  replay(cluster: string, wrong: DesiredIndex): void {
    this.feed(cluster, wrong);
    this.#world.after(this.#world.between(10, 3_000), () => this.desiredChanged(cluster));
  }

  revoke(cluster: string, revocation: IndexRevocation): void {
    this.store(cluster).revoke(revocation);
    this.revocationsChanged(cluster);
  }

  revocationsChanged(cluster: string): void {
    this.#event(cluster, () => ({ type: "RevocationsChanged", pending: this.store(cluster).pending }));
  }

  retry(cluster: string, kind: string, name: string): void {
    this.store(cluster).retry(kind, name, this.wallMs);
    this.retriesChanged(cluster);
  }

  retriesChanged(cluster: string): void {
    this.#event(cluster, () => ({ type: "RetriesChanged", orders: this.store(cluster).retries }));
  }

  /** A drift signal on the management cluster goes on: its agent is told. */
  drift(cluster: string, name: string): void {
    const { drifts } = this.store(cluster);
    drifts.set(name, (drifts.get(name) ?? 0) + 1);
    this.driftChanged(cluster, name);
  }

  driftChanged(cluster: string, name: string): void {
    this.#process.after(0, () => this.#tellDrift(cluster, name));
  }

  /** Lame duck: every agent is sent away. */
  evict(
    cluster: string,
    retryAfterMs = 500,
    endpoint = this.#part?.elsewhere(cluster) ?? "",
    code: Goodbye_Code = Goodbye_Code.SHUTDOWN,
  ): void {
    const parts = { code, message: "lame duck", retryAfterMs, endpoint };
    this.#event(cluster, () => ({ type: "Evict", ...parts }));
  }

  /** Bodies that are kept in memory for an agent. */
  pinned(cluster: string): number {
    return this.#served.get(cluster)?.pins.size ?? 0;
  }

  /** An agent takes something for stored. */
  checkAcknowledged(cluster: string, write: SpokeWrite): void {
    this.store(cluster).check(write);
  }

  /** An agent dials; undefined while the process is down. */
  accept(cluster: string, connect: (end: LinkEnd) => Link): Link | undefined {
    const served = this.#served.get(cluster);
    if (!this.#process.alive || served === undefined) return undefined;
    const generation = ++served.generation;
    const link = connect({
      frame: (envelope, bytes) => this.#event(cluster, () => ({ type: "FrameReceived", generation, envelope, bytes })),
      closed: (reason) => this.#event(cluster, () => ({ type: "StreamClosed", generation, reason })),
      blocked: () => this.#event(cluster, () => ({ type: "StreamBlocked", generation })),
      drained: () => this.#event(cluster, () => ({ type: "StreamDrained", generation })),
    });
    served.links.set(generation, link);
    this.#event(cluster, () => ({ type: "StreamOpened", generation }));
    return link;
  }

  #event(cluster: string, make: () => HubEvent): void {
    this.#process.after(0, () => this.#step(cluster, make()));
  }

  #step(cluster: string, event: HubEvent): void {
    const served = this.#served.get(cluster);
    if (served === undefined) return;
    const { session } = served;
    if (event.type === "DesiredChanged") served.told = event.desired;
    if (event.type === "FrameReceived") served.rules.receives(event.generation, event.envelope);
    if (event.type === "StreamClosed") served.links.delete(event.generation);
    // As the shell does: a process that was stopped finds out before it handles anything that waited for it.
    if (this.#part !== undefined && event.type !== "Evict" && session.occupied && !this.#part.valid())
      this.#release(cluster, this.#part.elsewhere(cluster));
    const ready = session.step(event, this.#world.nowMs - this.#bootMs, this.wallMs);
    served.rate.add(this.#world.nowMs, ready.afterPersist.length);
    served.rules.stepped(event, ready.afterPersist, session, this.#world.nowMs);
    const { queuedBytes, waitingFacts, waitingAudits } = session;
    must(queuedBytes <= SESSION_BUDGET_BYTES, `hub: ${queuedBytes} bytes queued and unacknowledged for ${cluster}`);
    must(waitingFacts <= MAX_WAITING_FACTS, `hub: ${waitingFacts} facts of ${cluster} wait to be stored`);
    must(waitingAudits <= MAX_WAITING_AUDITS, `hub: ${waitingAudits} audit batches of ${cluster} wait to be stored`);
    must(served.pins.size <= MAX_SERVED_FETCHES, `hub: ${served.pins.size} bodies are pinned for ${cluster}`);
    this.#scheduleTick(cluster, served);
    const { incarnation } = this.#process;
    for (const effect of ready.afterPersist) {
      this.#effect(cluster, served, effect);
      if (incarnation !== this.#process.incarnation || this.#boundary()) return;
    }
  }

  #tellDrift(cluster: string, name: string): void {
    const escalationCounter = this.store(cluster).drifts.get(name) ?? 0;
    const message = "x".repeat(this.off.driftText ?? 0);
    const value = create(DriftUpdateSchema, { signalName: name, escalationCounter, message });
    this.#step(cluster, { type: "Respond", payload: { case: "driftUpdate", value }, key: driftKey(name) });
  }

  /** This replica may not serve the session any more. */
  #release(cluster: string, endpoint: string): void {
    const parts = { code: Goodbye_Code.NOT_OWNER, message: "not the owner any more", retryAfterMs: 100, endpoint };
    if (this.#served.get(cluster)?.session.occupied === true) this.#step(cluster, { type: "Evict", ...parts });
  }

  /** A place where the process may die. */
  #boundary(): boolean {
    if (--this.#dieAfter > 0) return false;
    this.#die();
    return true;
  }

  #scheduleTick(cluster: string, served: Served): void {
    const atMs = served.session.deadlineMs + this.#bootMs;
    if (atMs >= served.tickAtMs || atMs === Infinity) return;
    served.tickAtMs = atMs;
    this.#process.after(atMs - this.#world.nowMs, () => {
      if (served.tickAtMs !== atMs) return;
      served.tickAtMs = Infinity;
      this.#step(cluster, { type: "Tick" });
    });
  }

  #effect(cluster: string, served: Served, effect: HubEffect): void {
    const world = this.#world;
    switch (effect.type) {
      case "Send":
        this.#send(cluster, served, effect.generation, effect.frame);
        return;
      case "Destroy": {
        const link = served.links.get(effect.generation);
        served.links.delete(effect.generation);
        world.trace("hub", () => `destroys stream of ${cluster}: ${effect.code} ${effect.detail}`);
        link?.hubGone(effect.code, world.chance(0.1));
        return;
      }
      case "LoadSession":
        this.#load(cluster, effect);
        return;
      case "PinBlob": {
        const { token, digest } = effect;
        const current = this.#desired.get(cluster)?.current;
        const named = current !== undefined && this.#names(cluster, digest);
        const body = named ? this.#body(cluster, digest) : undefined;
        if (body !== undefined) {
          served.pins.set(digest, body);
          this.body(digest).served++;
        }
        this.bodiesAsked++;
        if (this.off.altered && this.#desired.get(cluster)?.blobs.corrupt.has(digest) === true) {
          served.pins.delete(digest);
          const found = { type: "BlobPinned", token, size: undefined, busy: false, corrupt: true } as const;
          this.#process.after(world.between(0, 10), () => this.#step(cluster, found));
          return;
        }
        const size = this.off.bodies || world.chance(0.03) ? undefined : body?.length;
        this.#process.after(world.between(0, 10), () =>
          this.#step(cluster, { type: "BlobPinned", token, size, busy: size === undefined }),
        );
        return;
      }
      case "UnpinBlob":
        served.pins.delete(effect.digest);
        return;
      case "AcquireCompare":
        this.#compares.acquire(cluster, () => this.#event(cluster, () => ({ type: "CompareAcquired" })));
        return;
      case "ReleaseCompare":
        this.#compares.release(cluster);
        return;
      case "StoreFact": {
        const { token, fact } = effect;
        this.#process.after(world.between(1, 25), () => {
          const stored = (outcome: StoreOutcome): void => {
            if (this.#boundary()) return; // stored, and nobody hears of it
            this.#step(cluster, { type: "FactStored", token, outcome });
            if (fact.kind === "revocation" && outcome.kind === "stored") this.revocationsChanged(cluster);
          };
          const write = (): StoreOutcome => this.store(cluster).store(fact);
          const { snapshotReceipt } = this.store(cluster);
          if (snapshotReceipt !== undefined && fact.kind === "state" && fact.payload.case === "snapshotReceiptReport") {
            this.#world.stir();
            snapshotReceipt(fact.payload.value)
              .then((outcome) => this.#process.after(0, () => stored(outcome.kind === "stored" ? write() : outcome)))
              .catch(this.#world.fail);
          } else if (this.off.stores || (this.failing && world.chance(0.6))) stored({ kind: "failed" });
          else if (this.#part === undefined) stored(write());
          else
            this.#part.fenced(cluster, `${cluster}/${fact.kind}`, write, (outcome) =>
              stored(outcome ?? { kind: "failed" }),
            );
        });
        return;
      }
      case "StoreAudit": {
        const { token, batch } = effect;
        served.storing++;
        this.#process.after(this.off.sinkMs ?? world.between(1, 25), () => {
          served.storing--;
          // A sink may store and then fail to say so.
          const fails = this.off.stores || (this.failing && world.chance(0.3));
          const stored = fails ? undefined : this.store(cluster).append(batch);
          const result = this.failing && world.chance(0.3) ? undefined : stored;
          if (this.#boundary()) return;
          this.#step(cluster, { type: "AuditStored", token, result });
        });
        return;
      }
      case "SettleRetry":
        this.#process.after(world.between(1, 25), () => {
          const items = this.#served.get(cluster)?.told?.document.items ?? [];
          const wanted = new Map(items.map((item) => [itemKey(item), item.digest]));
          this.store(cluster).retryIsOver(effect.id, wanted, this.wallMs);
          if (!this.#boundary()) this.retriesChanged(cluster);
        });
        return;
      case "HandleRequest": {
        const { request } = effect;
        if (request.case !== "runnerConfigValidationRequest") return;
        const { requestId } = request.value;
        const value = create(RunnerConfigValidationResponseSchema, { requestId, approved: true });
        const payload = { case: "runnerConfigValidationResponse", value } as const;
        if (this.off.answers || world.chance(0.1)) return; // the room that answers is away: the agent's deadline must do
        this.#process.after(world.between(1, 50), () =>
          this.#step(cluster, { type: "Respond", payload, key: requestId }),
        );
        return;
      }
      case "ChannelChanged":
        world.trace(
          "hub",
          () => `${cluster} ${effect.connected ? "connected" : `degraded: ${effect.reason} ${effect.detail}`}`,
        );
        return;
      case "Resync":
        this.resyncs++;
        for (const name of this.store(cluster).drifts.keys())
          if (effect.keys?.has(driftKey(name)) !== false) this.#process.after(1, () => this.#tellDrift(cluster, name));
        return;
    }
  }

  #load(cluster: string, effect: Extract<HubEffect, { type: "LoadSession" }>): void {
    const { generation, hello } = effect;
    const world = this.#world;
    // A store that never answers: the machine's own deadline must end the stream.
    if (this.off.loads || (this.failing && world.chance(0.05))) return;
    const load = (): void => {
      // The sink answers in order: a position is read behind what was handed in before. It matters to logs that went back.
      if (this.store(cluster).lenient && (this.#served.get(cluster)?.storing ?? 0) > 0) {
        this.#process.after(5, load);
        return;
      }
      if (this.failing && world.chance(0.2)) {
        const code = Goodbye_Code.OVERLOADED;
        this.#step(cluster, {
          type: "SessionLoadFailed",
          generation,
          code,
          message: "store is away",
          retryAfterMs: 500,
          endpoint: "",
        });
        return;
      }
      const part = this.#part;
      const store = this.store(cluster);
      const loaded = (term: bigint): void => {
        const sessionId = `${cluster}-${part?.name ?? ""}-${this.#process.incarnation}-${generation}`;
        store.servedBy.set(sessionId, part?.identity ?? "");
        this.#step(cluster, {
          type: "SessionLoaded",
          generation,
          loaded: {
            sessionId,
            term,
            replica: part?.name ?? "hub-0",
            audit: store.position(hello.audit?.epoch ?? 0n),
            storeWentBack: false,
            itemLevels: [...store.levels.values()],
            endpoints: part?.endpoints(cluster) ?? [],
          },
        });
      };
      if (part === undefined) {
        if (hello.highestTerm > 0n && (this.off.terms || (this.failing && world.chance(0.1)))) {
          loaded(hello.highestTerm - 1n); // a store that was restored from a backup
          return;
        }
        if (store.term === 0n || hello.highestTerm > store.term || this.moving) store.term++;
        loaded(store.term);
        return;
      }
      part.acquire(cluster, hello.highestTerm, (term) => {
        if (term !== undefined) {
          loaded(term);
          return;
        }
        const parts = { code: Goodbye_Code.NOT_OWNER, message: "no member", retryAfterMs: 1_000 };
        this.#step(cluster, { type: "SessionLoadFailed", generation, ...parts, endpoint: part.elsewhere(cluster) });
      });
    };
    this.#process.after(this.off.loadMs ?? world.between(1, 40), load);
  }

  #send(cluster: string, served: Served, generation: number, frame: Frame): void {
    const link = served.links.get(generation);
    if (link === undefined) return;
    const envelope = frameEnvelope(frame, {
      pinned: (digest) => {
        const body = served.pins.get(digest);
        must(body !== undefined, `hub: ${digest} is sent to ${cluster} and not pinned`);
        return body;
      },
      inline: (digest) => (this.#world.chance(0.8) ? this.#desired.get(cluster)?.blobs.read(digest) : undefined),
    });
    const size = frame.body.kind === "chunk" ? frame.body.length : 0;
    must(size <= 256 * 1024, "hub: a chunk is larger than 256 KiB");
    served.rules.sends(generation, frame, envelope);
    if (frame.seq > 1) this.busyFrames++;
    if (payloadCase(frame.body) !== "heartBeat")
      this.#world.trace(
        "hub",
        () => `> ${cluster} ${generation}#${frame.seq} ${payloadCase(frame.body)} ack ${frame.ack}`,
      );
    link.sendDown(envelope, frame.bytes);
  }

  #names(cluster: string, digest: string): boolean {
    const current = this.#desired.get(cluster)?.current;
    if (current === undefined) return false;
    if (current.digest === digest) return true;
    let named = false;
    for (const item of current.document.items) forEachBody(item, (body) => (named ||= body === digest));
    return named;
  }

  #body(cluster: string, digest: string): Uint8Array | undefined {
    const state = this.#desired.get(cluster);
    return state?.current?.digest === digest ? state.current.envelope.body : state?.blobs.read(digest);
  }
}

function driftKey(name: string): string {
  return `drift/${name}`;
}
