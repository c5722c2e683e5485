import { create } from "@bufbuild/protobuf";
import { Nack_Class } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { FactRejection } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import {
  AuditPositionSchema,
  type Goodbye,
  Goodbye_Code,
  type HeartBeat,
  HelloSchema,
  ProtocolError_Code,
  type Welcome,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Random } from "../../../base/random.ts";
import type { KeyLookup } from "../../../trust/dsse.ts";
import { LaneQueue } from "../lane-queue.ts";
import {
  GOODBYE_LINGER_MS,
  HEARTBEAT_INTERVAL_MS,
  HELLO_DEADLINE_MS,
  PROTOCOL_VERSION,
  RECONNECT,
  SUPERSEDED_WAIT_MS,
} from "../limits.ts";
import { Liveness } from "../liveness.ts";
import { clip, frameNack, goodbye, heartBeat, nack, protocolError } from "../message.ts";
import type { Payload } from "../payload.ts";
import { payloadBytes } from "../payload-size.ts";
import { Pipe } from "../pipe.ts";
import type { Ready } from "../ready.ts";
import { soonestAfter } from "../soonest.ts";
import type { StreamEnd } from "../stream-end.ts";
import { Tokens } from "../tokens.ts";
import { type Violation, violation } from "../violation.ts";
import { AuditLane } from "./audit-lane.ts";
import { BlobFetching } from "./blob-fetching.ts";
import { zeroCounters } from "./counters.ts";
import { Delivery } from "./delivery.ts";
import type { SpokeEffect } from "./effects.ts";
import type { SpokeEvent } from "./events.ts";
import { FactLane } from "./fact-lane.ts";
import { IndexHolding } from "./index-holding.ts";
import { type ItemView, ItemWork } from "./item-work.ts";
import { Reconnect } from "./reconnect.ts";
import type { SpokeRecord, SpokeWrite } from "./record.ts";
import { Requests } from "./requests.ts";
import { RevocationLane } from "./revocation-lane.ts";
import type { SpokePipe, SpokeStep, SpokeTag } from "./step.ts";
import type { SpokeSessionView } from "./view.ts";

/** Parts a spoke session is made of. */
export interface SpokeSessionOptions {
  /** Own cluster id. */
  readonly cluster: string;
  /** Version of this build: a quarantine ends with another one. */
  readonly agentVersion: string;
  /** New at each start of the process. */
  readonly instanceId: string;
  /** Trusted keys, as installed now. */
  readonly keys: KeyLookup;
  /** Ids for Hello.trusted_key_ids. */
  readonly trustedKeyIds: readonly string[];
  readonly random: Random;
  /** What the durable store held at start. */
  readonly record: SpokeRecord;
  /** When it was read back, Unix milliseconds. */
  readonly readBackMs: number;
}

/** Longest time from Dial to StreamOpened, milliseconds: the sum of the shell's phase deadlines and some. */
const DIAL_DEADLINE_MS = 40_000;
/** Endpoints an agent keeps from Welcome. */
const MAX_ENDPOINTS = 16;

/**
 * The agent's side of its session: the index in force, items on their way, facts on their way up, and the stream that carries
 * them now. A pure machine (see {@link Ready}); the shell calls `step` with Tick at or after `deadlineMs`. After a crash a new machine
 * goes on from what the store held.
 */
export class SpokeSession {
  readonly #options: SpokeSessionOptions;
  readonly #counters = zeroCounters();
  readonly #tokens = new Tokens();
  readonly #reconnect: Reconnect;
  readonly #holding: IndexHolding;
  readonly #bodies: BlobFetching;
  readonly #items: ItemWork;
  readonly #delivery: Delivery;
  readonly #facts: FactLane;
  readonly #audit: AuditLane;
  readonly #revocations: RevocationLane;
  readonly #requests = new Requests();
  #phase: SpokeSessionView["phase"] = "stopped";
  #phaseMs = 0;
  #dialAtMs = Infinity;
  #generation = 0;
  #pipe: SpokePipe | undefined = undefined;
  #liveness: Liveness | undefined = undefined;
  #term: bigint;
  #helloStamp = 0;
  #replica = "";
  #endpoints: readonly string[] = [];
  #channel: "unknown" | "connected" | "degraded" = "unknown";
  #lastEnd = "";
  #deadlineMs = Infinity;

