import { RevocationAck_Outcome } from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { IndexReport_Outcome } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { Goodbye_Code } from "../../src/api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { IndexDocument } from "../../src/federation/index/index-document.ts";
import type { Frame } from "../../src/federation/session/frame.ts";
import { MAX_RETRY_AFTER_MS, MAX_RUNNING_HANDLERS, SUPERSEDED_WAIT_MS } from "../../src/federation/session/limits.ts";
import type { Ready } from "../../src/federation/session/ready.ts";
import type { SpokeEffect } from "../../src/federation/session/spoke/effects.ts";
import type { SpokeEvent } from "../../src/federation/session/spoke/events.ts";
import type { SpokeWrite, StoredIndex } from "../../src/federation/session/spoke/record.ts";
import type { SpokeSession } from "../../src/federation/session/spoke/spoke-session.ts";
import { REFUSED_FACT } from "./hub-store.ts";
import { indexReportIn } from "./carried-reports.ts";
import { hasHonestHeader, isForged } from "./forgery.ts";
import { blockedBy } from "./hub-rules.ts";
import type { Wire } from "./link.ts";
import { KEY_IDS } from "./desired-state.ts";
import { Outgoing } from "./outgoing.ts";
import { storedDocument } from "./stored-document.ts";
import type { Tenant } from "./tenant.ts";
import { must } from "./world.ts";

/** Ends of streams that time alone brings, whatever the event of the step was. */
const BY_TIME: ReadonlySet<string> = new Set(["HeartbeatMissed", "DrainTimeout", "HelloTimeout"]);

/** One step of an agent's machine, as its shell sees it. */
export interface AgentStep {
  readonly event: SpokeEvent;
  readonly ready: Ready<SpokeWrite, SpokeEffect>;
  /** Monotonic time of the world, milliseconds. */
  readonly nowMs: number;
  /** The agent's wall clock. */
  readonly wallMs: number;
  /** When the machine asked to be woken, monotonic time of the world, milliseconds. */
  readonly wakesMs: number;
}

/** What every agent process must keep, whatever happens: asked after every step, from outside of the machine. One life of a process. */
export class AgentRules {
  readonly #who: string;
  readonly #session: SpokeSession;
  readonly #tenant: Tenant;
  readonly #wire: Wire;
  /** False for a second agent with a certificate: the tenant behind it is another one than the one it has a copy of. */
  readonly #original: () => boolean;
  /** Serial of the last revocation there is. */
  readonly #serial: () => bigint;
  readonly #welcomed: (term: bigint, sessionId: string) => void;
  /** Protocol version of each stream that was welcomed. */
  readonly #versions: Map<number, number> = new Map();
  readonly #out: Map<number, Outgoing> = new Map();
  readonly #open: Set<string> = new Set();
  readonly #running: Set<number> = new Set();
  readonly #failedRevocations: Set<bigint> = new Set();
  #index: IndexDocument | undefined;
  /** Times of an index, read once. */
  #times: { readonly of: IndexDocument; readonly expiresMs: number; readonly lifeMs: number } | undefined = undefined;
  /** When this process took the index in force, world time. */
  #tookMs: number;
  #generation = 0;
  #connected = false;
  #term: bigint;
  #notBeforeMs = 0;
  /** Version of the refused report up to which somebody was told. */
  #refusedThrough = 0n;

  constructor(parts: {
    readonly who: string;
    readonly session: SpokeSession;
    readonly tenant: Tenant;
    readonly wire: Wire;
    readonly original: () => boolean;
    readonly serial: () => bigint;
    readonly welcomed: (term: bigint, sessionId: string) => void;
    readonly index: StoredIndex | undefined;
    readonly term: bigint;
    readonly nowMs: number;
  }) {
    this.#who = parts.who;
    this.#session = parts.session;
    this.#tenant = parts.tenant;
    this.#wire = parts.wire;
    this.#original = parts.original;
    this.#serial = parts.serial;
    this.#welcomed = parts.welcomed;
    this.#index = parts.index === undefined ? undefined : storedDocument(parts.index);
    this.#tookMs = parts.nowMs;
    this.#term = parts.term;
  }

