import { create } from "@bufbuild/protobuf";
import { RevocationAck_Outcome } from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { ItemRetrySchema, Nack_Class } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import {
  Goodbye_Code,
  type HeartBeat,
  type Hello,
  type IndexPosition,
  ProtocolError_Code,
  WelcomeSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Random } from "../../../base/random.ts";
import {
  ACKNOWLEDGEMENT_STALL_MS,
  GOODBYE_LINGER_MS,
  HEARTBEAT_INTERVAL_MS,
  HELLO_DEADLINE_MS,
  LOAD_DEADLINE_MS,
  MAX_FRAME_BYTES,
  MAX_PENDING_RETRIES,
  PROTOCOL_VERSION,
  QUEUED_BYTES,
  SUPERSEDED_WAIT_MS,
  WINDOW_FRAMES,
} from "../limits.ts";
import { Liveness } from "../liveness.ts";
import { type GoodbyeParts, clip, frameNack, goodbye, heartBeat, nack, protocolError } from "../message.ts";
import { LaneQueue } from "../lane-queue.ts";
import { type HubMessage, type Payload } from "../payload.ts";
import { payloadBytes } from "../payload-size.ts";
import { Pipe } from "../pipe.ts";
import type { Ready } from "../ready.ts";
import { soonestAfter } from "../soonest.ts";
import type { StreamEnd } from "../stream-end.ts";
import { type Violation, violation } from "../violation.ts";
import { Applicant } from "./applicant.ts";
import { AuditIntake } from "./audit-intake.ts";
import { BlobServing } from "./blob-serving.ts";
import { zeroCounters } from "./counters.ts";
import type { ChannelReason, HubEffect } from "./effects.ts";
import type { HubEvent, LoadedSession } from "./events.ts";
import { FactIntake, reject } from "./fact-intake.ts";
import { helloFault } from "./hello-check.ts";
import { type HeldIndex, IndexOffers, OFFER_BODY_BYTES } from "./index-offers.ts";
import { RevocationLane } from "./revocation-lane.ts";
import { Tokens } from "../tokens.ts";
import { Rivals } from "./rivals.ts";
import type { HubPipe, HubStep, HubTag } from "./step.ts";
import type { HubSessionView } from "./view.ts";

/** Parts a hub session is made of. */
export interface HubSessionOptions {
  /** Cluster id from the certificate: the identity, whatever messages claim. */
  readonly cluster: string;
  /** Jitter of heartbeats and backoff. */
  readonly random: Random;
  /** Period of heartbeats, milliseconds. */
  readonly heartbeatIntervalMs?: number;
  /** Largest index body or diff that is sent in one frame, bytes; a larger one is fetched by digest. */
  readonly offerBodyBytes?: number;
}

const NOTHING: readonly never[] = [];
const SUPERSEDED: GoodbyeParts = {
  code: Goodbye_Code.SUPERSEDED,
  retryAfterMs: SUPERSEDED_WAIT_MS,
  endpoint: "",
  message: "a newer stream took over",
};

/**
 * The hub's side of one session: what one tenant's agent should hold, what it reported, and the stream that carries it now. A pure
 * machine: the shell hands in events with the time, and performs what comes back (see {@link Ready}). It must call `step` with Tick
 * at or after `deadlineMs`.
 */
