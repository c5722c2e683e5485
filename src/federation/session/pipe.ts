import type { Envelope } from "../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { ProtocolError_Code } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Frame, FrameBody } from "./frame.ts";
import type { Lane } from "./lane.ts";
import { LaneQueue } from "./lane-queue.ts";
import {
  ACKNOWLEDGE_DELAY_MS,
  ACKNOWLEDGE_EVERY_BYTES,
  ACKNOWLEDGE_EVERY_FRAMES,
  ACKNOWLEDGE_REST_MS,
  DRAIN_TIMEOUT_MS,
} from "./limits.ts";
import { acknowledge } from "./message.ts";
import type { Payload } from "./payload.ts";
import { payloadBytes } from "./payload-size.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { SendWindow } from "./send-window.ts";
import { type Violation, violation } from "./violation.ts";

/** The one effect a pipe emits; a member of both machines' effects. */
export interface SendEffect {
  readonly type: "Send";
  readonly generation: number;
  readonly frame: Frame;
}

/** Where a pipe puts its frames: the effects of the running step. */
export interface SendSink {
  push(effect: SendEffect): unknown;
}

/**
 * One stream: numbering, windows, lanes, acknowledgements and the transport's back-pressure. It lives exactly as long as its
 * generation; everything that must survive lives in the session (lessons §1.1). `Tag` says what an acknowledgement completes.
 */
export class Pipe<Tag> {
  readonly generation: number;
  readonly openedMs: number;
  readonly queue: LaneQueue<Tag> = new LaneQueue();
  readonly sending: SendWindow<Tag> = new SendWindow();
  readonly receiving: ReceiveWindow = new ReceiveWindow();
  sessionId = "";
  term = 0n;
  #ackSent = 0;
  #ackDueMs = Infinity;
  #owedBytes = 0;
  #blockedMs = Infinity;

  constructor(generation: number, openedMs: number) {
    this.generation = generation;
    this.openedMs = openedMs;
  }

  /** True while the transport takes no more. */
  get blocked(): boolean {
    return this.#blockedMs !== Infinity;
  }

  block(nowMs: number): void {
    if (!this.blocked) this.#blockedMs = nowMs;
  }

  unblock(): void {
    this.#blockedMs = Infinity;
  }

  /** True when the transport has not drained within its time. */
  drainExpired(nowMs: number): boolean {
    return nowMs - this.#blockedMs >= DRAIN_TIMEOUT_MS;
  }

  /**
   * Checks the header of an incoming frame: numbers and acknowledgement; calls `visit` for everything the acknowledgement
   * completes. Session id and term are the machine's to check.
   */
  receive(envelope: Envelope, visit: (tag: Tag) => void): Violation | undefined {
    const seq = Number(envelope.seq);
    const numbered = isNumbered(envelope.payload.case);
    if (seq !== 0 || (numbered && envelope.payload.case !== undefined)) {
      if (!numbered)
        return violation(ProtocolError_Code.SEQUENCE, `envelope seq: expected 0 with ${envelope.payload.case}`);
      const wrong = this.receiving.receive(seq);
      if (wrong !== undefined) return wrong;
    }
    return this.sending.acknowledge(Number(envelope.ack), visit);
  }

  /**
   * The effect of frame `seq` is durable, or is made so by the writes of this step. `bytes` is what the frame holds of the peer's
   * budget: large frames are acknowledged at once. `rests`: nothing of the peer waits for the acknowledgement.
   */
  durable(seq: number, nowMs: number, bytes = 0, rests = false): void {
    this.receiving.durable(seq);
    this.#owedBytes += bytes;
    if (this.receiving.ack === this.#ackSent) return;
    const delayMs = rests ? ACKNOWLEDGE_REST_MS : ACKNOWLEDGE_DELAY_MS;
    if (this.#owedBytes >= ACKNOWLEDGE_EVERY_BYTES) this.#ackDueMs = nowMs;
    else this.#ackDueMs = Math.min(this.#ackDueMs, nowMs + delayMs);
  }

  /** Sends a numbered frame. The caller asked `sending.hasRoom` first, except for frames that open a session. */
  send(out: SendSink, lane: Lane, body: FrameBody, bytes: number, nowMs: number, tag?: Tag): void {
    this.#emit(out, lane, body, bytes, this.sending.send(bytes, nowMs, tag));
  }

  /** Sends an unnumbered frame (heartbeat, goodbye, protocol error, acknowledge). */
  sendUnnumbered(out: SendSink, lane: Lane, payload: Payload): void {
    this.#emit(out, lane, { kind: "message", payload }, payloadBytes(payload), 0);
  }

  /** Sends queued messages of one lane while there is room. Returns false when something still waits. */
  flush(out: SendSink, lane: Lane, nowMs: number): boolean {
    for (let next = this.queue.peek(lane); next !== undefined; next = this.queue.peek(lane)) {
      if (this.blocked || !this.sending.hasRoom(lane, next.bytes)) return false;
      this.queue.shift(lane);
      // A refusal names a frame that its own header acknowledges: an earlier acknowledgement would say "stored".
      if (next.settles !== 0) this.durable(next.settles, nowMs);
      this.send(out, lane, { kind: "message", payload: next.payload }, next.bytes, nowMs, next.tag);
    }
    return true;
  }

  /** Lets a due acknowledgement leave when no frame carried it. Last thing of a step. */
  settleAcknowledgement(out: SendSink, nowMs: number): void {
    const owed = this.receiving.ack - this.#ackSent;
    if (owed <= 0 || this.blocked) return;
    if (owed >= ACKNOWLEDGE_EVERY_FRAMES || nowMs >= this.#ackDueMs)
      this.sendUnnumbered(out, "acknowledgement", acknowledge());
  }

  /** When to look again for acknowledgements and drain. */
  get deadlineMs(): number {
    return this.blocked ? this.#blockedMs + DRAIN_TIMEOUT_MS : this.#ackDueMs;
  }

  #emit(out: SendSink, lane: Lane, body: FrameBody, bytes: number, seq: number): void {
    this.#ackSent = this.receiving.ack;
    this.#ackDueMs = Infinity;
    this.#owedBytes = 0;
    out.push({
      type: "Send",
      generation: this.generation,
      frame: { lane, sessionId: this.sessionId, seq, ack: this.#ackSent, term: this.term, bytes, body },
    });
  }
}

function isNumbered(payload: Envelope["payload"]["case"]): boolean {
  switch (payload) {
    case "heartBeat":
    case "goodbye":
    case "protocolError":
    case "acknowledge":
      return false;
    default:
      return true;
  }
}
