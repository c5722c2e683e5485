import { create } from "@bufbuild/protobuf";
import { type AuditEventBatch, AuditEventAckSchema } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { ProtocolError_Code } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { invariant } from "../../../base/assert.ts";
import type { Random } from "../../../base/random.ts";
import type { AuditAppendResult } from "../../hub/ports.ts";
import { AUDIT_BATCH_BYTES, AUDIT_BATCH_EVENTS, AUDIT_IN_FLIGHT, STORE_RETRY } from "../limits.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import { type Violation, violation } from "../violation.ts";
import type { HubCounters } from "./counters.ts";
import type { HubPipe, HubStep } from "./step.ts";
import type { Tokens } from "../tokens.ts";
import { retryAtMs } from "../retry.ts";

interface Waiting {
  readonly batch: AuditEventBatch;
  readonly seq: number;
  readonly generation: number;
}

/**
 * Hands audit batches to the sink, in order: what came while the sink worked goes to it as one, and is acknowledged after it said
 * "durable". A failing sink holds the acknowledgement back, which stops the agent after eight batches.
 */
export class AuditIntake {
  readonly #random: Random;
  readonly #tokens: Tokens;
  readonly #counters: HubCounters;
  readonly #waiting: Waiting[] = [];
  #epoch = 0n;
  #token = 0;
  /** How many of the waiting batches the sink has. */
  #storing = 0;
  /** Last hole that was asked for: each is asked for once (permissions §12.3). */
  #askedThrough = 0n;
  #attempts = 0;
  #retryAtMs = 0;
  /** Highest contiguous number stored, by the sink's word. */
  storedThrough = 0n;

  constructor(random: Random, tokens: Tokens, counters: HubCounters) {
    this.#random = random;
    this.#tokens = tokens;
    this.#counters = counters;
  }

  /** Batches not durable yet. */
  get length(): number {
    return this.#waiting.length;
  }

  /** A stream went live. */
  opened(epoch: bigint, storedThrough: bigint): void {
    this.#epoch = epoch;
    this.storedThrough = storedThrough;
    this.#askedThrough = 0n;
  }

  /** A batch arrived. */
  batch(batch: AuditEventBatch, seq: number, generation: number, step: HubStep): Violation | undefined {
    const wrong = this.#check(batch, generation);
    if (wrong !== undefined) return wrong;
    this.#waiting.push({ batch, seq, generation });
    this.#start(step);
    return undefined;
  }

  /** The sink answered. */
  stored(token: number, result: AuditAppendResult | undefined, pipe: HubPipe | undefined, step: HubStep): void {
    if (token !== this.#token) return;
    this.#token = 0;
    if (result === undefined) {
      this.#counters.storeFailures++;
      this.#attempts++;
      this.#retryAtMs = retryAtMs(STORE_RETRY, this.#attempts - 1, this.#random, step.nowMs);
      if (pipe === undefined) this.closed();
      return;
    }
    this.#attempts = 0;
    this.#retryAtMs = 0;
    const done = this.#waiting.splice(0, this.#storing);
    this.#storing = 0;
    const [first] = done;
    if (first === undefined) return;
    const { epoch } = first.batch;
    if (epoch === this.#epoch) this.storedThrough = result.contiguousThrough;
    const present = done.filter(({ generation }) => pipe?.generation === generation);
    if (pipe !== undefined && present.length > 0) {
      const payload = acknowledgement(epoch, result, this.#hole(first.batch, result));
      pipe.queue.push("acknowledgement", payload, payloadBytes(payload));
      for (const { seq } of present) pipe.durable(seq, step.nowMs);
    }
    this.#start(step);
  }

  /** The stream ended: batches that are not being stored come again. */
  closed(): void {
    this.#waiting.length = this.#token === 0 ? 0 : Math.min(this.#storing, this.#waiting.length);
  }

  /** Tries the sink again when its backoff ended. */
  tick(step: HubStep): void {
    this.#start(step);
  }

  get deadlineMs(): number {
    return this.#token === 0 && this.#waiting.length > 0 ? this.#retryAtMs : Infinity;
  }

  #start(step: HubStep): void {
    const next = this.#waiting[0];
    if (next === undefined || this.#token !== 0 || step.nowMs < this.#retryAtMs) return;
    this.#token = this.#tokens.next();
    // After a failure the same batches go again; more may join them.
    const together = this.#waiting.filter(({ batch }) => batch.epoch === next.batch.epoch);
    this.#storing = together.length;
    step.out.push({ type: "StoreAudit", token: this.#token, batch: joined(together) });
  }

  /** Numbers before a batch of which the sink lacks the first, unless that was asked for. */
  #hole(first: AuditEventBatch, { contiguousThrough }: AuditAppendResult): SequenceRange | undefined {
    const from = contiguousThrough + 1n;
    const to = (first.events[0]?.sequence ?? 0n) - 1n;
    if (to < from || from <= this.#askedThrough) return undefined; // whoever was asked goes on from there
    this.#askedThrough = to;
    return { from, to };
  }

  #check(batch: AuditEventBatch, generation: number): Violation | undefined {
    const { events } = batch;
    if (batch.epoch !== this.#epoch || this.#epoch === 0n)
      return violation(
        ProtocolError_Code.INVALID,
        `audit batch epoch: ${this.#epoch} as in Hello, found ${batch.epoch}`,
      );
    if (events.length === 0 || events.length > AUDIT_BATCH_EVENTS)
      return violation(
        ProtocolError_Code.INVALID,
        `audit batch: 1 to ${AUDIT_BATCH_EVENTS} events, found ${events.length}`,
      );
    // What is being stored for a former stream is not this one's.
    if (this.#waiting.filter((waiting) => waiting.generation === generation).length >= AUDIT_IN_FLIGHT)
      return violation(ProtocolError_Code.WINDOW, `at most ${AUDIT_IN_FLIGHT} audit batches in flight`);
    let bytes = 0;
    let previous = 0n;
    for (const event of events) {
      if (event.sequence <= 0n || (previous !== 0n && event.sequence !== previous + 1n))
        return violation(
          ProtocolError_Code.INVALID,
          `audit batch: consecutive numbers, found ${event.sequence} after ${previous}`,
        );
      previous = event.sequence;
      bytes += event.event.length;
    }
    if (bytes > AUDIT_BATCH_BYTES)
      return violation(ProtocolError_Code.TOO_LARGE, `audit batch: at most ${AUDIT_BATCH_BYTES} bytes, found ${bytes}`);
    return undefined;
  }
}

interface SequenceRange {
  readonly from: bigint;
  readonly to: bigint;
}

/** Batches as one; a stream's batches of one epoch follow each other. */
function joined(batches: readonly Waiting[]): AuditEventBatch {
  const [first] = batches;
  invariant(first !== undefined, "something waits");
  if (batches.length === 1) return first.batch;
  return { ...first.batch, events: batches.flatMap(({ batch }) => batch.events) };
}

function acknowledgement(epoch: bigint, result: AuditAppendResult, hole: SequenceRange | undefined): Payload {
  const rejected = result.rejected.slice(0, AUDIT_BATCH_EVENTS);
  const value = create(AuditEventAckSchema, {
    epoch,
    ackedThrough: result.contiguousThrough,
    rejected: rejected.map(({ sequence, code }) => ({ sequence, code })),
    ...(hole !== undefined && { missing: [hole] }),
  });
  return { case: "auditEventAck", value };
}
