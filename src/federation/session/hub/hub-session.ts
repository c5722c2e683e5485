import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import {
  Goodbye_Code,
  type HeartBeat,
  type Hello,
  type IndexPosition,
  ProtocolError_Code,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Random } from "../../../base/random.ts";
import { COMPARED_BODY_BYTES, HEARTBEAT_INTERVAL_MS, PROTOCOL_VERSIONS } from "../limits.ts";
import { clip, heartBeat } from "../message.ts";
import type { Payload } from "../payload.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Ready } from "../ready.ts";
import { Soonest } from "../soonest.ts";
import { type Violation, violation } from "../violation.ts";
import { Carrier } from "./carrier.ts";
import { type HubCounters, zeroCounters } from "./counters.ts";
import type { HubEffect } from "./effects.ts";
import type { HubEvent, LoadedSession } from "./events.ts";
import { type HubParty, commonVersion, helloFault } from "./hello-check.ts";
import { HubLanes } from "./hub-lanes.ts";
import type { HeldIndex } from "./agent-claims.ts";
import { OFFER_BODY_BYTES } from "./offer-plan.ts";
import { Rivals } from "./rivals.ts";
import type { HubPipe, HubStep } from "./step.ts";
import type { HubSessionView } from "./view.ts";
import { welcomeMessage } from "./welcome-message.ts";

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
  /** Smallest index body whose ranges are compared when the hub does not have what the agent holds, bytes. */
  readonly comparedBodyBytes?: number;
  /** Protocol versions to speak, ascending: fewer than all make the hub of an earlier build. */
  readonly protocolVersions?: readonly number[];
}

const NOTHING: readonly never[] = [];
const UNKNOWN_AGENT = { agentVersion: "", instanceId: "", storeId: "" };

/**
 * The hub's side of one session: what one tenant's agent should hold, what it reported, and the stream that carries it now. A pure
 * machine: the shell hands in events with the time, and performs what comes back (see {@link Ready}). It must call `step` with Tick
 * at or after `deadlineMs`.
 */
export class HubSession {
  readonly cluster: string;
  readonly #party: HubParty;
  readonly #heartbeatMs: number;
  readonly #counters = zeroCounters();
  readonly #carrier: Carrier;
  readonly #lanes: HubLanes;
  readonly #rivals = new Rivals();
  /** What the stream that wants to go live said; let go when it does. */
  #hello: Hello | undefined = undefined;
  /** What is stored of the session was not asked for yet. */
  #loadDue = false;
  /** Who said Hello last. */
  #agent: Pick<HubSessionView, "agentVersion" | "instanceId" | "storeId"> = UNKNOWN_AGENT;
  #heartbeat: HeartBeat | undefined = undefined;
  #connectedAtMs = 0;
  #lastSeenMs = 0;
  readonly #soonest = new Soonest();
  #deadlineMs = Infinity;

