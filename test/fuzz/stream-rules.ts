import type { Frame } from "../../src/federation/session/frame.ts";
import { MAX_FRAME_BYTES, SESSION_BUDGET_BYTES } from "../../src/federation/session/limits.ts";

/** What every machine must keep, whatever it is told: numbers, acknowledgements, ends of streams, memory, deadlines. */
export class StreamRules {
  readonly #sent: Map<number, number> = new Map();
  readonly #received: Map<number, number> = new Map();
  readonly #acked: Map<number, number> = new Map();
  readonly #ended: Set<number> = new Set();

  /** A numbered frame reached the machine. */
  received(generation: number, seq: number): void {
    this.#received.set(generation, Math.max(seq, this.#received.get(generation) ?? 0));
  }

  /** The machine sends. */
  send(generation: number, frame: Frame): void {
    rule(!this.#ended.has(generation), `a frame on stream ${generation}, which was destroyed`);
    const before = this.#sent.get(generation) ?? 0;
    rule(frame.seq === 0 || frame.seq === before + 1, `frame ${frame.seq} after ${before}`);
    if (frame.seq > 0) this.#sent.set(generation, frame.seq);
    const acked = this.#acked.get(generation) ?? 0;
    rule(frame.ack >= acked, `acknowledgement ${frame.ack} after ${acked}`);
    rule(frame.ack <= (this.#received.get(generation) ?? 0), `${frame.ack} is acknowledged and was never received`);
    this.#acked.set(generation, frame.ack);
    rule(frame.bytes <= MAX_FRAME_BYTES, `a frame of ${frame.bytes} bytes`);
  }

  /** Highest number the machine has sent on a stream. */
  sent(generation: number): number {
    return this.#sent.get(generation) ?? 0;
  }

  /** The machine destroys a stream. */
  destroyed(generation: number): void {
    this.#ended.add(generation);
  }

  /** After a step. */
  stepped(queuedBytes: number, deadlineMs: number, nowMs: number): void {
    rule(queuedBytes >= 0 && queuedBytes <= SESSION_BUDGET_BYTES, `${queuedBytes} bytes queued and in flight`);
    rule(deadlineMs > nowMs, `a deadline of ${deadlineMs} at ${nowMs}: the shell would spin`);
  }
}

/** Fails the run when `holds` is false. */
export function rule(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(`broken: ${message}`);
}
