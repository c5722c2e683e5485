import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import {
  Goodbye_Code,
  type HeartBeat,
  ProtocolError_Code,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Random } from "../../../base/random.ts";
import {
  ACKNOWLEDGEMENT_STALL_MS,
  GOODBYE_LINGER_MS,
  HELLO_DEADLINE_MS,
  LOAD_DEADLINE_MS,
  SUPERSEDED_WAIT_MS,
} from "../limits.ts";
import { Liveness } from "../liveness.ts";
import { type GoodbyeParts, clip, goodbye, heartBeat, protocolError } from "../message.ts";
import { Pipe } from "../pipe.ts";
import type { Soonest } from "../soonest.ts";
import type { StreamEnd } from "../stream-end.ts";
import { type Violation, violation } from "../violation.ts";
import { Applicant } from "./applicant.ts";
import type { HubCounters } from "./counters.ts";
import type { ChannelReason } from "./effects.ts";
import type { HubEvent } from "./events.ts";
import type { HubParty } from "./hello-check.ts";
import type { HubPipe, HubStep, HubTag } from "./step.ts";
import type { HubSessionView } from "./view.ts";

const SUPERSEDED: GoodbyeParts = {
  code: Goodbye_Code.SUPERSEDED,
  retryAfterMs: SUPERSEDED_WAIT_MS,
  endpoint: "",
  message: "a newer stream took over",
};

/** Parts a carrier is made of. */
export interface CarrierParts {
  readonly party: HubParty;
  /** Jitter of heartbeats. */
  readonly random: Random;
  /** Period of heartbeats, milliseconds. */
  readonly heartbeatMs: number;
  readonly counters: HubCounters;
  /** The stream is gone: what the lanes had under way on it comes again. */
  readonly dropped: (step: HubStep) => void;
}

/**
 * The stream that carries the session now, and the one that wants to: opening, takeover by a newer one, liveness, and every way a
 * stream ends (lessons §1). Losing one changes nothing but the pipe.
 */
export class Carrier {
  readonly #parts: CarrierParts;
  #pipe: HubPipe | undefined = undefined;
  /** A newer stream that has not said yet who it is. */
  #applicant: Applicant | undefined = undefined;
  #phase: "opening" | "loading" | "live" = "opening";
  #phaseMs = 0;
  #liveness: Liveness | undefined = undefined;
  #newestGeneration = 0;
  #channelConnected = false;
  #lastDisconnect: HubSessionView["lastDisconnect"] = undefined;

  constructor(parts: CarrierParts) {
    this.#parts = parts;
  }

  /** The stream; undefined while there is none. */
  get pipe(): HubPipe | undefined {
    return this.#pipe;
  }

  /** True while a stream carries the session or asks to. */
  get occupied(): boolean {
    return this.#pipe !== undefined || this.#applicant !== undefined;
  }

  /** The stream, when the session is live on it. */
  get live(): HubPipe | undefined {
    return this.#phase === "live" ? this.#pipe : undefined;
  }

  /** Says how far the stream is; without a stream it means nothing. */
  get phase(): "opening" | "loading" | "live" {
    return this.#phase;
  }

  /** Last measured round trip, milliseconds. */
  get roundTripMs(): number | undefined {
    return this.#liveness?.roundTripMs;
  }

  get lastDisconnect(): HubSessionView["lastDisconnect"] {
    return this.#lastDisconnect;
  }

  owns(generation: number): boolean {
    return this.#pipe?.generation === generation;
  }

  /** The stream goes on to its next phase. */
  enter(phase: "loading" | "live", step: HubStep): void {
    this.#phase = phase;
    this.#phaseMs = step.nowMs;
    if (phase === "live") this.#setChannel(true, "Recovered", "", step);
  }

