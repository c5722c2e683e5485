import type { RevocationPush } from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { IndexRevocation } from "../../index/index-document.ts";
import { MAX_PENDING_REVOCATIONS } from "../limits.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import type { HubPipe, HubStep } from "./step.ts";

/** Time before a revocation that the agent could not put in force is pushed again, milliseconds. */
const REVOCATION_RETRY_MS = 60_000;

/**
 * Pushes revocations in the order of their serials, ahead of everything (lessons §8). The list is the outbox's; here is only how
 * far this stream has come, and where to start again after a failure.
 */
export class RevocationLane {
  #pending: readonly RevocationPush[] = [];
  /** Every pending serial up to this one was pushed on this stream, or is in force by Hello's word. */
  #pushed = 0n;
  #retryAtMs = Infinity;
  #failed = 0n;

  /** Revocations above `serial`. */
  countAbove(serial: bigint): number {
    return this.#pending.filter((push) => push.serial > serial).length;
  }

  /** Pending serials up to `serial`. */
  upTo(serial: bigint): bigint[] {
    return this.#pending.filter((push) => push.serial <= serial).map((push) => push.serial);
  }

  /** Pending serials whose floor one of `floors` repeats. */
  coveredBy(floors: readonly IndexRevocation[]): bigint[] {
    if (floors.length === 0 || this.#pending.length === 0) return [];
    const held = new Map(floors.map(({ target, name, floor }) => [`${target}/${name}`, BigInt(floor)]));
    return this.#pending
      .filter((push) => floorOf(push) > 0n && (held.get(`${push.target}/${push.resourceName}`) ?? 0n) >= floorOf(push))
      .map((push) => push.serial);
  }

  /** Serial up to which everything was pushed on this stream, or was in force when it began. */
  get sentThrough(): bigint {
    return this.#pushed;
  }

  /** Revocations without acknowledgement. */
  get length(): number {
    return this.#pending.length;
  }

  /** The outbox changed. */
  change(pending: readonly RevocationPush[]): void {
    this.#pending = pending.length <= MAX_PENDING_REVOCATIONS ? pending : pending.slice(0, MAX_PENDING_REVOCATIONS);
  }

  /** A stream went live. */
  opened(lastSerial: bigint): void {
    this.#pushed = lastSerial;
    this.#retryAtMs = Infinity;
  }

  /** The agent could not put `serial` in force: push again from there after a while. */
  failed(serial: bigint, step: HubStep): void {
    if (this.#retryAtMs !== Infinity && this.#failed <= serial) return;
    this.#failed = serial;
    this.#retryAtMs = step.nowMs + REVOCATION_RETRY_MS;
  }

  /** Starts again after a failure. */
  tick(nowMs: number): void {
    if (nowMs < this.#retryAtMs) return;
    this.#retryAtMs = Infinity;
    if (this.#failed - 1n < this.#pushed) this.#pushed = this.#failed - 1n;
  }

  get deadlineMs(): number {
    return this.#retryAtMs;
  }

  /** Pushes what is not pushed yet, while there is room. */
  pump(pipe: HubPipe, step: HubStep): void {
    for (const push of this.#pending) {
      if (push.serial <= this.#pushed) continue;
      const payload: Payload = { case: "revocationPush", value: push };
      const bytes = payloadBytes(payload);
      if (pipe.blocked || !pipe.sending.hasRoom("revocation", bytes)) return;
      pipe.send(step.out, "revocation", { kind: "message", payload }, bytes, step.nowMs);
      this.#pushed = push.serial;
    }
  }
}

function floorOf({ target, minSerial, minSequence }: RevocationPush): bigint {
  return target === "PackInstalled" ? minSerial : minSequence;
}
