import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { GOODBYE_LINGER_MS, HELLO_DEADLINE_MS } from "../limits.ts";
import { type GoodbyeParts, clip, goodbye, protocolError } from "../message.ts";
import { Pipe } from "../pipe.ts";
import type { StreamEnd } from "../stream-end.ts";
import type { Violation } from "../violation.ts";
import { type HubParty, firstFrameFault } from "./hello-check.ts";
import type { HubPipe, HubStep, HubTag } from "./step.ts";

/**
 * A stream that wants a session which another stream carries. It takes over with a good Hello; with anything else it is turned away, and
 * the stream that carries the session hears nothing of it.
 */
export class Applicant {
  readonly pipe: HubPipe;

  constructor(generation: number, nowMs: number) {
    this.pipe = new Pipe<HubTag>(generation, nowMs);
  }

  get generation(): number {
    return this.pipe.generation;
  }

  /** Until then it must have said Hello, monotonic milliseconds. */
  get deadlineMs(): number {
    return this.pipe.openedMs + HELLO_DEADLINE_MS;
  }

  /** True when its first frame may be taken for the session's. A bad one has been answered. */
  admits(party: HubParty, envelope: Envelope, step: HubStep): boolean {
    const { payload } = envelope;
    if (payload.case === "goodbye" || payload.case === "protocolError") {
      this.#destroy("PeerGoodbye", payload.value.message, 0, step);
      return false;
    }
    const fault = firstFrameFault(party, envelope);
    if (fault === undefined) return true;
    if (fault.kind === "violation") this.violated(fault.violation, Number(envelope.seq), step);
    else this.sendAway(fault.goodbye, fault.end, step);
    return false;
  }

  violated(wrong: Violation, seq: number, step: HubStep): void {
    this.pipe.sendUnnumbered(step.out, "acknowledgement", protocolError(wrong.code, wrong.message, seq));
    this.#destroy("ProtocolError", wrong.message, GOODBYE_LINGER_MS, step);
  }

  sendAway(parts: GoodbyeParts, end: StreamEnd, step: HubStep): void {
    this.pipe.sendUnnumbered(step.out, "acknowledgement", goodbye(parts));
    this.#destroy(end, parts.message, GOODBYE_LINGER_MS, step);
  }

  timedOut(step: HubStep): void {
    this.#destroy("HelloTimeout", `no hello within ${HELLO_DEADLINE_MS} ms`, 0, step);
  }

  #destroy(code: StreamEnd, detail: string, lingerMs: number, step: HubStep): void {
    step.out.push({ type: "Destroy", generation: this.generation, code, detail: clip(detail), lingerMs });
  }
}