  /** A verified stream was accepted. */
  opened(generation: number, step: HubStep): void {
    if (generation <= this.#newestGeneration) return; // an older stream that was slow to be announced
    this.#newestGeneration = generation;
    this.#parts.counters.streams++;
    this.#applicant?.sendAway(SUPERSEDED, "Superseded", step);
    this.#applicant = undefined;
    // Whoever carries the session has said who it is: so must the newcomer, before it takes over.
    if (this.#pipe !== undefined && this.#phase !== "opening") this.#applicant = new Applicant(generation, step.nowMs);
    else this.#take(new Pipe<HubTag>(generation, step.nowMs), step);
  }

  /** A frame arrived. True when it is the session's: on its stream, or the good first frame of the one that takes over. */
  admits(generation: number, envelope: Envelope, step: HubStep): boolean {
    const applicant = this.#applicant;
    if (applicant?.generation !== generation) return this.owns(generation);
    this.#applicant = undefined;
    if (!applicant.admits(this.#parts.party, envelope, step)) return false;
    this.#take(applicant.pipe, step);
    return true;
  }

  /** A sign of life. */
  inbound(nowMs: number): void {
    this.#liveness?.inbound(nowMs);
  }

  /** This process did not run for `lateMs`. */
  paused(lateMs: number): void {
    this.#liveness?.paused(lateMs);
  }

  /** The agent answered a heartbeat. */
  answered(beat: HeartBeat, nowMs: number): void {
    this.#liveness?.answered(Number(beat.nonce), nowMs);
  }

  /** Sends a heartbeat when one is due. */
  beat(pipe: HubPipe, step: HubStep): void {
    if (this.#liveness?.isDue(step.nowMs) !== true) return;
    const nonce = this.#liveness.beat(step.nowMs);
    pipe.sendUnnumbered(step.out, "heartbeat", heartBeat({ isAck: false, nonce, nowMs: step.nowMs }));
  }

  /** Bytes arrived that are no frame. */
  invalid({ generation, tooLarge, detail }: Extract<HubEvent, { type: "FrameInvalid" }>, step: HubStep): void {
    const wrong = violation(tooLarge ? ProtocolError_Code.TOO_LARGE : ProtocolError_Code.INVALID, detail);
    if (this.#applicant?.generation === generation) {
      this.#parts.counters.protocolErrors++;
      this.#applicant.violated(wrong, 0, step);
      this.#applicant = undefined;
    } else if (this.owns(generation)) this.violated(wrong, 0, step);
  }

  /** A stream ended, whoever ended it. */
  closed(generation: number, reason: string, step: HubStep): void {
    if (this.#applicant?.generation === generation) this.#applicant = undefined;
    if (this.owns(generation)) this.#ended("Disconnected", reason, step);
  }

  /** The agent said its last word on this stream. */
  left(code: StreamEnd, said: string, detail: string, step: HubStep): void {
    this.#destroy(code, said, 0, step);
    this.#ended("Disconnected", detail, step);
  }

  /** A broken rule: said, then the stream is destroyed. */
  violated(wrong: Violation, seq: number, step: HubStep): void {
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    this.#parts.counters.protocolErrors++;
    pipe.sendUnnumbered(step.out, "acknowledgement", protocolError(wrong.code, wrong.message, seq));
    this.#destroy("ProtocolError", wrong.message, GOODBYE_LINGER_MS, step);
    this.#ended("Disconnected", `protocol error: ${wrong.message}`, step);
  }

  /** Ends the stream in order. */
  sendAway(parts: GoodbyeParts, end: StreamEnd, step: HubStep): void {
    this.#farewell(parts, end, step);
    this.#ended("Disconnected", parts.message, step);
  }

  /** Ends every stream in order. */
  evict(parts: GoodbyeParts, step: HubStep): void {
    this.#applicant?.sendAway(parts, "Evicted", step);
    this.#applicant = undefined;
    if (this.#pipe !== undefined) this.sendAway(parts, "Evicted", step);
  }

  /** Judges streams by their deadlines. */
  tick(step: HubStep): void {
    const { nowMs } = step;
    if (this.#applicant !== undefined && nowMs >= this.#applicant.deadlineMs) {
      this.#applicant.timedOut(step);
      this.#applicant = undefined;
    }
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    const oldest = pipe.sending.oldestMs;
    if (this.#liveness?.isDead(nowMs) === true) {
      this.#destroy("HeartbeatMissed", "no sign of life from the agent", 0, step);
      this.#ended("HeartbeatMissed", "no sign of life from the agent", step);
    } else if (pipe.drainExpired(nowMs)) {
      this.left("DrainTimeout", "the agent did not read", "the agent did not read", step);
    } else if (this.#phase === "opening" && nowMs - this.#phaseMs >= HELLO_DEADLINE_MS) {
      this.left("HelloTimeout", `no hello within ${HELLO_DEADLINE_MS} ms`, "no hello", step);
    } else if (this.#phase === "loading" && nowMs - this.#phaseMs >= LOAD_DEADLINE_MS) {
      const message = "the hub could not load the session in time";
      this.sendAway({ code: Goodbye_Code.OVERLOADED, retryAfterMs: 5_000, endpoint: "", message }, "LoadFailed", step);
    } else if (oldest !== undefined && nowMs - oldest >= ACKNOWLEDGEMENT_STALL_MS) {
      const message = `a frame was not acknowledged for ${ACKNOWLEDGEMENT_STALL_MS} ms`;
      this.sendAway({ code: Goodbye_Code.STALLED, retryAfterMs: 0, endpoint: "", message }, "Stalled", step);
    }
  }

  /** When to look again. */
  deadlines(soonest: Soonest): void {
    if (this.#applicant !== undefined) soonest.see(this.#applicant.deadlineMs);
    const pipe = this.#pipe;
    if (pipe !== undefined) {
      soonest.see(pipe.deadlineMs);
      soonest.see((pipe.sending.oldestMs ?? Infinity) + ACKNOWLEDGEMENT_STALL_MS);
      if (this.#phase === "opening") soonest.see(this.#phaseMs + HELLO_DEADLINE_MS);
      if (this.#phase === "loading") soonest.see(this.#phaseMs + LOAD_DEADLINE_MS);
    }
    if (this.#liveness === undefined) return;
    soonest.see(this.#liveness.nextHeartbeatMs);
    soonest.see(this.#liveness.silenceEndsMs);
  }

  /** A newer stream wins. */
  #take(pipe: HubPipe, step: HubStep): void {
    if (this.#pipe !== undefined) {
      this.#parts.counters.superseded++;
      this.#farewell(SUPERSEDED, "Superseded", step);
      this.#drop(step);
    }
    this.#pipe = pipe;
    this.#phase = "opening";
    this.#phaseMs = pipe.openedMs;
    this.#liveness = new Liveness(this.#parts.random, this.#parts.heartbeatMs, step.nowMs);
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
    this.#drop(step);
    this.#lastDisconnect = { reason, detail: clip(detail), atMs: step.wallMs };
    this.#setChannel(false, reason, clip(detail), step);
  }

  #drop(step: HubStep): void {
    this.#pipe = undefined;
    this.#liveness = undefined;
    this.#parts.dropped(step);
  }

  #setChannel(connected: boolean, reason: ChannelReason, detail: string, step: HubStep): void {
    if (this.#channelConnected === connected) return;
    this.#channelConnected = connected;
    step.out.push({ type: "ChannelChanged", connected, reason, detail });
  }
}
