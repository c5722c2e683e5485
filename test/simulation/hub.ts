import { create } from "@bufbuild/protobuf";
import { DriftUpdateSchema } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { Goodbye_Code } from "../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { SeededRandom } from "../../src/base/random.ts";
import type { DesiredIndex } from "../../src/federation/hub/ports.ts";
import type { IndexRevocation } from "../../src/federation/index/index-document.ts";
import type { HubEvent } from "../../src/federation/session/hub/events.ts";
import { HubSession } from "../../src/federation/session/hub/hub-session.ts";
import {
  AUDIT_IN_FLIGHT,
  MAX_SERVED_FETCHES,
  SESSION_BUDGET_BYTES,
  WINDOW_FRAMES,
} from "../../src/federation/session/limits.ts";
import type { SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import type { DesiredState } from "./desired-state.ts";
import { HubEffects, driftKey } from "./hub-effects.ts";
import { HubRules } from "./hub-rules.ts";
import { HubStore } from "./hub-store.ts";
import type { Link, LinkEnd } from "./link.ts";
import { Process } from "./process.ts";
import type { Served } from "./served.ts";
import type { HubPart, SimulatedHub } from "./simulated-hub.ts";
import { spokenVersions } from "./spoken-versions.ts";
import { type SwitchedOff, nothingOff } from "./switched-off.ts";
import { EffectRate, START_WALL_MS, SimulationFailure, type World, must } from "./world.ts";

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
  #bootMs = 0;
  /** Boundaries (effects and stores) until the process dies; Infinity: it lives. */
  #dieAfter = Infinity;
  /** While true, stores fail now and then. */
  failing = false;
  /** While true, ownership moves with every stream. */
  moving = false;
  skewMs = 0;
  /** What directed scenarios switch off for a while. */
  readonly off: SwitchedOff = nothingOff();
  readonly #effects: HubEffects;

  constructor(world: World, desired: readonly DesiredState[], part?: HubPart) {
    this.#world = world;
    this.#part = part;
    this.#process = new Process(world);
    this.stores = part?.stores ?? new Map();
    this.#effects = new HubEffects({
      world,
      process: this.#process,
      part,
      desired: this.#desired,
      off: this.off,
      store: (cluster) => this.store(cluster),
      served: (cluster) => this.#served.get(cluster),
      wallMs: () => this.wallMs,
      failing: () => this.failing,
      moving: () => this.moving,
      step: (cluster, event) => this.#step(cluster, event),
      event: (cluster, make) => this.#event(cluster, make),
      boundary: () => this.#boundary(),
      revocationsChanged: (cluster) => this.revocationsChanged(cluster),
      retriesChanged: (cluster) => this.retriesChanged(cluster),
      tellDrift: (cluster, name) => this.#tellDrift(cluster, name),
    });
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

  get busyFrames(): number {
    return this.#effects.busyFrames;
  }

  /** Times that a machine asked for news to be handed in anew. */
  get resyncs(): number {
    return this.#effects.resyncs;
  }

  /** Bodies that were asked for, refused ones too. */
  get bodiesAsked(): number {
    return this.#effects.bodiesAsked;
  }

  /** How often a body was pinned to be sent. */
  body(digest: string): { served: number } {
    return this.#effects.body(digest);
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
    this.#effects.ended();
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
      this.#effects.perform(cluster, served, effect);
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
}
