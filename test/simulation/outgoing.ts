import type { Envelope } from "../../src/api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { type Frame, payloadCase } from "../../src/federation/session/frame.ts";
import { UNACKNOWLEDGED_BYTES, WINDOW_FRAMES } from "../../src/federation/session/limits.ts";
import { bodyBytes } from "./frame-bytes.ts";
import { must } from "./world.ts";

/** What must be true by the time a frame of the peer is acknowledged; empty when it is, otherwise what is missing. */
export type Duty = () => string;

/**
 * One stream as a shell sees it go out: what the machine may send when, and what it owes for what it acknowledges. All of it is measured
 * here, from the messages, and compared with what the machine believes.
 */
export class Outgoing {
  readonly #who: string;
  readonly #unacknowledged: { readonly seq: number; readonly bytes: number }[] = [];
  readonly #duties: { readonly seq: number; readonly duty: Duty }[] = [];
  /** Bytes of bodies that the peer has not acknowledged. */
  bytes = 0;
  #blocked = false;

  constructor(who: string) {
    this.#who = who;
  }

  /** The peer acknowledged everything up to `ack`. */
  acknowledged(ack: number): void {
    while ((this.#unacknowledged[0]?.seq ?? Infinity) <= ack) this.bytes -= this.#unacknowledged.shift()?.bytes ?? 0;
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
    this.#unacknowledged.push({ seq: frame.seq, bytes });
    this.bytes += bytes;
    must(
      this.bytes <= UNACKNOWLEDGED_BYTES && this.#unacknowledged.length <= WINDOW_FRAMES,
      `${this.#who} has ${this.bytes} bytes in ${this.#unacknowledged.length} frames unacknowledged`,
    );
  }
}