  /** After a step of the machine, before its effects are performed. */
  stepped(step: AgentStep): void {
    const { event, ready, nowMs, wallMs, wakesMs } = step;
    const effects = ready.atOnce.length === 0 ? ready.afterPersist : [...ready.atOnce, ...ready.afterPersist];
    this.#checkFrame(event, ready);
    this.#checkEnds(event, effects);
    for (const write of ready.persist) {
      if (write.type === "PutTerm") this.#term = write.term;
      if (write.type === "PutIndex") this.#take(storedDocument(write.index), nowMs, wallMs);
      if (write.type === "AcknowledgeFact" && write.key.endsWith(REFUSED_FACT) && !this.#wire.reordered) {
        if (effects.some((effect) => effect.type === "FactRefused" && effect.key === write.key))
          this.#refusedThrough = write.reportVersion;
        // The acknowledgement of its frame may come after the refusal was told.
        must(
          write.reportVersion <= this.#refusedThrough,
          `${this.#who}: ${write.key} is dropped, and nobody is told that it was refused`,
        );
      }
    }
    if (event.type === "HandlerDone") this.#running.delete(event.token);
    if (event.type === "Request") this.#open.add(event.request.value.requestId);
    if (event.type === "RevokeDone" && !event.applied) this.#failedRevocations.add(event.serial);
    if (event.type === "StreamOpened") this.#out.set(event.generation, new Outgoing(this.#who));
    for (const effect of effects) this.#effect(effect, nowMs, wallMs);
    this.#checkBlocked(event, effects);
    const freshForMs = this.#freshForMs(nowMs, wallMs);
    must(
      freshForMs <= 0 || wakesMs <= Math.ceil(nowMs + freshForMs),
      `${this.#who}: the index runs out in ${freshForMs} ms, and the machine wakes in ${wakesMs - nowMs} ms`,
    );
    must(
      this.#session.connected || this.#open.size === 0,
      `${this.#who}: ${this.#open.size} requests stay open without a stream`,
    );
    this.#connected = this.#session.connected;
  }

