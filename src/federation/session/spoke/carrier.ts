import {
  type Goodbye,
  Goodbye_Code,
  ProtocolError_Code,
  type Welcome,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Random } from "../../../base/random.ts";
import { MAX_SEQUENCE } from "../../audit/audit-chain.ts";
import {
  GOODBYE_LINGER_MS,
  HEARTBEAT_INTERVAL_MS,
  HELLO_DEADLINE_MS,
  RECONNECT,
  SUPERSEDED_WAIT_MS,
} from "../limits.ts";
import { Liveness } from "../liveness.ts";
import { clip, goodbye, protocolError } from "../message.ts";
import { Pipe } from "../pipe.ts";
import type { Soonest } from "../soonest.ts";
import type { StreamEnd } from "../stream-end.ts";
import { type Violation, violation } from "../violation.ts";
import type { SpokeCounters } from "./counters.ts";
import type { SpokeEffect } from "./effects.ts";
import { Reconnect } from "./reconnect.ts";
import type { SpokePipe, SpokeStep, SpokeTag } from "./step.ts";
import type { SpokeSessionView } from "./view.ts";

/** Longest time from Dial to StreamOpened, milliseconds: the sum of the shell's phase deadlines and some. */
const DIAL_DEADLINE_MS = 40_000;
/** Endpoints an agent keeps from Welcome. */
const MAX_ENDPOINTS = 16;

/** Parts a carrier is made of. */
export interface CarrierParts {
  readonly random: Random;
  readonly counters: SpokeCounters;
  /** What Hello names. */
  readonly protocolVersions: readonly number[];
  /** The stream is gone, or never came: what the lanes had under way on it comes again. */
  readonly dropped: (step: SpokeStep) => void;
}

/**
 * The stream that carries the session now, and the way to the next one: dialling, welcome, liveness, backoff, and every way a stream
 * ends (lessons §1). Losing one changes nothing but the pipe.
 */
export class Carrier {
  readonly #parts: CarrierParts;
  readonly #reconnect: Reconnect;
  #phase: SpokeSessionView["phase"] = "stopped";
  #phaseMs = 0;
  #dialAtMs = Infinity;
  #generation = 0;
  #pipe: SpokePipe | undefined = undefined;
  #liveness: Liveness | undefined = undefined;
  #replica = "";
  #endpoints: readonly string[] = [];
  #channel: "unknown" | "connected" | "degraded" = "unknown";
  #lastEnd = "";

  constructor(parts: CarrierParts) {
    this.#parts = parts;
    this.#reconnect = new Reconnect(parts.random);
  }

  get phase(): SpokeSessionView["phase"] {
    return this.#phase;
  }

  /** The stream; undefined while there is none. */
  get pipe(): SpokePipe | undefined {
    return this.#pipe;
  }

  /** The stream, when the session is live on it. */
  get live(): SpokePipe | undefined {
    return this.#phase === "live" ? this.#pipe : undefined;
  }

  get liveness(): Liveness | undefined {
    return this.#liveness;
  }

  /** Replica of the hub that said Welcome last. */
  get replica(): string {
    return this.#replica;
  }

  /** Dials since the last health. */
  get attempt(): number {
    return this.#reconnect.attempt;
  }

  /** Why the last stream or dial ended, for people. */
  get lastEnd(): string {
    return this.#lastEnd;
  }

  owns(generation: number): boolean {
    return this.#pipe?.generation === generation;
  }

