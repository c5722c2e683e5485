import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import {
  type HeartBeat,
  ProtocolError_Code,
  type Welcome,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { PROTOCOL_VERSIONS } from "../limits.ts";
import { clip, heartBeat } from "../message.ts";
import type { Payload } from "../payload.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Ready } from "../ready.ts";
import { Soonest } from "../soonest.ts";
import { type Violation, violation } from "../violation.ts";
import { Carrier } from "./carrier.ts";
import { type SpokeCounters, zeroCounters } from "./counters.ts";
import type { SpokeEffect } from "./effects.ts";
import type { SpokeEvent } from "./events.ts";
import { helloMessage } from "./hello-message.ts";
import type { ItemView } from "./item-work.ts";
import type { SpokeWrite } from "./record.ts";
import type { SpokeSessionOptions } from "./session-options.ts";
import { SpokeLanes } from "./spoke-lanes.ts";
import type { SpokePipe, SpokeStep, SpokeTag } from "./step.ts";
import type { SpokeSessionView } from "./view.ts";

/**
 * The agent's side of its session: the index in force, items on their way, facts on their way up, and the stream that carries
 * them now. A pure machine (see {@link Ready}); the shell calls `step` with Tick at or after `deadlineMs`. After a crash a new machine
 * goes on from what the store held.
 */
export class SpokeSession {
  readonly #options: SpokeSessionOptions;
  readonly #counters = zeroCounters();
  readonly #carrier: Carrier;
  readonly #lanes: SpokeLanes;
  #term: bigint;
  readonly #soonest = new Soonest();
  #deadlineMs = Infinity;

  constructor(options: SpokeSessionOptions) {
    this.#options = options;
    this.#term = options.record.term;
    this.#lanes = new SpokeLanes(options, this.#counters);
    this.#carrier = new Carrier({
      random: options.random,
      counters: this.#counters,
      protocolVersions: options.protocolVersions ?? PROTOCOL_VERSIONS,
      dropped: (step) => this.#lanes.lost(step),
    });
  }

  /** Monotonic time at which a Tick is due; Infinity when nothing waits for time. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** True while a session is live. */
  get connected(): boolean {
    return this.#carrier.live !== undefined;
  }

  /** Bytes queued and in flight. */
  get queuedBytes(): number {
    const { pipe } = this.#carrier;
    return (pipe?.queue.bytes ?? 0) + (pipe?.sending.bytes ?? 0);
  }

  /** Counts of this process's life, for metrics. */
  get counters(): Readonly<SpokeCounters> {
    return this.#counters;
  }

  /** Progress of one item (`kind/name`), for `explain`. */
  item(key: string): ItemView | undefined {
    return this.#lanes.items.view(key);
  }

  /** Keys of all items known. */
  itemKeys(): IterableIterator<string> {
    return this.#lanes.items.keys();
  }

  /** Applies one event. */
  step(event: SpokeEvent, nowMs: number, wallMs: number): Ready<SpokeWrite, SpokeEffect> {
    const step: SpokeStep = { nowMs, wallMs, atOnce: [], persist: [], out: [] };
    if (nowMs > this.#deadlineMs) this.#carrier.liveness?.paused(nowMs - this.#deadlineMs);
    // First the time: nothing that the event brings may start from an index that has run out by now.
    if (this.#carrier.phase !== "stopped") this.#lanes.delivery.tick(step);
    this.#apply(event, step);
    this.#lanes.tick(step);
    this.#carrier.tick(step);
    if (this.#carrier.pipe !== undefined) this.#lanes.bodies.tick(step);
    this.#pump(step);
    const { live } = this.#carrier;
    live?.settleAcknowledgement(step.out, nowMs);
    this.#soonest.begin(nowMs);
    this.#carrier.deadlines(this.#soonest);
    this.#lanes.deadlines(live !== undefined, step, this.#soonest);
    this.#deadlineMs = this.#soonest.atMs;
    return { atOnce: step.atOnce, persist: step.persist, afterPersist: step.out };
  }

  /** What the tenant sees. */
  view(nowMs: number, wallMs: number): SpokeSessionView {
    const { phase, pipe, replica, attempt, liveness, lastEnd } = this.#carrier;
    const { holding, items, bodies, facts, audit, revocations } = this.#lanes;
    const { document, digest } = holding;
    return {
      phase,
      sessionId: pipe?.sessionId ?? "",
      replica,
      term: this.#term,
      attempt,
      roundTripMs: liveness?.roundTripMs,
      index: document === undefined ? undefined : { epoch: document.epoch, sequence: document.sequence, digest },
      stale: holding.freshForMs(nowMs, wallMs) <= 0,
      items: items.length,
      wantedBodies: bodies.wanting,
      pendingFacts: facts.length,
      audit: audit.cursor,
      revocationSerial: revocations.serial,
      queuedBytes: this.queuedBytes,
      lastEnd,
      counters: this.#counters,
    };
  }

  #apply(event: SpokeEvent, step: SpokeStep): void {
    const carrier = this.#carrier;
    const lanes = this.#lanes;
    switch (event.type) {
      case "Start":
        if (carrier.phase !== "stopped") return;
        lanes.delivery.start(step);
        carrier.dial(step);
        return;
      case "Stop":
        if (carrier.phase === "stopped") return;
        carrier.stop(event.reason, step);
        lanes.items.stop();
        return;
      case "StreamOpened": {
        const pipe = carrier.opened(event.generation, step);
        if (pipe !== undefined) this.#sayHello(pipe, step);
        return;
      }
      case "DialFailed":
        carrier.dialFailed(event.generation, event.reason, event.answered, step);
        return;
      case "FrameReceived":
        if (carrier.owns(event.generation)) this.#frame(event.envelope, event.bytes, step);
        return;
      case "FrameInvalid":
        if (carrier.owns(event.generation)) {
          const code = event.tooLarge ? ProtocolError_Code.TOO_LARGE : ProtocolError_Code.INVALID;
          carrier.violated(violation(code, event.detail), 0, step);
        }
        return;
      case "StreamClosed":
        if (carrier.owns(event.generation)) carrier.ended(event.reason, 0, step);
        return;
      case "StreamBlocked":
        if (carrier.owns(event.generation)) carrier.pipe?.block(step.nowMs);
        return;
      case "StreamDrained":
        if (carrier.owns(event.generation)) carrier.pipe?.unblock();
        return;
      case "HandlerDone":
        lanes.items.handlerDone(event.token, event.nack, step);
        return;
      case "HandlerWaiting":
        lanes.items.handlerWaiting(event.token, event.text, step);
        return;
      case "BlobChecked":
        lanes.delivery.checked(event.digest, event.ok, step);
        return;
      case "FactPending":
        lanes.facts.add(event.fact);
        return;
      case "FactsLoaded":
        lanes.facts.take(event.token, event.facts, step);
        return;
      case "AuditAppended":
        lanes.audit.appended(event.epoch, event.last, event.backlogBytes);
        return;
      case "AuditLoaded":
        lanes.audit.take(event.token, event.batch, event.bytes, step);
        return;
      case "RevokeDone":
        lanes.revocations.done(event.serial, event.applied, event.detail, carrier.pipe, step);
        return;
      case "FloorsEnforced":
        lanes.delivery.enforced(event.token, event.ok, carrier.live, step);
        return;
      case "Request":
        lanes.requests.ask(event.request, event.deadlineMs, carrier.live, step);
        return;
      case "Tick":
        return;
    }
  }

  #sayHello(pipe: SpokePipe, step: SpokeStep): void {
    this.#lanes.saidHello();
    const payload: Payload = { case: "hello", value: helloMessage(this.#options, this.#lanes, this.#term) };
    pipe.send(step.out, "acknowledgement", { kind: "message", payload }, payloadBytes(payload), step.nowMs);
  }

  #frame(envelope: Envelope, bytes: number, step: SpokeStep): void {
    const { pipe } = this.#carrier;
    if (pipe === undefined) return;
    this.#carrier.liveness?.inbound(step.nowMs);
    const seq = Number(envelope.seq);
    // A rejection names a frame that the same envelope acknowledges: find it before the acknowledgement settles it.
    const { payload } = envelope;
    const names = payload.case === "factRejection" || payload.case === "frameNack" ? Number(payload.value.seq) : 0;
    const named = names === 0 ? undefined : pipe.sending.tagOf(names);
    const wrong =
      this.#check(pipe, envelope, step) ??
      pipe.receive(envelope, (tag) => this.#lanes.acknowledged(tag, step)) ??
      this.#payload(pipe, payload, named, seq, bytes, step);
    if (wrong !== undefined) this.#carrier.violated(wrong, seq, step);
  }

  #check(pipe: SpokePipe, envelope: Envelope, step: SpokeStep): Violation | undefined {
    const { case: name } = envelope.payload;
    const { phase } = this.#carrier;
    const ends = name === "goodbye" || name === "protocolError";
    if (ends) return undefined; // whoever says it, it ends this stream and nothing else
    if (phase === "opening" && name !== "welcome")
      return violation(ProtocolError_Code.UNEXPECTED, `${name ?? "unknown payload"} before Welcome`);
    if (phase === "live" && envelope.sessionId !== pipe.sessionId)
      return violation(
        ProtocolError_Code.INVALID,
        `envelope session_id: "${pipe.sessionId}", found "${clip(envelope.sessionId)}"`,
      );
    if (envelope.term < this.#term)
      return violation(ProtocolError_Code.STALE_TERM, `envelope term: at least ${this.#term}, found ${envelope.term}`);
    if (envelope.term > this.#term) {
      this.#term = envelope.term;
      step.persist.push({ type: "PutTerm", term: envelope.term });
    }
    return undefined;
  }

  #payload(
    pipe: SpokePipe,
    payload: Envelope["payload"],
    named: SpokeTag | undefined,
    seq: number,
    bytes: number,
    step: SpokeStep,
  ): Violation | undefined {
    switch (payload.case) {
      case "welcome":
        return this.#welcomed(pipe, payload.value, seq, step);
      case "heartBeat":
        this.#heartBeat(pipe, payload.value, step);
        return undefined;
      case "goodbye":
        this.#carrier.goodbye(payload.value, step);
        return undefined;
      case "protocolError":
        this.#carrier.accused(payload.value.message, step);
        return undefined;
      case "acknowledge":
        return undefined;
      default:
        return this.#lanes.receive(pipe, payload, named, seq, bytes, step);
    }
  }

  #welcomed(pipe: SpokePipe, welcome: Welcome, seq: number, step: SpokeStep): Violation | undefined {
    const wrong = this.#carrier.welcomed(pipe, welcome, step);
    if (wrong !== undefined) return wrong;
    pipe.durable(seq, step.nowMs);
    this.#lanes.opened(welcome, step);
    this.#carrier.connected(step);
    return undefined;
  }

  #heartBeat(pipe: SpokePipe, beat: HeartBeat, step: SpokeStep): void {
    if (beat.isAck) {
      this.#carrier.liveness?.answered(Number(beat.nonce), step.nowMs);
      return;
    }
    if (pipe.blocked) return;
    pipe.sendUnnumbered(step.out, "heartbeat", heartBeat({ isAck: true, nonce: beat.nonce, nowMs: step.nowMs }));
  }

  #pump(step: SpokeStep): void {
    const { live, liveness } = this.#carrier;
    if (live === undefined || live.blocked) return;
    if (liveness?.isDue(step.nowMs) === true) this.#beat(live, liveness.beat(step.nowMs), step);
    this.#lanes.pump(live, step);
  }

  #beat(pipe: SpokePipe, nonce: number, step: SpokeStep): void {
    const { audit, delivery } = this.#lanes;
    const beat = heartBeat({
      isAck: false,
      nonce,
      nowMs: step.nowMs,
      auditBacklogEvents: audit.backlog,
      auditBacklogBytes: audit.cursor.backlogBytes,
      heldIndex: delivery.position,
      degradedReasons: this.#degradedReasons(step),
    });
    pipe.sendUnnumbered(step.out, "heartbeat", beat);
  }

  #degradedReasons({ nowMs, wallMs }: SpokeStep): readonly string[] {
    const reasons: string[] = [];
    if (this.#options.keys.empty) reasons.push("SigningKeysMissing");
    if (this.#lanes.holding.freshForMs(nowMs, wallMs) <= 0) reasons.push("IndexExpired");
    return reasons;
  }
}