export class HubSession {
  readonly cluster: string;
  readonly #random: Random;
  readonly #heartbeatMs: number;
  readonly #counters = zeroCounters();
  readonly #tokens = new Tokens();
  readonly #offers: IndexOffers;
  readonly #blobs: BlobServing;
  readonly #facts: FactIntake;
  readonly #audit: AuditIntake;
  readonly #revocations = new RevocationLane();
  readonly #rivals = new Rivals();
  /** Operator's retries not yet acknowledged by the agent, by item key. */
  readonly #retries: Map<string, { readonly kind: string; readonly name: string; sent: boolean }> = new Map();
  #pipe: HubPipe | undefined = undefined;
  /** A newer stream that has not said yet who it is. */
  #applicant: Applicant | undefined = undefined;
  #phase: "opening" | "loading" | "live" = "opening";
  #phaseMs = 0;
  #liveness: Liveness | undefined = undefined;
  #hello: Hello | undefined = undefined;
  #newestGeneration = 0;
  #channelConnected = false;
  #needsResync = false;
  #connectedAtMs = 0;
  #lastSeenMs = 0;
  #heartbeat: HeartBeat | undefined = undefined;
  #lastDisconnect: HubSessionView["lastDisconnect"] = undefined;
  #deadlineMs = Infinity;

  constructor(options: HubSessionOptions) {
    this.cluster = options.cluster;
    this.#random = options.random;
    this.#heartbeatMs = options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS;
    this.#offers = new IndexOffers(options.random, this.#counters, options.offerBodyBytes ?? OFFER_BODY_BYTES);
    this.#blobs = new BlobServing(this.#tokens, this.#counters);
    this.#facts = new FactIntake(options.random, this.#tokens, this.#counters);
    this.#audit = new AuditIntake(options.random, this.#tokens, this.#counters);
  }

  /** Monotonic time at which a Tick is due; Infinity when nothing waits for time. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** True while a stream is live. */
  get connected(): boolean {
    return this.#pipe !== undefined && this.#phase === "live";
  }

