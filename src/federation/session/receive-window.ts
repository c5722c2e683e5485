import { ProtocolError_Code } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { invariant } from "../../base/assert.ts";
import { WINDOW_FRAMES } from "./limits.ts";
import { type Violation, violation } from "./violation.ts";

/** Checks the numbers of incoming frames and tracks which effects are durable, in any order. */
export class ReceiveWindow {
  #received = 0;
  #durable = 0;
  /** Durable out of order; undefined while none is, which is nearly always. */
  #ahead: Set<number> | undefined = undefined;

  /** Highest contiguous number whose effect is durable: the value of Envelope.ack. */
  get ack(): number {
    return this.#durable;
  }

  /** Highest number received. */
  get received(): number {
    return this.#received;
  }

  /** Accepts the next number. */
  receive(seq: number): Violation | undefined {
    if (seq !== this.#received + 1)
      return violation(ProtocolError_Code.SEQUENCE, `envelope seq: expected ${this.#received + 1}, found ${seq}`);
    if (seq - this.#durable > WINDOW_FRAMES)
      return violation(ProtocolError_Code.WINDOW, `at most ${WINDOW_FRAMES} unacknowledged frames`);
    this.#received = seq;
    return undefined;
  }

  /** The effect of a received frame is durable (or is made so by the writes of this step). */
  durable(seq: number): void {
    invariant(seq <= this.#received, `frame ${seq} is durable before it arrived`);
    if (seq <= this.#durable) return;
    if (seq !== this.#durable + 1) {
      this.#ahead ??= new Set();
      this.#ahead.add(seq);
      return;
    }
    this.#durable = seq;
    if (this.#ahead === undefined) return;
    while (this.#ahead.delete(this.#durable + 1)) this.#durable++;
    if (this.#ahead.size === 0) this.#ahead = undefined;
  }
}
