import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { type Frame, payloadCase } from "../../src/federation/session/frame.ts";
import type { Lane } from "../../src/federation/session/lane.ts";
import {
  IN_FLIGHT_BYTES,
  MAX_FRAME_BYTES,
  RESERVED_REVOCATION_FRAMES,
  RESERVED_WINDOW_FRAMES,
  UNACKNOWLEDGED_BYTES,
  WINDOW_FRAMES,
} from "../../src/federation/session/limits.ts";
import { bodyBytes } from "./frame-bytes.ts";
import { must } from "./world.ts";

/** What must be true by the time a frame of the peer is acknowledged; empty when it is, otherwise what is missing. */
export type Duty = () => string;

/** What a frame may bring the stream to (docs/protocol.md, section 2); one frame may always travel alone. */
interface LaneBudget {
  readonly mostFrames: number;
  readonly mostBytes: number;
}
const BULK: LaneBudget = { mostFrames: WINDOW_FRAMES - RESERVED_WINDOW_FRAMES, mostBytes: IN_FLIGHT_BYTES };
const URGENT: LaneBudget = { mostFrames: WINDOW_FRAMES - RESERVED_REVOCATION_FRAMES, mostBytes: MAX_FRAME_BYTES };
const BUDGETS: Readonly<Partial<Record<Lane, LaneBudget>>> = {
  revocation: { mostFrames: WINDOW_FRAMES, mostBytes: UNACKNOWLEDGED_BYTES },
  update: BULK,
  bulk: BULK,
};

/**
 * One stream as a shell sees it go out: what the machine may send when, and what it owes for what it acknowledges. All of it is measured
 * here, from the messages, and compared with what the machine believes.
 */
export class Outgoing {
  readonly #who: string;
  readonly #unacknowledged: { readonly seq: number; readonly bytes: number; readonly counted: number }[] = [];
  /** Bytes that the machine counts for what the peer has not acknowledged. */
  #counted = 0;
  readonly #duties: { readonly seq: number; readonly duty: Duty }[] = [];
  /** Bytes of bodies that the peer has not acknowledged. */
  bytes = 0;
  #blocked = false;

  constructor(who: string) {
    this.#who = who;
  }

  /** The peer acknowledged everything up to `ack`. */
  acknowledged(ack: number): void {
    for (let first = this.#unacknowledged[0]; first !== undefined && first.seq <= ack;) {
      this.bytes -= first.bytes;
      this.#counted -= first.counted;
      this.#unacknowledged.shift();
      first = this.#unacknowledged[0];
    }
  }

  /** A frame of the peer arrived that may only be acknowledged once `duty` is done. */
  owes(seq: number, duty: Duty): void {
    this.#duties.push({ seq, duty });
  }

  /** The machine was told whether the transport takes more. */
  told(blocked: boolean): void {
    this.#blocked = blocked;
  }

  /** The machine hands out a frame, knowing what it was told. */
  checkMayLeave({ body }: Frame): void {
    if (!this.#blocked) return;
    const name = payloadCase(body);
    // What ends a stream is written whatever the transport says: the stream is destroyed behind it.
    must(
      name === "goodbye" || name === "protocolError",
      `${this.#who} writes ${name} to a transport that said blocked`,
    );
  }

  /** A frame goes to the transport. */
  sends(frame: Frame, envelope: Envelope): void {
    while ((this.#duties[0]?.seq ?? Infinity) <= frame.ack) {
      const missing = this.#duties.shift()?.duty() ?? "";
      must(missing === "", `${this.#who} acknowledges ${missing}`);
    }
    if (frame.seq === 0) return;
    const bytes = bodyBytes(envelope);
    must(bytes <= frame.bytes, `${this.#who} counts ${frame.bytes} bytes for ${payloadCase(frame.body)} of ${bytes}`);
    this.#unacknowledged.push({ seq: frame.seq, bytes, counted: frame.bytes });
    this.bytes += bytes;
    this.#counted += frame.bytes;
    const { length } = this.#unacknowledged;
    const { mostFrames, mostBytes } = BUDGETS[frame.lane] ?? URGENT;
    must(
      this.bytes <= UNACKNOWLEDGED_BYTES && length <= mostFrames && (length === 1 || this.#counted <= mostBytes),
      `${this.#who} sends ${payloadCase(frame.body)} and has ${this.#counted} bytes in ${length} frames unacknowledged`,
    );
  }
}