  constructor(options: SpokeSessionOptions) {
    this.#options = options;
    const { record, random } = options;
    this.#term = record.term;
    this.#reconnect = new Reconnect(random);
    this.#holding = new IndexHolding(options.cluster, options.keys, record.index);
    this.#bodies = new BlobFetching(random, this.#counters, record.blobs);
    this.#items = new ItemWork({
      agentVersion: options.agentVersion,
      random,
      tokens: this.#tokens,
      counters: this.#counters,
      bodies: this.#bodies,
      records: record.items,
      document: this.#holding.document,
    });
    this.#delivery = new Delivery(this.#holding, this.#bodies, this.#items, this.#counters);
    this.#facts = new FactLane(this.#tokens, this.#counters, record.facts);
    this.#audit = new AuditLane(this.#tokens, this.#counters, record.audit);
    this.#revocations = new RevocationLane(record.revocationSerial);
  }

  /** Monotonic time at which a Tick is due; Infinity when nothing waits for time. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** True while a session is live. */
  get connected(): boolean {
    return this.#phase === "live";
  }

  /** Progress of one item (`kind/name`), for `explain`. */
  item(key: string): ItemView | undefined {
    return this.#items.view(key);
  }

  /** Keys of all items known. */
  itemKeys(): IterableIterator<string> {
    return this.#items.keys();
  }

  /** Applies one event. */
  step(event: SpokeEvent, nowMs: number, wallMs: number): Ready<SpokeWrite, SpokeEffect> {
    const step: SpokeStep = { nowMs, wallMs, persist: [], out: [] };
    if (nowMs > this.#deadlineMs) this.#liveness?.paused(nowMs - this.#deadlineMs);
    this.#apply(event, step);
    this.#tick(step);
    this.#pump(step);
    if (this.#phase === "live") this.#pipe?.settleAcknowledgement(step.out, nowMs);
    this.#deadlineMs = this.#nextDeadline(nowMs);
    return { persist: step.persist, afterPersist: step.out };
  }

  /** What the tenant sees. */
  view(wallMs: number): SpokeSessionView {
    const document = this.#holding.document;
    return {
      phase: this.#phase,
      sessionId: this.#pipe?.sessionId ?? "",
      replica: this.#replica,
      term: this.#term,
      attempt: this.#reconnect.attempt,
      roundTripMs: this.#liveness?.roundTripMs,
      index:
        document === undefined
          ? undefined
          : { epoch: document.epoch, sequence: document.sequence, digest: this.#holding.digest },
      stale: this.#holding.isStale(wallMs),
      items: this.#items.length,
      wantedBodies: this.#bodies.wanting,
      pendingFacts: this.#facts.length,
      audit: this.#audit.cursor,
      revocationSerial: this.#revocations.serial,
      queuedBytes: (this.#pipe?.queue.bytes ?? 0) + (this.#pipe?.sending.bytes ?? 0),
      lastEnd: this.#lastEnd,
      counters: this.#counters,
    };
  }

  #apply(event: SpokeEvent, step: SpokeStep): void {
    switch (event.type) {
      case "Start":
        if (this.#phase !== "stopped") return;
        this.#items.start(step);
        this.#dial(step);
        return;
      case "Stop":
        this.#stop(event.reason, step);
        return;
      case "StreamOpened":
        if (event.generation === this.#generation && this.#phase === "dialing") this.#hello(event.generation, step);
        else step.out.push(destroy(event.generation, "Superseded", "the agent moved on", 0));
        return;
      case "DialFailed":
        if (event.generation === this.#generation && this.#phase === "dialing") {
          this.#endpoints = [];
          this.#ended(event.reason, 0, step);
        }
        return;
      case "FrameReceived":
        if (this.#owns(event.generation)) this.#frame(event.envelope, event.bytes, step);
        return;
      case "FrameInvalid":
        if (this.#owns(event.generation)) {
          const code = event.tooLarge ? ProtocolError_Code.TOO_LARGE : ProtocolError_Code.INVALID;
          this.#violated(violation(code, event.detail), 0, step);
        }
        return;
      case "StreamClosed":
        if (this.#owns(event.generation)) this.#ended(event.reason, 0, step);
        return;
      case "StreamBlocked":
        if (this.#owns(event.generation)) this.#pipe?.block(step.nowMs);
        return;
      case "StreamDrained":
        if (this.#owns(event.generation)) this.#pipe?.unblock();
        return;
      case "HandlerDone":
        this.#items.handlerDone(event.token, event.nack, step);
        return;
      case "HandlerWaiting":
        this.#items.handlerWaiting(event.token, event.text, step);
        return;
      case "BlobChecked":
        this.#delivery.checked(event.digest, event.ok, step);
        return;
      case "FactPending":
        this.#facts.add(event.fact);
        return;
      case "FactsLoaded":
        this.#facts.take(event.token, event.facts, step);
        return;
      case "AuditAppended":
        this.#audit.appended(event.epoch, event.last, event.backlogBytes);
        return;
      case "AuditLoaded":
        this.#audit.take(event.token, event.batch, event.bytes);
        return;
      case "RevokeDone":
        this.#revocations.done(event.serial, event.applied, event.detail, this.#pipe, step);
        return;
      case "Request":
        this.#requests.ask(event.request, event.deadlineMs, this.#phase === "live" ? this.#pipe : undefined, step);
        return;
      case "Tick":
        return;
    }
  }

  #owns(generation: number): boolean {
    return this.#pipe?.generation === generation;
  }

  #dial(step: SpokeStep): void {
    this.#phase = "dialing";
    this.#phaseMs = step.nowMs;
    this.#dialAtMs = Infinity;
    this.#generation++;
    this.#counters.dials++;
    step.out.push({ type: "Dial", generation: this.#generation, endpoints: this.#endpoints });
  }

  #hello(generation: number, step: SpokeStep): void {
    const { cluster, agentVersion, instanceId, record, readBackMs, trustedKeyIds } = this.#options;
    const pipe = new Pipe<SpokeTag>(generation, step.nowMs);
    this.#pipe = pipe;
    this.#phase = "opening";
    this.#phaseMs = step.nowMs;
    this.#helloStamp = this.#items.stamp;
    const { epoch, ackedThrough, firstHeld, last } = this.#audit.cursor;
    const value = create(HelloSchema, {
      protocolVersions: [PROTOCOL_VERSION],
      agentVersion,
      clusterId: cluster,
      instanceId,
      storeId: record.storeId,
      audit: create(AuditPositionSchema, { epoch, ackedThrough, firstHeld, last }),
      highestTerm: this.#term,
      lastRevocationSerial: this.#revocations.serial,
      readBackUnixMs: BigInt(Math.trunc(readBackMs)),
      inventoryDigest: this.#items.reports.inventory(this.#holding.document),
      trustedKeyIds: [...trustedKeyIds],
    });
    const position = this.#delivery.position;
    if (position !== undefined) value.heldIndex = position;
    const payload: Payload = { case: "hello", value };
    pipe.send(step.out, "acknowledgement", { kind: "message", payload }, payloadBytes(payload), step.nowMs);
  }

  #frame(envelope: Envelope, bytes: number, step: SpokeStep): void {
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    this.#liveness?.inbound(step.nowMs);
    const seq = Number(envelope.seq);
    // A rejection names a frame that the same envelope acknowledges: find it before the acknowledgement settles it.
    const { payload } = envelope;
    const names = payload.case === "factRejection" || payload.case === "frameNack" ? Number(payload.value.seq) : 0;
    const named = names === 0 ? undefined : pipe.sending.tagOf(names);
    const wrong =
      this.#check(pipe, envelope, step) ??
      pipe.receive(envelope, (tag) => this.#acknowledged(tag, step)) ??
      this.#payload(pipe, payload, named, seq, bytes, step);
    if (wrong !== undefined) this.#violated(wrong, seq, step);
  }

  #check(pipe: SpokePipe, envelope: Envelope, step: SpokeStep): Violation | undefined {
    const { case: name } = envelope.payload;
    const ends = name === "goodbye" || name === "protocolError";
    if (ends) return undefined; // whoever says it, it ends this stream and nothing else
    if (this.#phase === "opening" && name !== "welcome")
      return violation(ProtocolError_Code.UNEXPECTED, `${name ?? "unknown payload"} before Welcome`);
    if (this.#phase === "live" && envelope.sessionId !== pipe.sessionId)
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
        this.#goodbyeReceived(payload.value, step);
        return undefined;
      case "protocolError":
        this.#counters.protocolErrors++;
        step.out.push(destroy(pipe.generation, "ProtocolError", payload.value.message, 0));
        this.#ended(`hub saw a protocol error: ${payload.value.message}`, 0, step);
        return undefined;
      case "acknowledge":
        return undefined;
      case "frameNack":
        pipe.durable(seq, step.nowMs);
        this.#counters.unknownPayloads++;
        if (named?.kind === "request") this.#requests.unsupported(named.requestId, step);
        if (named?.kind === "fact")
          this.#facts.refused(named.key, named.reportVersion, "UNSUPPORTED", "the hub does not know this report", step);
        return undefined;
      case "indexOffer":
        pipe.durable(seq, step.nowMs, bytes);
        return this.#delivery.offer(payload.value, pipe, step);
      case "blobChunk":
        pipe.durable(seq, step.nowMs, bytes);
        return this.#delivery.chunk(payload.value, pipe, step);
      case "blobUnavailable":
        pipe.durable(seq, step.nowMs);
        this.#delivery.unavailable(payload.value, pipe, step);
        return undefined;
      case "itemRetry":
        pipe.durable(seq, step.nowMs);
        this.#items.retry(payload.value, step);
        return undefined;
      case "factRejection":
        pipe.durable(seq, step.nowMs);
        this.#rejected(payload.value, named, step);
        return undefined;
      case "auditEventAck":
        pipe.durable(seq, step.nowMs);
        return this.#audit.acknowledged(payload.value, step);
      case "driftUpdate":
        pipe.durable(seq, step.nowMs, bytes);
        step.out.push({ type: "DriftUpdated", update: payload.value });
        return undefined;
      case "revocationPush":
        this.#revocations.push(payload.value, seq, pipe, step);
        return undefined;
      case "runnerConfigValidationResponse":
      case "certificateRenewalResponse":
        pipe.durable(seq, step.nowMs, bytes);
        this.#requests.answered(payload, step);
        return undefined;
      case undefined:
        this.#counters.unknownPayloads++;
        if (seq === 0) return undefined;
        pipe.durable(seq, step.nowMs);
        this.#enqueue(
          frameNack(seq, nack(Nack_Class.UNSUPPORTED, false, "UNKNOWN_PAYLOAD", "payload unknown to this agent")),
        );
        return undefined;
      default:
        return violation(ProtocolError_Code.UNEXPECTED, `${payload.case} is sent by agents only`);
    }
  }

  #welcomed(pipe: SpokePipe, welcome: Welcome, seq: number, step: SpokeStep): Violation | undefined {
    if (this.#phase !== "opening")
      return violation(ProtocolError_Code.UNEXPECTED, "welcome is sent once, as the answer to hello");
    if (welcome.protocolVersion !== PROTOCOL_VERSION)
      return violation(
        ProtocolError_Code.VERSION,
        `welcome protocol_version: ${PROTOCOL_VERSION}, found ${welcome.protocolVersion}`,
      );
    if (welcome.sessionId === "") return violation(ProtocolError_Code.INVALID, "welcome session_id: not empty");
    pipe.durable(seq, step.nowMs);
    this.#counters.welcomes++;
    pipe.sessionId = welcome.sessionId;
    if (welcome.maxInFlightFrames > 0) pipe.sending.limit(welcome.maxInFlightFrames);
    const interval = welcome.heartbeatIntervalMs === 0 ? HEARTBEAT_INTERVAL_MS : welcome.heartbeatIntervalMs;
    this.#liveness = new Liveness(
      this.#options.random,
      Math.min(10 * HEARTBEAT_INTERVAL_MS, Math.max(100, interval)),
      step.nowMs,
    );
    this.#replica = welcome.replica;
    if (welcome.endpoints.length > 0) this.#endpoints = welcome.endpoints.slice(0, MAX_ENDPOINTS);
    this.#phase = "live";
    this.#phaseMs = step.nowMs;
    this.#items.reports.opened(welcome.resendItemReports, this.#helloStamp);
    this.#facts.opened();
    this.#audit.opened(welcome, step);
    this.#setChannel("connected", "Recovered", step);
    return undefined;
  }

  #heartBeat(pipe: SpokePipe, beat: HeartBeat, step: SpokeStep): void {
    if (beat.isAck) {
      this.#liveness?.answered(Number(beat.nonce), step.nowMs);
      return;
    }
    if (pipe.blocked) return;
    pipe.sendUnnumbered(step.out, "heartbeat", heartBeat({ isAck: true, nonce: beat.nonce, nowMs: step.nowMs }));
  }

  #goodbyeReceived(message: Goodbye, step: SpokeStep): void {
    step.out.push(destroy(this.#generation, "PeerGoodbye", message.message, 0));
    const asked = Number(message.retryAfterMs);
    let waitMs = asked;
    switch (message.code) {
      case Goodbye_Code.SUPERSEDED:
        waitMs = Math.max(asked, SUPERSEDED_WAIT_MS);
        break;
      case Goodbye_Code.REVOKED:
      case Goodbye_Code.IDENTITY_REFUSED:
        waitMs = Math.max(asked, RECONNECT.capMs);
        break;
      default:
    }
    if (message.endpoint !== "")
      this.#endpoints = [message.endpoint, ...this.#endpoints.filter((other) => other !== message.endpoint)].slice(
        0,
        MAX_ENDPOINTS,
      );
    this.#ended(`hub said goodbye: ${message.message}`, waitMs, step);
  }

  #rejected(rejection: FactRejection, named: SpokeTag | undefined, step: SpokeStep): void {
    if (named?.kind !== "fact") return; // an item report or an earlier stream's frame: nothing to take back
    const { reason, detail } = rejection.nack ?? { reason: "REFUSED", detail: "" };
    this.#facts.refused(named.key, named.reportVersion, reason, detail, step);
  }

  #acknowledged(tag: SpokeTag, step: SpokeStep): void {
    switch (tag.kind) {
      case "fact":
        this.#facts.acknowledged(tag.key, tag.reportVersion, step);
        return;
      case "item":
        this.#items.reports.acknowledged(tag.key, tag.stamp);
        return;
      case "audit":
        this.#audit.settled();
        return;
      case "request":
        return;
    }
  }

  #enqueue(payload: Payload): void {
    this.#pipe?.queue.push("acknowledgement", payload, payloadBytes(payload));
  }

  #tick(step: SpokeStep): void {
    const { nowMs } = step;
    this.#items.tick(step);
    this.#requests.tick(step);
    if (this.#phase === "waiting" && nowMs >= this.#dialAtMs) this.#dial(step);
    if (this.#phase === "dialing" && nowMs - this.#phaseMs >= DIAL_DEADLINE_MS) {
      step.out.push(destroy(this.#generation, "HelloTimeout", "dialling took too long", 0));
      this.#endpoints = [];
      this.#ended("dialling took too long", 0, step);
    }
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    if (this.#phase === "opening" && nowMs - this.#phaseMs >= HELLO_DEADLINE_MS)
      this.#lost("HelloTimeout", `no welcome within ${HELLO_DEADLINE_MS} ms`, step);
    else if (this.#liveness?.isDead(nowMs) === true)
      this.#lost("HeartbeatMissed", "no sign of life from the hub", step);
    else if (pipe.drainExpired(nowMs)) this.#lost("DrainTimeout", "the hub did not read", step);
    else this.#bodies.tick(step);
  }

  #pump(step: SpokeStep): void {
    const pipe = this.#pipe;
    if (pipe === undefined || this.#phase !== "live" || pipe.blocked) return;
    const liveness = this.#liveness;
    if (liveness?.isDue(step.nowMs) === true) {
      const { backlogBytes } = this.#audit.cursor;
      pipe.sendUnnumbered(
        step.out,
        "heartbeat",
        heartBeat({
          isAck: false,
          nonce: liveness.beat(step.nowMs),
          nowMs: step.nowMs,
          auditBacklogEvents: this.#audit.backlog,
          auditBacklogBytes: backlogBytes,
          heldIndex: this.#delivery.position,
          degradedReasons: this.#degradedReasons(step.wallMs),
        }),
      );
    }
    for (const lane of LaneQueue.order) {
      if (!pipe.flush(step.out, lane, step.nowMs)) return;
      if (lane === "command") this.#delivery.pump(pipe, step);
      if (lane === "delete" && !this.#items.reports.pump(pipe, "delete", step)) return;
      if (lane === "update" && !(this.#items.reports.pump(pipe, "update", step) && this.#facts.pump(pipe, step)))
        return;
    }
    this.#audit.pump(pipe, step);
  }

  #degradedReasons(wallMs: number): readonly string[] {
    const reasons: string[] = [];
    if (this.#options.keys.empty) reasons.push("SigningKeysMissing");
    if (this.#holding.isStale(wallMs)) reasons.push("IndexExpired");
    return reasons;
  }

  #violated(wrong: Violation, seq: number, step: SpokeStep): void {
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    this.#counters.protocolErrors++;
    pipe.sendUnnumbered(step.out, "acknowledgement", protocolError(wrong.code, wrong.message, seq));
    step.out.push(destroy(pipe.generation, "ProtocolError", wrong.message, GOODBYE_LINGER_MS));
    this.#ended(`protocol error: ${wrong.message}`, 0, step);
  }

  #lost(code: StreamEnd, detail: string, step: SpokeStep): void {
    step.out.push(destroy(this.#generation, code, detail, 0));
    this.#ended(code, 0, step);
  }

  /** The stream or the dial is over: back to waiting, unless the agent stops. */
  #ended(reason: string, retryAfterMs: number, step: SpokeStep): void {
    const liveMs = this.#phase === "live" ? step.nowMs - this.#phaseMs : 0;
    this.#drop(step);
    this.#lastEnd = clip(reason);
    this.#phase = "waiting";
    this.#dialAtMs = step.nowMs + this.#reconnect.delayMs(liveMs, retryAfterMs);
    this.#setChannel("degraded", this.#lastEnd, step);
  }

  #stop(reason: string, step: SpokeStep): void {
    if (this.#phase === "stopped") return;
    const pipe = this.#pipe;
    if (pipe !== undefined) {
      const parts = { code: Goodbye_Code.SHUTDOWN, retryAfterMs: 0, endpoint: "", message: reason };
      pipe.sendUnnumbered(step.out, "acknowledgement", goodbye(parts));
    }
    if (this.#phase !== "waiting") step.out.push(destroy(this.#generation, "Stopped", reason, GOODBYE_LINGER_MS));
    this.#drop(step);
    this.#items.stop();
    this.#phase = "stopped";
    this.#dialAtMs = Infinity;
    this.#lastEnd = clip(reason);
    this.#setChannel("degraded", this.#lastEnd, step);
  }

  #drop(step: SpokeStep): void {
    this.#pipe = undefined;
    this.#liveness = undefined;
    this.#delivery.lost();
    this.#facts.lost();
    this.#audit.lost();
    this.#revocations.lost();
    this.#requests.lost(step);
  }

  #setChannel(channel: "connected" | "degraded", reason: string, step: SpokeStep): void {
    if (this.#channel === channel) return;
    this.#channel = channel;
    const connected = channel === "connected";
    step.out.push({ type: "ChannelChanged", connected, degraded: !connected, reason });
  }

  #nextDeadline(nowMs: number): number {
    const deadlines = [this.#dialAtMs, this.#items.deadlineMs, this.#requests.deadlineMs];
    if (this.#phase === "dialing") deadlines.push(this.#phaseMs + DIAL_DEADLINE_MS);
    if (this.#phase === "opening") deadlines.push(this.#phaseMs + HELLO_DEADLINE_MS);
    if (this.#pipe !== undefined) deadlines.push(this.#pipe.deadlineMs);
    if (this.#phase === "live") deadlines.push(this.#bodies.deadlineMs);
    if (this.#liveness !== undefined) deadlines.push(this.#liveness.nextHeartbeatMs, this.#liveness.silenceEndsMs);
    return soonestAfter(nowMs, deadlines);
  }
}

function destroy(generation: number, code: StreamEnd, detail: string, lingerMs: number): SpokeEffect {
  return { type: "Destroy", generation, code, detail: clip(detail), lingerMs };
}
