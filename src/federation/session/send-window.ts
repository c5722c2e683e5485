import { ProtocolError_Code } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { type Lane, isUrgent } from "./lane.ts";
import {
  IN_FLIGHT_BYTES,
  RESERVED_REVOCATION_BYTES,
  RESERVED_REVOCATION_FRAMES,
  RESERVED_WINDOW_FRAMES,
  UNACKNOWLEDGED_BYTES,
  WINDOW_FRAMES,
} from "./limits.ts";
import { type Violation, violation } from "./violation.ts";

/** A numbered frame that the peer has not acknowledged. */
export interface InFlight<Tag> {
  readonly seq: number;
  readonly bytes: number;
  readonly sentMs: number;
  readonly tag: Tag | undefined;
}

/** Numbers outgoing frames and bounds what is unacknowledged, in frames and in bytes. */
export class SendWindow<Tag> {
  #next = 1;
  #acked = 0;
  #bytes = 0;
  readonly #inFlight: InFlight<Tag>[] = [];
  #frames = WINDOW_FRAMES;

  /** Frames the peer allows (Welcome.max_in_flight_frames). */
  limit(frames: number): void {
    this.#frames = Math.max(RESERVED_WINDOW_FRAMES + 1, Math.min(WINDOW_FRAMES, frames));
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#inFlight.length;
  }

  /** When the oldest unacknowledged frame was sent; undefined when none is. */
  get oldestMs(): number | undefined {
    return this.#inFlight[0]?.sentMs;
  }

  /** True when a frame of `bytes` may leave now. One frame larger than the budget of its lane may travel alone. */
  hasRoom(lane: Lane, bytes: number): boolean {
    return bytes <= this.room(lane);
  }

  /** Largest frame that may leave now, bytes; Infinity when nothing is unacknowledged, negative when none may. */
  room(lane: Lane): number {
    if (this.#inFlight.length >= this.#frames - reservedFrames(lane)) return -1;
    return this.#bytes === 0 ? Infinity : budgetOf(lane) - this.#bytes;
  }

  /** Takes the next number. */
  send(bytes: number, sentMs: number, tag: Tag | undefined): number {
    const seq = this.#next++;
    this.#inFlight.push({ seq, bytes, sentMs, tag });
    this.#bytes += bytes;
    return seq;
  }

  /** The tag of a frame in flight. */
  tagOf(seq: number): Tag | undefined {
    return this.#inFlight.find((frame) => frame.seq === seq)?.tag;
  }

  /** Applies a cumulative acknowledgement and calls `visit` for each frame it covers. */
  acknowledge(ack: number, visit: (tag: Tag) => void): Violation | undefined {
    if (ack >= this.#next)
      return violation(ProtocolError_Code.ACKNOWLEDGEMENT, `envelope ack: at most ${this.#next - 1}, found ${ack}`);
    if (ack < this.#acked)
      return violation(ProtocolError_Code.ACKNOWLEDGEMENT, `envelope ack: at least ${this.#acked}, found ${ack}`);
    this.#acked = ack;
    let covered = 0;
    for (const frame of this.#inFlight) {
      if (frame.seq > ack) break;
      covered++;
      this.#bytes -= frame.bytes;
      if (frame.tag !== undefined) visit(frame.tag);
    }
    // An idle stream keeps no room for frames.
    if (covered === this.#inFlight.length) this.#inFlight.length = 0;
    else if (covered > 0) this.#inFlight.splice(0, covered);
    return undefined;
  }
}

/** Frames of the window that `lane` leaves to more urgent ones. */
function reservedFrames(lane: Lane): number {
  if (lane === "revocation") return 0;
  return isUrgent(lane) ? RESERVED_REVOCATION_FRAMES : RESERVED_WINDOW_FRAMES;
}

/** Unacknowledged bytes that a frame of `lane` may bring the stream to. */
function budgetOf(lane: Lane): number {
  if (lane === "revocation") return UNACKNOWLEDGED_BYTES;
  return isUrgent(lane) ? UNACKNOWLEDGED_BYTES - RESERVED_REVOCATION_BYTES : IN_FLIGHT_BYTES;
}