  /** Applies one event. `persist` is always empty on this side. */
  step(event: HubEvent, nowMs: number, wallMs: number): Ready<never, HubEffect> {
    const step: HubStep = { nowMs, wallMs, out: [] };
    if (nowMs > this.#deadlineMs) this.#liveness?.paused(nowMs - this.#deadlineMs);
    this.#apply(event, step);
    this.#tick(step);
    this.#pump(step);
    if (this.#phase === "live") this.#pipe?.settleAcknowledgement(step.out, nowMs);
    this.#deadlineMs = this.#nextDeadline(nowMs);
    return { persist: NOTHING, afterPersist: step.out };
  }

  /** What operators see. */
  view(): HubSessionView {
    const pipe = this.#pipe;
    return {
      cluster: this.cluster,
      phase: pipe === undefined ? "absent" : this.#phase,
      sessionId: pipe?.sessionId ?? "",
      term: pipe?.term ?? 0n,
      agentVersion: this.#hello?.agentVersion ?? "",
      instanceId: this.#hello?.instanceId ?? "",
      storeId: this.#hello?.storeId ?? "",
      rivalMs: this.#rivals.seenMs,
      connectedAtMs: this.#connectedAtMs,
      lastSeenMs: this.#lastSeenMs,
      roundTripMs: this.#liveness?.roundTripMs,
      held: this.#offers.held,
      refused: this.#offers.refused,
      quarantined: this.#offers.quarantine,
      pendingRevocations: this.#revocations.length,
      auditBacklogEvents: this.#heartbeat?.auditBacklogEvents ?? 0n,
      auditBacklogBytes: this.#heartbeat?.auditBacklogBytes ?? 0n,
      auditStoredThrough: this.#audit.storedThrough,
      queuedBytes: (pipe?.queue.bytes ?? 0) + (pipe?.sending.bytes ?? 0),
      needsResync: this.#needsResync,
      degradedReasons: this.#heartbeat?.degradedReasons ?? [],
      lastDisconnect: this.#lastDisconnect,
      counters: this.#counters,
    };
  }

  #apply(event: HubEvent, step: HubStep): void {
    switch (event.type) {
      case "StreamOpened":
        this.#opened(event.generation, step);
        return;
      case "FrameReceived":
        if (this.#applies(event.generation)) this.#applied(event.envelope, event.bytes, step);
        else if (this.#owns(event.generation)) this.#frame(event.envelope, event.bytes, step);
        return;
      case "FrameInvalid":
        this.#invalid(event, step);
        return;
      case "StreamClosed":
        if (this.#applies(event.generation)) this.#applicant = undefined;
        if (this.#owns(event.generation)) this.#ended("Disconnected", event.reason, step);
        return;
      case "StreamBlocked":
        if (this.#owns(event.generation)) this.#pipe?.block(step.nowMs);
        return;
      case "StreamDrained":
        if (this.#owns(event.generation)) this.#pipe?.unblock();
        return;
      case "SessionLoaded":
        if (this.#owns(event.generation) && this.#phase === "loading") this.#welcome(event.loaded, step);
        return;
      case "SessionLoadFailed":
        if (this.#owns(event.generation) && this.#phase === "loading") {
          const { code, retryAfterMs, message } = event;
          this.#sendAway({ code, retryAfterMs, message, endpoint: "" }, "LoadFailed", step);
        }
        return;
      case "DesiredChanged":
        this.#offers.desire(event.desired);
        return;
      case "RevocationsChanged":
        this.#revocations.change(event.pending);
        return;
      case "BlobPinned":
        this.#blobs.pinned(event, this.#pipe, step);
        return;
      case "FactStored":
        this.#facts.stored(event.token, event.outcome, this.#pipe, step);
        return;
      case "AuditStored":
        this.#audit.stored(event.token, event.result, this.#pipe, step);
        return;
      case "Respond":
        this.#respond(event.payload, event.key);
        return;
      case "OperatorRetry":
        this.#offers.lift();
        if (this.#retries.size < MAX_PENDING_RETRIES)
          this.#retries.set(`${event.kind}/${event.name}`, { kind: event.kind, name: event.name, sent: false });
        return;
      case "Evict":
        this.#applicant?.sendAway(event, "Evicted", step);
        this.#applicant = undefined;
        if (this.#pipe !== undefined) this.#sendAway(event, "Evicted", step);
        return;
      case "Tick":
        return;
    }
  }

  #owns(generation: number): boolean {
    return this.#pipe?.generation === generation;
  }

  #applies(generation: number): boolean {
    return this.#applicant?.generation === generation;
  }

  #opened(generation: number, step: HubStep): void {
    if (generation <= this.#newestGeneration) return; // an older stream that was slow to be announced
    this.#newestGeneration = generation;
    this.#counters.streams++;
    this.#applicant?.sendAway(SUPERSEDED, "Superseded", step);
    this.#applicant = undefined;
    // Whoever carries the session has said who it is: so must the newcomer, before it takes over.
    if (this.#pipe !== undefined && this.#phase !== "opening") this.#applicant = new Applicant(generation, step.nowMs);
    else this.#take(new Pipe<HubTag>(generation, step.nowMs), step);
  }

  /** A newer stream wins. */
  #take(pipe: HubPipe, step: HubStep): void {
    if (this.#pipe !== undefined) {
      this.#counters.superseded++;
      this.#farewell(SUPERSEDED, "Superseded", step);
      this.#dropPipe(step);
    }
    this.#pipe = pipe;
    this.#phase = "opening";
    this.#phaseMs = pipe.openedMs;
    this.#liveness = new Liveness(this.#random, this.#heartbeatMs, step.nowMs);
  }

  /** The first frame of a newer stream. */
  #applied(envelope: Envelope, bytes: number, step: HubStep): void {
    const applicant = this.#applicant;
    if (applicant === undefined) return;
    this.#applicant = undefined;
    if (!applicant.admits(this.cluster, envelope, step)) return;
    this.#take(applicant.pipe, step);
    this.#frame(envelope, bytes, step);
  }

  #invalid({ generation, tooLarge, detail }: Extract<HubEvent, { type: "FrameInvalid" }>, step: HubStep): void {
    const wrong = violation(tooLarge ? ProtocolError_Code.TOO_LARGE : ProtocolError_Code.INVALID, detail);
    if (this.#applies(generation)) {
      this.#counters.protocolErrors++;
      this.#applicant?.violated(wrong, 0, step);
      this.#applicant = undefined;
    } else if (this.#owns(generation)) this.#violated(wrong, 0, step);
  }

  #frame(envelope: Envelope, bytes: number, step: HubStep): void {
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    this.#liveness?.inbound(step.nowMs);
    this.#lastSeenMs = step.wallMs;
    const seq = Number(envelope.seq);
    const wrong = this.#check(pipe, envelope) ?? this.#payload(pipe, envelope.payload, seq, bytes, step);
    if (wrong !== undefined) this.#violated(wrong, seq, step);
  }

  #check(pipe: HubPipe, envelope: Envelope): Violation | undefined {
    const { case: name } = envelope.payload;
    const ends = name === "goodbye" || name === "protocolError";
    if (envelope.sessionId !== pipe.sessionId && !ends)
      return violation(
        ProtocolError_Code.INVALID,
        `envelope session_id: "${pipe.sessionId}", found "${clip(envelope.sessionId)}"`,
      );
    const early = this.#phase !== "live" && name !== "hello" && !ends;
    if (early && !(this.#phase === "loading" && name === "heartBeat"))
      return violation(
        ProtocolError_Code.UNEXPECTED,
        `${name ?? "unknown payload"} before Welcome: the first frame is Hello`,
      );
    const visit = (tag: HubTag): void => {
      if (this.#retries.get(tag.key)?.sent === true) this.#retries.delete(tag.key);
    };
    return pipe.receive(envelope, visit);
  }

  #payload(
    pipe: HubPipe,
    payload: Envelope["payload"],
    seq: number,
    bytes: number,
    step: HubStep,
  ): Violation | undefined {
    switch (payload.case) {
      case "hello":
        return this.#helloReceived(pipe, payload.value, seq, step);
      case "heartBeat":
        this.#heartBeat(pipe, payload.value, step);
        return undefined;
      case "goodbye":
        this.#destroy("PeerGoodbye", payload.value.message, 0, step);
        this.#ended("Disconnected", `agent: ${payload.value.message}`, step);
        return undefined;
      case "protocolError":
        this.#counters.protocolErrors++;
        this.#destroy("ProtocolError", payload.value.message, 0, step);
        this.#ended("Disconnected", `agent saw a protocol error: ${payload.value.message}`, step);
        return undefined;
      case "acknowledge":
        return undefined;
      case "frameNack":
        pipe.durable(seq, step.nowMs);
        this.#counters.unknownPayloads++;
        return undefined;
      case "indexReport":
        pipe.durable(seq, step.nowMs);
        return this.#offers.report(payload.value, step);
      case "blobFetch":
        pipe.durable(seq, step.nowMs);
        return this.#blobs.fetch(payload.value, pipe, step);
      case "itemReport": {
        if (!this.#facts.item(payload.value, seq, pipe.generation, step)) {
          reject(pipe, seq, Nack_Class.UNSUPPORTED, "UNKNOWN_LEVEL", `item level ${payload.value.level}`, step);
          return undefined;
        }
        if (payload.value.nack !== undefined) this.#counters.nacks++;
        this.#offers.observe(payload.value);
        return undefined;
      }
      case "packReceiptReport":
      case "snapshotReceiptReport":
      case "driftReport":
      case "capabilityDeclaration":
        this.#facts.state(payload, seq, pipe.generation, step);
        return undefined;
      case "auditEventBatch":
        return this.#audit.batch(payload.value, seq, pipe.generation, step);
      case "revocationAck": {
        const { serial, outcome, detail } = payload.value;
        const applied = outcome === RevocationAck_Outcome.APPLIED || outcome === RevocationAck_Outcome.NOT_FOUND;
        if (!applied) this.#revocations.failed(serial, step);
        this.#facts.revocation(
          { kind: "revocation", serial, applied, detail: clip(detail) },
          seq,
          pipe.generation,
          step,
        );
        return undefined;
      }
      case "runnerConfigValidationRequest":
      case "certificateRenewalRequest":
        pipe.durable(seq, step.nowMs, bytes);
        step.out.push({ type: "HandleRequest", generation: pipe.generation, request: payload });
        return undefined;
      case undefined:
        this.#counters.unknownPayloads++;
        if (seq === 0) return undefined;
        pipe.durable(seq, step.nowMs);
        this.#enqueue(
          "acknowledgement",
          frameNack(seq, nack(Nack_Class.UNSUPPORTED, false, "UNKNOWN_PAYLOAD", "payload unknown to this hub")),
        );
        return undefined;
      default:
        return violation(ProtocolError_Code.UNEXPECTED, `${payload.case} is sent by the hub only`);
    }
  }

  #helloReceived(pipe: HubPipe, hello: Hello, seq: number, step: HubStep): Violation | undefined {
    if (this.#phase !== "opening")
      return violation(ProtocolError_Code.UNEXPECTED, "hello is sent once, as the first frame");
    const fault = helloFault(this.cluster, hello);
    if (fault?.kind === "violation") return fault.violation;
    if (fault?.kind === "refusal") {
      this.#sendAway(fault.goodbye, fault.end, step);
      return undefined;
    }
    pipe.durable(seq, step.nowMs);
    this.#hello = hello;
    this.#rivals.opened(hello.instanceId, step.wallMs);
    this.#heartbeat = undefined;
    this.#phase = "loading";
    this.#phaseMs = step.nowMs;
    step.out.push({ type: "LoadSession", generation: pipe.generation, hello });
    return undefined;
  }

  #welcome(loaded: LoadedSession, step: HubStep): void {
    const pipe = this.#pipe;
    const hello = this.#hello;
    if (pipe === undefined || hello === undefined) return;
    if (loaded.term < hello.highestTerm) {
      const message = `this replica owns the session under term ${loaded.term}, the agent has seen ${hello.highestTerm}`;
      this.#sendAway({ code: Goodbye_Code.NOT_OWNER, retryAfterMs: 1_000, endpoint: "", message }, "LoadFailed", step);
      return;
    }
    pipe.sessionId = loaded.sessionId;
    pipe.term = loaded.term;
    const held = hello.heldIndex === undefined ? undefined : heldIndex(hello.heldIndex);
    this.#offers.opened(held, hello.agentVersion, loaded.itemLevels);
    this.#audit.opened(hello.audit?.epoch ?? 0n, loaded.audit.contiguousThrough);
    this.#revocations.opened(hello.lastRevocationSerial);
    for (const serial of this.#revocations.upTo(hello.lastRevocationSerial))
      this.#facts.inForce(serial, pipe.generation, step);
    for (const retry of this.#retries.values()) retry.sent = false;
    const value = create(WelcomeSchema, {
      sessionId: loaded.sessionId,
      protocolVersion: PROTOCOL_VERSION,
      heartbeatIntervalMs: this.#heartbeatMs,
      maxFrameBytes: MAX_FRAME_BYTES,
      maxInFlightFrames: WINDOW_FRAMES,
      serverTimeUnixMs: BigInt(Math.trunc(step.wallMs)),
      auditResumeSequence: loaded.audit.contiguousThrough,
      auditHighestSequence: loaded.audit.highest,
      term: loaded.term,
      replica: loaded.replica,
      pendingRevocations: this.#revocations.countAbove(hello.lastRevocationSerial),
      endpoints: [...loaded.endpoints],
      resendItemReports: this.#offers.inventoryDiffers(hello.inventoryDigest, loaded.itemLevels),
    });
    this.#phase = "live";
    this.#phaseMs = step.nowMs;
    this.#connectedAtMs = step.wallMs;
    const payload: Payload = { case: "welcome", value };
    pipe.send(step.out, "acknowledgement", { kind: "message", payload }, payloadBytes(payload), step.nowMs);
    this.#setChannel(true, "Recovered", "", step);
    step.out.push({ type: "Resync" });
    this.#needsResync = false;
  }

  #heartBeat(pipe: HubPipe, beat: HeartBeat, step: HubStep): void {
    if (beat.isAck) {
      this.#liveness?.answered(Number(beat.nonce), step.nowMs);
      return;
    }
    this.#heartbeat = beat;
    if (beat.heldIndex !== undefined) this.#offers.heard(heldIndex(beat.heldIndex));
    if (pipe.blocked) return;
    pipe.sendUnnumbered(step.out, "heartbeat", heartBeat({ isAck: true, nonce: beat.nonce, nowMs: step.nowMs }));
  }

  #respond(payload: HubMessage, key: string): void {
    if (this.#pipe === undefined || this.#phase !== "live") return; // asked again, or handed in anew with Resync
    if (this.#enqueue("command", payload, key)) return;
    this.#counters.messagesRefused++;
    if (payload.case === "driftUpdate") this.#needsResync = true;
  }

  #enqueue(lane: "acknowledgement" | "command", payload: Payload, key = "", tag?: HubTag): boolean {
    return this.#pipe?.queue.push(lane, payload, payloadBytes(payload), key, tag) ?? false;
  }

  #tick(step: HubStep): void {
    const pipe = this.#pipe;
    this.#facts.tick(step);
    this.#audit.tick(step);
    if (this.#applicant !== undefined && step.nowMs >= this.#applicant.deadlineMs) {
      this.#applicant.timedOut(step);
      this.#applicant = undefined;
    }
    if (pipe === undefined) return;
    const { nowMs } = step;
    if (this.#liveness?.isDead(nowMs) === true) {
      this.#destroy("HeartbeatMissed", "no sign of life from the agent", 0, step);
      this.#ended("HeartbeatMissed", "no sign of life from the agent", step);
      return;
    }
    if (pipe.drainExpired(nowMs)) {
      this.#destroy("DrainTimeout", "the agent did not read", 0, step);
      this.#ended("Disconnected", "the agent did not read", step);
      return;
    }
    if (this.#phase === "opening" && nowMs - this.#phaseMs >= HELLO_DEADLINE_MS) {
      this.#destroy("HelloTimeout", `no hello within ${HELLO_DEADLINE_MS} ms`, 0, step);
      this.#ended("Disconnected", "no hello", step);
      return;
    }
    if (this.#phase === "loading" && nowMs - this.#phaseMs >= LOAD_DEADLINE_MS) {
      const message = "the hub could not load the session in time";
      this.#sendAway({ code: Goodbye_Code.OVERLOADED, retryAfterMs: 5_000, endpoint: "", message }, "LoadFailed", step);
      return;
    }
    const oldest = pipe.sending.oldestMs;
    if (oldest !== undefined && nowMs - oldest >= ACKNOWLEDGEMENT_STALL_MS) {
      const message = `a frame was not acknowledged for ${ACKNOWLEDGEMENT_STALL_MS} ms`;
      this.#sendAway({ code: Goodbye_Code.STALLED, retryAfterMs: 0, endpoint: "", message }, "Stalled", step);
      return;
    }
    this.#offers.sweep(nowMs);
    this.#revocations.tick(nowMs);
  }

  #pump(step: HubStep): void {
    const pipe = this.#pipe;
    if (pipe === undefined || this.#phase !== "live" || pipe.blocked) return;
    const liveness = this.#liveness;
    this.#revocations.pump(pipe, step);
    if (liveness?.isDue(step.nowMs) === true) {
      const nonce = liveness.beat(step.nowMs);
      pipe.sendUnnumbered(step.out, "heartbeat", heartBeat({ isAck: false, nonce, nowMs: step.nowMs }));
    }
    for (const retry of this.#retries.values()) this.#sendRetry(retry);
    for (const lane of LaneQueue.order) {
      if (lane === "update") this.#offers.pump(pipe, step);
      if (!pipe.flush(step.out, lane, step.nowMs)) return;
    }
    this.#blobs.pump(pipe, step);
    if (this.#needsResync && pipe.queue.bytes < QUEUED_BYTES / 2) {
      this.#needsResync = false;
      step.out.push({ type: "Resync" });
    }
  }

  #sendRetry(retry: { readonly kind: string; readonly name: string; sent: boolean }): void {
    if (retry.sent) return;
    const key = `${retry.kind}/${retry.name}`;
    const digest = this.#offers.quarantine.get(key)?.digest ?? "";
    const value = create(ItemRetrySchema, { kind: retry.kind, name: retry.name, digest });
    retry.sent = this.#enqueue("command", { case: "itemRetry", value }, `retry/${key}`, { kind: "retry", key });
  }

  #violated(wrong: Violation, seq: number, step: HubStep): void {
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    this.#counters.protocolErrors++;
    pipe.sendUnnumbered(step.out, "acknowledgement", protocolError(wrong.code, wrong.message, seq));
    this.#destroy("ProtocolError", wrong.message, GOODBYE_LINGER_MS, step);
    this.#ended("Disconnected", `protocol error: ${wrong.message}`, step);
  }

  #sendAway(parts: GoodbyeParts, end: StreamEnd, step: HubStep): void {
    this.#farewell(parts, end, step);
    this.#ended("Disconnected", parts.message, step);
  }

  #farewell(parts: GoodbyeParts, end: StreamEnd, step: HubStep): void {
    this.#pipe?.sendUnnumbered(step.out, "acknowledgement", goodbye(parts));
    this.#destroy(end, parts.message, GOODBYE_LINGER_MS, step);
  }

  #destroy(code: StreamEnd, detail: string, lingerMs: number, step: HubStep): void {
    const pipe = this.#pipe;
    if (pipe !== undefined)
      step.out.push({ type: "Destroy", generation: pipe.generation, code, detail: clip(detail), lingerMs });
  }

