import { create } from "@bufbuild/protobuf";
import {
  RevocationAckSchema,
  RevocationAck_Outcome,
  type RevocationPush,
} from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { clip } from "../message.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import type { SpokePipe, SpokeStep } from "./step.ts";

interface Waiting {
  readonly push: RevocationPush;
  readonly seq: number;
  readonly generation: number;
}

/**
 * Puts revocations in force one after the other, in the order of their serials, and acknowledges after local caches dropped the item
 * (lessons §8.3). The durable serial never passes over a failure, so what failed is pushed again at the next hello.
 */
export class RevocationLane {
  #serial: bigint;
  readonly #waiting: Waiting[] = [];
  #running = false;
  /** Serials that failed in this process and were not put in force since. Bounded by what the hub may have pending. */
  readonly #failed: Set<bigint> = new Set();
  /** Highest serial put in force. */
  #highest: bigint;

  constructor(serial: bigint) {
    this.#serial = serial;
    this.#highest = serial;
  }

  /** Highest serial whose effect, and that of all before, is durable. */
  get serial(): bigint {
    return this.#serial;
  }

  /** A push arrived. Its frame is acknowledged when it is in force. */
  push(push: RevocationPush, seq: number, pipe: SpokePipe, step: SpokeStep): void {
    this.#waiting.push({ push, seq, generation: pipe.generation });
    this.#next(pipe, step);
  }

  /** The tenant's caches answered. */
  done(serial: bigint, applied: boolean, detail: string, pipe: SpokePipe | undefined, step: SpokeStep): void {
    const first = this.#waiting[0];
    if (!this.#running || first === undefined || first.push.serial !== serial) return;
    this.#running = false;
    this.#waiting.shift();
    if (applied) this.#inForce(serial, step);
    else this.#failed.add(serial);
    this.#answer(first, applied, detail, pipe, step);
    this.#next(pipe, step);
  }

  /** The stream ended: what has not started is pushed again. */
  lost(): void {
    this.#waiting.length = this.#running ? 1 : 0;
  }

  #inForce(serial: bigint, step: SpokeStep): void {
    this.#failed.delete(serial);
    if (serial > this.#highest) this.#highest = serial;
    let through = this.#highest;
    for (const failed of this.#failed) if (failed <= through) through = failed - 1n;
    if (through <= this.#serial) return;
    this.#serial = through;
    step.persist.push({ type: "PutRevocationSerial", serial: through });
  }

  #next(pipe: SpokePipe | undefined, step: SpokeStep): void {
    while (!this.#running) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      if (next.push.serial > this.#serial) {
        this.#running = true;
        step.out.push({ type: "Revoke", push: next.push });
        return;
      }
      this.#waiting.shift();
      this.#answer(next, true, "", pipe, step);
    }
  }

  #answer(done: Waiting, applied: boolean, detail: string, pipe: SpokePipe | undefined, step: SpokeStep): void {
    if (pipe === undefined || pipe.generation !== done.generation) return;
    const value = create(RevocationAckSchema, {
      revocationId: done.push.revocationId,
      serial: done.push.serial,
      outcome: applied ? RevocationAck_Outcome.APPLIED : RevocationAck_Outcome.FAILED,
      detail: clip(detail),
      effectiveUnixMs: BigInt(Math.trunc(step.wallMs)),
    });
    const payload: Payload = { case: "revocationAck", value };
    pipe.queue.push("revocation", payload, payloadBytes(payload));
    pipe.durable(done.seq, step.nowMs);
  }
}
