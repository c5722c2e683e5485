import type { AuditEventAck, AuditEventBatch } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { ProtocolError_Code, type Welcome } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { AUDIT_BATCH_BYTES, AUDIT_BATCH_EVENTS, AUDIT_IN_FLIGHT } from "../limits.ts";
import type { Tokens } from "../tokens.ts";
import { type Violation, violation } from "../violation.ts";
import type { SpokeCounters } from "./counters.ts";
import type { AuditCursor } from "./record.ts";
import type { SpokePipe, SpokeStep } from "./step.ts";

/**
 * Audit lane: a cursor over the agent's log, driven by the send window. Numbers are gapless; what is gone for good is
 * said by a gap record, never passed over in silence.
 */
export class AuditLane {
  readonly #tokens: Tokens;
  readonly #counters: SpokeCounters;
  #cursor: AuditCursor;
  /** Next number to read. */
  #next: bigint;
  #loading = 0;
  #loaded: { readonly batch: AuditEventBatch; readonly bytes: number } | undefined = undefined;
  #inFlight = 0;
  /** Last gap that was recorded: the same hole is said once per process. */
  #gapTo = 0n;
  /** Numbers up to this one are of before the log was moved, by so many. */
  #movedBehind = 0n;
  #movedBy = 0n;

  constructor(tokens: Tokens, counters: SpokeCounters, cursor: AuditCursor) {
    this.#tokens = tokens;
    this.#counters = counters;
    this.#cursor = cursor;
    this.#next = maximum(cursor.ackedThrough + 1n, cursor.firstHeld);
  }

  /** Where the lane stands. */
  get cursor(): AuditCursor {
    return this.#cursor;
  }

  /** Records no hub has acknowledged. */
  get backlog(): bigint {
    return this.#cursor.last > this.#cursor.ackedThrough ? this.#cursor.last - this.#cursor.ackedThrough : 0n;
  }

  /** The log grew. */
  appended(epoch: bigint, last: bigint, backlogBytes: bigint): void {
    if (epoch !== this.#cursor.epoch) {
      this.#cursor = { epoch, ackedThrough: 0n, firstHeld: 1n, last, backlogBytes };
      this.#next = 1n;
      this.#loaded = undefined;
      this.#loading = 0;
      return;
    }
    // What was appended while the log was being moved is told with its number of before.
    const now = last <= this.#movedBehind ? last + this.#movedBy : last;
    if (now > this.#cursor.last) this.#cursor = { ...this.#cursor, last: now, backlogBytes };
  }

  /** A session is live: go on after what the hub has. */
  opened(welcome: Welcome, step: SpokeStep): void {
    this.lost();
    const { epoch } = this.#cursor;
    const resume = welcome.auditResumeSequence;
    const highest = maximum(welcome.auditHighestSequence, resume);
    if (highest > this.#cursor.last) this.#moveBehind(highest, step);
    this.#acknowledge(resume, step);
    const { firstHeld } = this.#cursor;
    const hole = minimum(firstHeld - 1n, this.#cursor.last);
    if (resume < hole && hole > this.#gapTo && resume + 1n < firstHeld) {
      step.persist.push({ type: "AppendAuditGap", epoch, from: resume + 1n, to: hole });
      this.#gapTo = hole;
      // The record takes a number of its own, and must not wait for the next event to be sent.
      this.#cursor = { ...this.#cursor, last: this.#cursor.last + 1n };
    }
    this.#next = maximum(resume + 1n, firstHeld);
  }

  /** The stream ended. */
  lost(): void {
    this.#inFlight = 0;
    this.#loading = 0;
    this.#loaded = undefined;
  }

  /** A batch was read. */
  take(token: number, batch: AuditEventBatch | undefined, bytes: number): void {
    if (token !== this.#loading) return;
    this.#loading = 0;
    if (batch === undefined || batch.events.length === 0) {
      this.#next = this.#cursor.last + 1n; // nothing held from there on: wait for the log to grow
      return;
    }
    this.#loaded = { batch, bytes };
  }

  /** A batch's frame was acknowledged. */
  settled(): void {
    this.#inFlight--;
  }

  /** The sink holds everything up to a number. */
  acknowledged(ack: AuditEventAck, step: SpokeStep): Violation | undefined {
    if (ack.epoch !== this.#cursor.epoch) return undefined; // of a log that was lost since
    if (ack.ackedThrough > this.#cursor.last)
      return violation(
        ProtocolError_Code.ACKNOWLEDGEMENT,
        `audit acked_through: at most ${this.#cursor.last}, found ${ack.ackedThrough}`,
      );
    this.#acknowledge(ack.ackedThrough, step);
    const first = ack.missing[0];
    if (first !== undefined && first.from < this.#next && first.from > this.#cursor.ackedThrough) {
      this.#next = maximum(first.from, this.#cursor.firstHeld);
      this.#loading = 0;
      this.#loaded = undefined;
    }
    if (ack.rejected.length > 0)
      step.out.push({
        type: "AuditRefused",
        rejected: ack.rejected.map(({ sequence, code }) => ({ sequence, code })),
      });
    return undefined;
  }

  /** Sends what was read and reads on. */
  pump(pipe: SpokePipe, step: SpokeStep): void {
    const loaded = this.#loaded;
    if (loaded !== undefined) {
      if (this.#inFlight >= AUDIT_IN_FLIGHT || pipe.blocked || !pipe.sending.hasRoom("bulk", loaded.bytes)) return;
      this.#loaded = undefined;
      this.#inFlight++;
      this.#counters.auditBatchesSent++;
      const last = loaded.batch.events.at(-1);
      if (last !== undefined) this.#next = last.sequence + 1n;
      const payload = { case: "auditEventBatch", value: loaded.batch } as const;
      pipe.send(step.out, "bulk", { kind: "message", payload }, loaded.bytes, step.nowMs, { kind: "audit" });
    }
    if (this.#loading !== 0 || this.#next > this.#cursor.last) return;
    this.#loading = this.#tokens.next();
    step.out.push({
      type: "LoadAudit",
      token: this.#loading,
      epoch: this.#cursor.epoch,
      from: this.#next,
      maxEvents: AUDIT_BATCH_EVENTS,
      maxBytes: AUDIT_BATCH_BYTES,
    });
  }

  /**
   * The hub has numbers that this log never gave: an old backup was restored. Events that wait under such numbers are others than
   * those the hub has, so they move behind them; one that was sent before the backup was restored comes twice, with one event id.
   */
  #moveBehind(highest: bigint, step: SpokeStep): void {
    const { epoch, ackedThrough, firstHeld, last, backlogBytes } = this.#cursor;
    const by = highest - ackedThrough;
    step.persist.push({ type: "MoveAudit", epoch, by });
    this.#cursor = { epoch, ackedThrough, firstHeld: firstHeld + by, last: last + by, backlogBytes };
    this.#movedBehind = highest;
    this.#movedBy = by;
  }

  #acknowledge(through: bigint, step: SpokeStep): void {
    if (through <= this.#cursor.ackedThrough) return;
    const { epoch } = this.#cursor;
    step.persist.push({ type: "AcknowledgeAudit", epoch, through });
    this.#cursor = {
      ...this.#cursor,
      ackedThrough: through,
      firstHeld: maximum(this.#cursor.firstHeld, through + 1n),
      backlogBytes: through === this.#cursor.last ? 0n : this.#cursor.backlogBytes,
    };
  }
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