  #ended(reason: ChannelReason, detail: string, step: HubStep): void {
    if (this.#pipe === undefined) return;
    this.#dropPipe(step);
    this.#lastDisconnect = { reason, detail: clip(detail), atMs: step.wallMs };
    this.#setChannel(false, reason, clip(detail), step);
  }

  #dropPipe(step: HubStep): void {
    this.#pipe = undefined;
    this.#liveness = undefined;
    this.#blobs.closed(step);
    this.#facts.closed();
    this.#audit.closed();
  }

  #setChannel(connected: boolean, reason: ChannelReason, detail: string, step: HubStep): void {
    if (this.#channelConnected === connected) return;
    this.#channelConnected = connected;
    step.out.push({ type: "ChannelChanged", connected, reason, detail });
  }

  #nextDeadline(nowMs: number): number {
    const pipe = this.#pipe;
    const deadlines = [this.#facts.deadlineMs, this.#audit.deadlineMs, this.#applicant?.deadlineMs ?? Infinity];
    if (pipe !== undefined) {
      deadlines.push(pipe.deadlineMs, (pipe.sending.oldestMs ?? Infinity) + ACKNOWLEDGEMENT_STALL_MS);
      if (this.#phase === "opening") deadlines.push(this.#phaseMs + HELLO_DEADLINE_MS);
      if (this.#phase === "loading") deadlines.push(this.#phaseMs + LOAD_DEADLINE_MS);
      if (this.#phase === "live") deadlines.push(this.#offers.deadlineMs, this.#revocations.deadlineMs);
    }
    if (this.#liveness !== undefined) deadlines.push(this.#liveness.nextHeartbeatMs, this.#liveness.silenceEndsMs);
    return soonestAfter(nowMs, deadlines);
  }
}

function heldIndex(position: IndexPosition): HeldIndex {
  return { epoch: Number(position.epoch), sequence: Number(position.sequence), digest: position.digest };
}