  constructor(options: HubSessionOptions) {
    const { cluster, random } = options;
    this.cluster = cluster;
    this.#party = { cluster, versions: options.protocolVersions ?? PROTOCOL_VERSIONS };
    this.#heartbeatMs = options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS;
    this.#lanes = new HubLanes(random, this.#counters, {
      offerBodyBytes: options.offerBodyBytes ?? OFFER_BODY_BYTES,
      comparedBodyBytes: options.comparedBodyBytes ?? COMPARED_BODY_BYTES,
    });
    this.#carrier = new Carrier({
      party: this.#party,
      random,
      heartbeatMs: this.#heartbeatMs,
      counters: this.#counters,
      dropped: (step) => this.#lanes.closed(step),
    });
  }

  /** Monotonic time at which a Tick is due; Infinity when nothing waits for time. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** True while a stream is live. */
  get connected(): boolean {
    return this.#carrier.live !== undefined;
  }

  /** True while a stream carries the session or asks to. */
  get occupied(): boolean {
    return this.#carrier.occupied;
  }

  /** Bytes queued and in flight. */
  get queuedBytes(): number {
    const { pipe } = this.#carrier;
    return (pipe?.queue.bytes ?? 0) + (pipe?.sending.bytes ?? 0);
  }

  /** Facts that are not durable yet. */
  get waitingFacts(): number {
    return this.#lanes.facts.length;
  }

  /** Audit batches that are not durable yet. */
  get waitingAudits(): number {
    return this.#lanes.audit.length;
  }

  /** Counts of this session's life, for metrics. */
  get counters(): Readonly<HubCounters> {
    return this.#counters;
  }

  /** Applies one event. `persist` is always empty on this side. */
  step(event: HubEvent, nowMs: number, wallMs: number): Ready<never, HubEffect> {
    const step: HubStep = { nowMs, wallMs, out: [] };
    if (nowMs > this.#deadlineMs) this.#carrier.paused(nowMs - this.#deadlineMs);
    this.#apply(event, step);
    this.#load(step);
    this.#lanes.tick(step);
    this.#carrier.tick(step);
    if (this.#carrier.pipe !== undefined) this.#lanes.sweep(nowMs);
    this.#pump(step);
    const { live } = this.#carrier;
    live?.settleAcknowledgement(step.out, nowMs);
    this.#soonest.begin(nowMs);
    this.#lanes.deadlines(live !== undefined, this.#soonest);
    this.#carrier.deadlines(this.#soonest);
    this.#deadlineMs = this.#soonest.atMs;
    return { atOnce: NOTHING, persist: NOTHING, afterPersist: step.out };
  }

  /** What operators see. */
  view(): HubSessionView {
    const { pipe, phase, roundTripMs, lastDisconnect } = this.#carrier;
    const { offers, revocations, audit, needsResync } = this.#lanes;
    return {
      cluster: this.cluster,
      phase: pipe === undefined ? "absent" : phase,
      sessionId: pipe?.sessionId ?? "",
      term: pipe?.term ?? 0n,
      ...this.#agent,
      protocolVersion: this.#lanes.version,
      rivalMs: this.#rivals.seenMs,
      connectedAtMs: this.#connectedAtMs,
      lastSeenMs: this.#lastSeenMs,
      roundTripMs,
      held: offers.held,
      refused: offers.refused,
      quarantined: offers.quarantine,
      pendingRevocations: revocations.length,
      revocationsSentThrough: revocations.sentThrough,
      auditBacklogEvents: this.#heartbeat?.auditBacklogEvents ?? 0n,
      auditBacklogBytes: this.#heartbeat?.auditBacklogBytes ?? 0n,
      auditStoredThrough: audit.storedThrough,
      queuedBytes: this.queuedBytes,
      needsResync,
      degradedReasons: this.#heartbeat?.degradedReasons ?? [],
      lastDisconnect,
      counters: this.#counters,
    };
  }

  #apply(event: HubEvent, step: HubStep): void {
    const carrier = this.#carrier;
    const lanes = this.#lanes;
    switch (event.type) {
      case "StreamOpened":
        carrier.opened(event.generation, step);
        return;
      case "FrameReceived":
        if (carrier.admits(event.generation, event.envelope, step)) this.#frame(event.envelope, event.bytes, step);
        return;
      case "FrameInvalid":
        carrier.invalid(event, step);
        return;
      case "StreamClosed":
        carrier.closed(event.generation, event.reason, step);
        return;
      case "StreamBlocked":
        if (carrier.owns(event.generation)) carrier.pipe?.block(step.nowMs);
        return;
      case "StreamDrained":
        if (carrier.owns(event.generation)) carrier.pipe?.unblock();
        return;
      case "SessionLoaded":
        if (carrier.owns(event.generation) && carrier.phase === "loading") this.#welcome(event.loaded, step);
        return;
      case "SessionLoadFailed":
        if (carrier.owns(event.generation) && carrier.phase === "loading") {
          const { code, retryAfterMs, message, endpoint } = event;
          carrier.sendAway({ code, retryAfterMs, message, endpoint }, "LoadFailed", step);
        }
        return;
      case "DesiredChanged":
        lanes.offers.desire(event.desired);
        return;
      case "RevocationsChanged":
        lanes.revocations.change(event.pending);
        return;
      case "BlobPinned":
        lanes.blobs.pinned(event, carrier.pipe, step);
        return;
      case "CompareAcquired":
        lanes.offers.compareAcquired();
        return;
      case "FactStored":
        lanes.facts.stored(event.token, event.outcome, carrier.pipe, step);
        return;
      case "AuditStored":
        lanes.audit.stored(event.token, event.result, carrier.pipe, step);
        return;
      case "Respond":
        lanes.respond(event.payload, event.key, carrier.live);
        return;
      case "RetriesChanged":
        if (lanes.retries.change(event.orders)) lanes.offers.lift();
        return;
      case "Evict":
        carrier.evict(event, step);
        return;
      case "Tick":
        return;
    }
  }

  #frame(envelope: Envelope, bytes: number, step: HubStep): void {
    const { pipe } = this.#carrier;
    if (pipe === undefined) return;
    this.#carrier.inbound(step.nowMs);
    this.#lastSeenMs = step.wallMs;
    const seq = Number(envelope.seq);
    const wrong = this.#check(pipe, envelope, step) ?? this.#payload(pipe, envelope.payload, seq, bytes, step);
    if (wrong !== undefined) this.#carrier.violated(wrong, seq, step);
  }

  #check(pipe: HubPipe, envelope: Envelope, step: HubStep): Violation | undefined {
    const { case: name } = envelope.payload;
    const { phase } = this.#carrier;
    const ends = name === "goodbye" || name === "protocolError";
    if (envelope.sessionId !== pipe.sessionId && !ends)
      return violation(
        ProtocolError_Code.INVALID,
        `envelope session_id: "${pipe.sessionId}", found "${clip(envelope.sessionId)}"`,
      );
    if (envelope.term !== 0n)
      return violation(ProtocolError_Code.INVALID, `envelope term: 0 from an agent, found ${envelope.term}`);
    const early = phase !== "live" && name !== "hello" && !ends;
    if (early && !(phase === "loading" && name === "heartBeat"))
      return violation(
        ProtocolError_Code.UNEXPECTED,
        `${name ?? "unknown payload"} before Welcome: the first frame is Hello`,
      );
    return pipe.receive(envelope, (tag) => this.#lanes.retries.acknowledged(tag.id, step));
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
        this.#carrier.left("PeerGoodbye", payload.value.message, `agent: ${payload.value.message}`, step);
        return undefined;
      case "protocolError": {
        const { message } = payload.value;
        this.#counters.protocolErrors++;
        this.#carrier.left("ProtocolError", message, `agent saw a protocol error: ${message}`, step);
        return undefined;
      }
      case "acknowledge":
        return undefined;
      default:
        return this.#lanes.receive(pipe, payload, seq, bytes, step);
    }
  }

  #helloReceived(pipe: HubPipe, hello: Hello, seq: number, step: HubStep): Violation | undefined {
    if (this.#carrier.phase !== "opening")
      return violation(ProtocolError_Code.UNEXPECTED, "hello is sent once, as the first frame");
    const fault = helloFault(this.#party, hello);
    if (fault?.kind === "violation") return fault.violation;
    if (fault?.kind === "refusal") {
      this.#carrier.sendAway(fault.goodbye, fault.end, step);
      return undefined;
    }
    pipe.durable(seq, step.nowMs);
    this.#hello = hello;
    const { agentVersion, instanceId, storeId } = hello;
    this.#agent = { agentVersion, instanceId, storeId };
    this.#heartbeat = undefined;
    this.#carrier.enter("loading", step);
    this.#loadDue = true;
    return undefined;
  }

  /**
   * Reads what is stored of the session when nothing of a former stream is being stored any more: that would be read as it was before,
   * and what this stream reports is compared with it (seed 217858).
   */
  #load(step: HubStep): void {
    const { pipe, phase } = this.#carrier;
    const hello = this.#hello;
    if (!this.#loadDue || this.#lanes.facts.length > 0 || pipe === undefined || hello === undefined) return;
    this.#loadDue = false;
    if (phase !== "loading") return;
    this.#rivals.opened(hello.instanceId, step.wallMs);
    step.out.push({ type: "LoadSession", generation: pipe.generation, hello });
  }

  #welcome(loaded: LoadedSession, step: HubStep): void {
    const { pipe } = this.#carrier;
    const hello = this.#hello;
    if (pipe === undefined || hello === undefined) return;
    if (loaded.term < hello.highestTerm) {
      const message = `this replica owns the session under term ${loaded.term}, the agent has seen ${hello.highestTerm}`;
      const parts = { code: Goodbye_Code.NOT_OWNER, retryAfterMs: 1_000, endpoint: "", message };
      this.#carrier.sendAway(parts, "LoadFailed", step);
      return;
    }
    pipe.sessionId = loaded.sessionId;
    pipe.term = loaded.term;
    const held = hello.heldIndex === undefined ? undefined : heldIndex(hello.heldIndex);
    const version = commonVersion(hello, this.#party.versions) ?? 0;
    this.#lanes.opened(held, hello, version, loaded, pipe, step);
    const payload: Payload = {
      case: "welcome",
      value: welcomeMessage(hello, loaded, this.#lanes, this.#heartbeatMs, step),
    };
    pipe.send(step.out, "acknowledgement", { kind: "message", payload }, payloadBytes(payload), step.nowMs);
    this.#hello = undefined;
    this.#connectedAtMs = step.wallMs;
    this.#carrier.enter("live", step);
    this.#lanes.resync(step);
  }

  #heartBeat(pipe: HubPipe, beat: HeartBeat, step: HubStep): void {
    if (beat.isAck) {
      this.#carrier.answered(beat, step.nowMs);
      return;
    }
    this.#heartbeat = beat;
    if (beat.heldIndex !== undefined) this.#lanes.offers.heard(heldIndex(beat.heldIndex));
    if (pipe.blocked) return;
    pipe.sendUnnumbered(step.out, "heartbeat", heartBeat({ isAck: true, nonce: beat.nonce, nowMs: step.nowMs }));
  }

  #pump(step: HubStep): void {
    const { live } = this.#carrier;
    if (live === undefined || live.blocked) return;
    this.#lanes.revocations.pump(live, step);
    this.#carrier.beat(live, step);
    this.#lanes.pump(live, step);
  }
}

function heldIndex(position: IndexPosition): HeldIndex {
  return { epoch: Number(position.epoch), sequence: Number(position.sequence), digest: position.digest };
}