  /** Asks the shell for a stream. */
  dial(step: SpokeStep): void {
    this.#phase = "dialing";
    this.#phaseMs = step.nowMs;
    this.#dialAtMs = Infinity;
    this.#generation++;
    this.#parts.counters.dials++;
    step.out.push({ type: "Dial", generation: this.#generation, endpoints: this.#endpoints });
  }

  /** A dialled stream is open. Returns its pipe when it is the one asked for. */
  opened(generation: number, step: SpokeStep): SpokePipe | undefined {
    if (generation !== this.#generation || this.#phase !== "dialing") {
      step.out.push(destroy(generation, "Superseded", "the agent moved on", 0));
      return undefined;
    }
    this.#pipe = new Pipe<SpokeTag>(generation, step.nowMs);
    this.#phase = "opening";
    this.#phaseMs = step.nowMs;
    return this.#pipe;
  }

  /** A dial failed. What a hub named may be gone: the next one takes the configured endpoints. */
  dialFailed(generation: number, reason: string, answered: boolean, step: SpokeStep): void {
    if (generation !== this.#generation || this.#phase !== "dialing") return;
    this.#endpoints = [];
    this.#wait(reason, answered ? this.#reconnect.brokenOffMs() : this.#reconnect.redialMs(), step);
  }

  /** The hub answered Hello. */
  welcomed(pipe: SpokePipe, welcome: Welcome, step: SpokeStep): Violation | undefined {
    if (this.#phase !== "opening")
      return violation(ProtocolError_Code.UNEXPECTED, "welcome is sent once, as the answer to hello");
    const { protocolVersions } = this.#parts;
    if (!protocolVersions.includes(welcome.protocolVersion))
      return violation(
        ProtocolError_Code.VERSION,
        `welcome protocol_version: one of ${protocolVersions.join(", ")}, found ${welcome.protocolVersion}`,
      );
    if (welcome.auditResumeSequence > MAX_SEQUENCE || welcome.auditHighestSequence > MAX_SEQUENCE)
      return violation(ProtocolError_Code.INVALID, `welcome audit_resume_sequence: at most ${MAX_SEQUENCE}`);
    if (welcome.sessionId === "") return violation(ProtocolError_Code.INVALID, "welcome session_id: not empty");
    this.#parts.counters.welcomes++;
    pipe.sessionId = welcome.sessionId;
    if (welcome.maxInFlightFrames > 0) pipe.sending.limit(welcome.maxInFlightFrames);
    const interval = welcome.heartbeatIntervalMs === 0 ? HEARTBEAT_INTERVAL_MS : welcome.heartbeatIntervalMs;
    this.#liveness = new Liveness(
      this.#parts.random,
      Math.min(10 * HEARTBEAT_INTERVAL_MS, Math.max(100, interval)),
      step.nowMs,
    );
    this.#replica = welcome.replica;
    if (welcome.endpoints.length > 0) this.#endpoints = welcome.endpoints.slice(0, MAX_ENDPOINTS);
    this.#phase = "live";
    this.#phaseMs = step.nowMs;
    return undefined;
  }

  /** The session goes on over this stream. */
  connected(step: SpokeStep): void {
    this.#setChannel("connected", "Recovered", step);
  }

  /** The hub says goodbye, and when and where to come back. */
  goodbye(message: Goodbye, step: SpokeStep): void {
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
    this.ended(`hub said goodbye: ${message.message}`, waitMs, step);
  }

  /** A broken rule: said, then the stream is destroyed. */
  violated(wrong: Violation, seq: number, step: SpokeStep): void {
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    this.#parts.counters.protocolErrors++;
    pipe.sendUnnumbered(step.out, "acknowledgement", protocolError(wrong.code, wrong.message, seq));
    step.out.push(destroy(pipe.generation, "ProtocolError", wrong.message, GOODBYE_LINGER_MS));
    this.ended(`protocol error: ${wrong.message}`, 0, step);
  }

  /** The hub saw a broken rule. */
  accused(message: string, step: SpokeStep): void {
    this.#parts.counters.protocolErrors++;
    step.out.push(destroy(this.#generation, "ProtocolError", message, 0));
    this.ended(`hub saw a protocol error: ${message}`, 0, step);
  }

  /** The stream or the dial is over: back to waiting. */
  ended(reason: string, retryAfterMs: number, step: SpokeStep): void {
    const liveMs = this.#phase === "live" ? step.nowMs - this.#phaseMs : 0;
    this.#wait(reason, this.#reconnect.delayMs(liveMs, retryAfterMs), step);
  }

  #wait(reason: string, delayMs: number, step: SpokeStep): void {
    this.#drop(step);
    this.#lastEnd = clip(reason);
    this.#phase = "waiting";
    this.#dialAtMs = step.nowMs + delayMs;
    this.#setChannel("degraded", this.#lastEnd, step);
  }

  /** The agent stops: no further dial. */
  stop(reason: string, step: SpokeStep): void {
    const pipe = this.#pipe;
    if (pipe !== undefined) {
      const parts = { code: Goodbye_Code.SHUTDOWN, retryAfterMs: 0, endpoint: "", message: reason };
      pipe.sendUnnumbered(step.out, "acknowledgement", goodbye(parts));
    }
    if (this.#phase !== "waiting") step.out.push(destroy(this.#generation, "Stopped", reason, GOODBYE_LINGER_MS));
    this.#drop(step);
    this.#phase = "stopped";
    this.#dialAtMs = Infinity;
    this.#lastEnd = clip(reason);
    this.#setChannel("degraded", this.#lastEnd, step);
  }

  /** Dials when it is time, and judges the stream by its deadlines. */
  tick(step: SpokeStep): void {
    const { nowMs } = step;
    if (this.#phase === "waiting" && nowMs >= this.#dialAtMs) this.dial(step);
    if (this.#phase === "dialing" && nowMs - this.#phaseMs >= DIAL_DEADLINE_MS) {
      step.out.push(destroy(this.#generation, "HelloTimeout", "dialling took too long", 0));
      this.#endpoints = [];
      this.ended("dialling took too long", 0, step);
    }
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    if (this.#phase === "opening" && nowMs - this.#phaseMs >= HELLO_DEADLINE_MS)
      this.#lost("HelloTimeout", `no welcome within ${HELLO_DEADLINE_MS} ms`, step);
    else if (this.#liveness?.isDead(nowMs) === true)
      this.#lost("HeartbeatMissed", "no sign of life from the hub", step);
    else if (pipe.drainExpired(nowMs)) this.#lost("DrainTimeout", "the hub did not read", step);
  }

  /** When to look again. */
  deadlines(soonest: Soonest): void {
    soonest.see(this.#dialAtMs);
    if (this.#phase === "dialing") soonest.see(this.#phaseMs + DIAL_DEADLINE_MS);
    if (this.#phase === "opening") soonest.see(this.#phaseMs + HELLO_DEADLINE_MS);
    if (this.#pipe !== undefined) soonest.see(this.#pipe.deadlineMs);
    if (this.#liveness === undefined) return;
    soonest.see(this.#liveness.nextHeartbeatMs);
    soonest.see(this.#liveness.silenceEndsMs);
  }

  #lost(code: StreamEnd, detail: string, step: SpokeStep): void {
    step.out.push(destroy(this.#generation, code, detail, 0));
    this.ended(code, 0, step);
  }

  #drop(step: SpokeStep): void {
    this.#pipe = undefined;
    this.#liveness = undefined;
    this.#parts.dropped(step);
  }

  #setChannel(channel: "connected" | "degraded", reason: string, step: SpokeStep): void {
    if (this.#channel === channel) return;
    this.#channel = channel;
    const connected = channel === "connected";
    step.out.push({ type: "ChannelChanged", connected, degraded: !connected, reason });
  }
}

function destroy(generation: number, code: StreamEnd, detail: string, lingerMs: number): SpokeEffect {
  return { type: "Destroy", generation, code, detail: clip(detail), lingerMs };
}
