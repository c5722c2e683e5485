import { MAX_OPEN_REQUESTS } from "../limits.ts";
import { payloadBytes } from "../payload-size.ts";
import type { RequestPayload, ResponsePayload } from "../payload.ts";
import type { RequestFailure } from "./effects.ts";
import type { SpokePipe, SpokeStep } from "./step.ts";

/** Longest time a request may stay open, milliseconds (conductor §4.13). */
const MAX_REQUEST_MS = 10_000;

/** Questions to the hub that need an answer now. They fail closed: without a stream, and when it ends. */
export class Requests {
  readonly #open: Map<string, number> = new Map();

  /** Requests without an answer. */
  get length(): number {
    return this.#open.size;
  }

  /** Asks. */
  ask(request: RequestPayload, deadlineMs: number, pipe: SpokePipe | undefined, step: SpokeStep): void {
    const { requestId } = request.value;
    if (pipe === undefined) {
      fail(requestId, "FederationChannelDegraded", step);
      return;
    }
    const bytes = payloadBytes(request);
    const tag = { kind: "request", requestId } as const;
    if (
      this.#open.size >= MAX_OPEN_REQUESTS ||
      !pipe.queue.push("command", request, bytes, `request/${requestId}`, tag)
    ) {
      fail(requestId, "TooManyRequests", step);
      return;
    }
    this.#open.set(requestId, step.nowMs + Math.min(deadlineMs, MAX_REQUEST_MS));
  }

  /** An answer arrived; one that nobody waits for is dropped. */
  answered(response: ResponsePayload, step: SpokeStep): void {
    if (this.#open.delete(response.value.requestId)) step.out.push({ type: "Response", response });
  }

  /** The hub does not know this request. */
  unsupported(requestId: string, step: SpokeStep): void {
    if (this.#open.delete(requestId)) fail(requestId, "Unsupported", step);
  }

  /** The stream ended. */
  lost(step: SpokeStep): void {
    for (const requestId of this.#open.keys()) fail(requestId, "FederationChannelDegraded", step);
    this.#open.clear();
  }

  /** Deadlines pass. */
  tick(step: SpokeStep): void {
    for (const [requestId, deadlineMs] of this.#open) {
      if (step.nowMs < deadlineMs) continue;
      this.#open.delete(requestId);
      fail(requestId, "DeadlineExceeded", step);
    }
  }

  get deadlineMs(): number {
    let deadline = Infinity;
    for (const deadlineMs of this.#open.values()) deadline = Math.min(deadline, deadlineMs);
    return deadline;
  }
}

function fail(requestId: string, reason: RequestFailure, step: SpokeStep): void {
  step.out.push({ type: "RequestFailed", requestId, reason });
}