  /** A frame of the hub is about to be handled. */
  receives(generation: number, envelope: Envelope): void {
    const out = this.#out.get(generation);
    if (out === undefined || isForged(envelope)) return;
    out.acknowledged(Number(envelope.ack));
    if (envelope.payload.case === "welcome") {
      this.#versions.set(generation, envelope.payload.value.protocolVersion);
      if (envelope.term >= this.#term) this.#welcomed(envelope.term, envelope.payload.value.sessionId);
    }
    if (envelope.payload.case !== "revocationPush" || !this.#original()) return;
    const { serial } = envelope.payload.value;
    out.owes(Number(envelope.seq), () =>
      this.#tenant.revoked.has(serial) || this.#failedRevocations.has(serial)
        ? ""
        : `revocation ${serial} before it is in force`,
    );
  }

  /** A goodbye says when to come back, if the stream it came on was not given up before. */
  waits(generation: number, code: Goodbye_Code, retryAfterMs: number, nowMs: number): void {
    if (!this.#out.has(generation)) return;
    const least = code === Goodbye_Code.SUPERSEDED ? SUPERSEDED_WAIT_MS : 0;
    this.#notBeforeMs = nowMs + Math.max(least, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS));
  }

  /** A frame goes to the transport. */
  sends(generation: number, frame: Frame, envelope: Envelope): void {
    const { payload } = envelope;
    if (payload.case === "revocationAck" && payload.value.outcome === RevocationAck_Outcome.APPLIED && this.#original())
      must(
        this.#tenant.revoked.has(payload.value.serial),
        `${this.#who}: revocation ${payload.value.serial} is said to be in force and is not`,
      );
    if (payload.case === "hello")
      must(
        payload.value.highestTerm === this.#term,
        `${this.#who}: hello says term ${payload.value.highestTerm}, ${this.#term} was seen`,
      );
    if (payload.case === "hello")
      must(
        payload.value.lastRevocationSerial <= this.#serial(),
        `${this.#who}: hello says that revocation ${payload.value.lastRevocationSerial} is in force, and there is none`,
      );
    if (payload.case === "hello" && this.#original())
      for (let serial = payload.value.lastRevocationSerial; serial > 0n; serial--)
        must(
          this.#tenant.revoked.has(serial),
          `${this.#who}: hello says that revocation ${serial} is in force, and it is not`,
        );
    if (payload.case === "itemReports")
      must(
        (this.#versions.get(generation) ?? 0) >= BATCHES_SINCE,
        `${this.#who}: reports several items in one frame to a hub that speaks version ${this.#versions.get(generation)}`,
      );
    const report = indexReportIn(envelope);
    if (report?.outcome === IndexReport_Outcome.ACCEPTED && this.#original()) {
      const { epoch, sequence } = report;
      const index = this.#index;
      if (index !== undefined && BigInt(index.epoch) === epoch && BigInt(index.sequence) === sequence)
        for (const { target, name, floor } of index.revocations)
          must(
            this.#tenant.floor(target, name) >= floor,
            `${this.#who}: index ${epoch}.${sequence} is reported accepted before floor ${floor} of ${target}/${name} is in force`,
          );
    }
    this.#out.get(generation)?.sends(frame, envelope);
  }

  /** An index comes into force: it must be one that may. */
  #take(next: IndexDocument, nowMs: number, wallMs: number): void {
    const before = this.#index;
    must(KEY_IDS.includes(next.keyId), `${this.#who}: takes an index that ${next.keyId} signed`);
    must(next.cluster === this.#tenant.cluster, `${this.#who}: takes the index of ${next.cluster}`);
    must(Date.parse(next.expiresAt) > wallMs, `${this.#who}: takes an index that ran out at ${next.expiresAt}`);
    must(Date.parse(next.issuedAt) <= wallMs + MAX_AHEAD_MS, `${this.#who}: takes an index issued at ${next.issuedAt}`);
    const named = new Set(next.items.map(({ kind, name }) => `${kind}/${name}`));
    for (const { kind, name, deleted } of before?.items ?? [])
      must(
        deleted === true || named.has(`${kind}/${name}`),
        `${this.#who}: takes an index that drops ${kind}/${name} without a tombstone`,
      );
    for (const { target, name, floor } of before?.revocations ?? []) {
      const after = next.revocations.find((other) => other.target === target && other.name === name);
      must(
        after === undefined || after.floor >= floor,
        `${this.#who}: takes an index that lowers the floor of ${target}/${name}`,
      );
    }
    this.#index = next;
    this.#tookMs = nowMs;
  }

  #effect(effect: SpokeEffect, nowMs: number, wallMs: number): void {
    switch (effect.type) {
      case "Dial":
        must(
          nowMs >= this.#notBeforeMs,
          `${this.#who}: dials ${this.#notBeforeMs - nowMs} ms before the hub said it may come back`,
        );
        this.#generation = effect.generation;
        return;
      case "RunHandler":
        if (effect.phase === "healthy") return;
        this.#running.add(effect.token);
        must(this.#running.size <= MAX_RUNNING_HANDLERS, `${this.#who}: ${this.#running.size} handlers run`);
        this.#checkFresh(effect.item.name, nowMs, wallMs);
        return;
      case "Response":
        this.#open.delete(effect.response.value.requestId);
        return;
      case "RequestFailed":
        this.#open.delete(effect.requestId);
        return;
      case "Destroy":
        this.#out.delete(effect.generation);
        return;
      default:
    }
  }

  /** Time until the index runs out, by the clock or by how long it has been in force; Infinity without one. */
  #freshForMs(nowMs: number, wallMs: number): number {
    const index = this.#index;
    if (index === undefined) return Infinity;
    if (this.#times?.of !== index) {
      const expiresMs = Date.parse(index.expiresAt);
      this.#times = { of: index, expiresMs, lifeMs: expiresMs - Date.parse(index.issuedAt) };
    }
    const { expiresMs, lifeMs } = this.#times;
    return Math.min(expiresMs - wallMs, this.#tookMs + lifeMs - nowMs);
  }

  /** Nothing new follows from an index that ran out. */
  #checkFresh(item: string, nowMs: number, wallMs: number): void {
    must(
      this.#freshForMs(nowMs, wallMs) > 0,
      `${this.#who}: ${item} is worked on although index ${this.#index?.epoch}.${this.#index?.sequence} ran out`,
    );
  }

  /** A frame whose header lies ends its stream, and nothing of it counts. */
  #checkFrame(event: SpokeEvent, { persist, afterPersist }: Ready<SpokeWrite, SpokeEffect>): void {
    if (event.type !== "FrameReceived" || !this.#out.has(event.generation)) return;
    const { payload, term } = event.envelope;
    const ends = payload.case === "goodbye" || payload.case === "protocolError";
    const old = !ends && term < this.#term;
    if (!old && !isForged(event.envelope)) return;
    const mayBe = hasHonestHeader(event.envelope) ? [...OF_OLD, "AcknowledgeFact"] : OF_OLD;
    must(
      afterPersist.some((effect) => effect.type === "Destroy" && effect.generation === event.generation) &&
        persist.every(({ type }) => mayBe.includes(type)),
      `${this.#who}: takes ${old ? `a frame of term ${term} after ${this.#term}` : `a forged ${payload.case ?? "frame"}`}`,
    );
  }

  /** The end of one stream is not the end of another one. */
  #checkEnds(event: SpokeEvent, effects: readonly SpokeEffect[]): void {
    if (!this.#connected || this.#session.connected) return;
    if (!("generation" in event) || event.generation === this.#generation) return;
    const ended = effects.find((effect) => effect.type === "Destroy" && effect.generation === this.#generation);
    if (ended?.type === "Destroy" && BY_TIME.has(ended.code)) return;
    must(false, `${this.#who}: ${event.type} of stream ${event.generation} ends stream ${this.#generation}`);
  }

  #checkBlocked(event: SpokeEvent, effects: readonly SpokeEffect[]): void {
    const blocked = blockedBy(event.type);
    if (blocked !== undefined && "generation" in event) this.#out.get(event.generation)?.told(blocked);
    for (const effect of effects)
      if (effect.type === "Send") this.#out.get(effect.generation)?.checkMayLeave(effect.frame);
  }
}

/** Writes that a step may bring whatever its frame says: of work that was under way, and the term of the frame. */
const OF_OLD: readonly string[] = ["PutTerm", "PutItem"];

/** First protocol version with reports of several items in one frame (docs/protocol.md). */
const BATCHES_SINCE = 3;

/** How far ahead of the agent's clock an index may have been issued, milliseconds (R-6.2). */
const MAX_AHEAD_MS = 5 * 60_000;
