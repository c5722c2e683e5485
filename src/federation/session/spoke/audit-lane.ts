import type {
  AuditEvent,
  AuditEventAck,
  AuditEventBatch,
} from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { ProtocolError_Code, type Welcome } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { closedBy } from "../../audit/audit-chain.ts";
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
  /** What the hub's hash is compared with is being read; nothing is sent or acknowledged before the answer. */
  #comparing: AuditResume | undefined = undefined;
  /** The log was moved and not read since: how far it goes is what reading finds, whatever is told of it meanwhile. */
  #moved = false;

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
    // What was appended while the log was being moved is told with its number of before, or of after.
    if (this.#moved) return;
    if (last > this.#cursor.last) this.#cursor = { ...this.#cursor, last, backlogBytes };
  }

  /** A session is live: go on after what the hub has. */
  opened(welcome: Welcome, step: SpokeStep): void {
    this.lost();
    const through = welcome.auditResumeSequence;
    const highest = maximum(welcome.auditHighestSequence, through);
    const hash = welcome.auditHighestHash;
    const { epoch, ackedThrough, last } = this.#cursor;
    if (hash.length === 0 || highest <= ackedThrough || highest > last) {
      this.#resume({ through, highest, hash }, highest > last, step);
      return;
    }
    // The number was given here too: only the chain tells whether to the same event (a log that lost its end and grew again).
    this.#comparing = { through, highest, hash };
    this.#load(epoch, highest, 1, step);
  }

  /** Where the log goes on once it is known whether the hub has others under the numbers that are held here. */
  #resume({ through: resume, highest }: AuditResume, hasOthers: boolean, step: SpokeStep): void {
    if (hasOthers) this.#moveBehind(highest, step);
    const { epoch } = this.#cursor;
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
    this.#comparing = undefined;
  }

  /** A batch was read. */
  take(token: number, batch: AuditEventBatch | undefined, bytes: number, step: SpokeStep): void {
    if (token !== this.#loading) return;
    this.#loading = 0;
    const comparing = this.#comparing;
    if (comparing !== undefined) {
      this.#comparing = undefined;
      this.#resume(comparing, isOther(comparing, batch?.events[0]), step);
      return;
    }
    const end = batch?.events.at(-1)?.sequence ?? 0n;
    if (end > this.#cursor.last) this.#cursor = { ...this.#cursor, last: end };
    else if (end === 0n) this.#moved = false;
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
    if (this.#loading !== 0 || (this.#next > this.#cursor.last && !this.#moved)) return;
    this.#load(this.#cursor.epoch, this.#next, AUDIT_BATCH_EVENTS, step);
  }

  #load(epoch: bigint, from: bigint, maxEvents: number, step: SpokeStep): void {
    const token = this.#tokens.next();
    this.#loading = token;
    step.out.push({ type: "LoadAudit", token, epoch, from, maxEvents, maxBytes: AUDIT_BATCH_BYTES });
  }

  /**
   * The hub has numbers that this log never gave, or gave to other events: an old backup was restored, or its end was torn off. Events that wait under such numbers are others than
   * those the hub has, so they move behind them; one that was sent before the backup was restored comes twice, with one event id.
   */
  #moveBehind(highest: bigint, step: SpokeStep): void {
    const { epoch, ackedThrough, firstHeld, last, backlogBytes } = this.#cursor;
    const by = highest - ackedThrough;
    step.persist.push({ type: "MoveAudit", epoch, by });
    this.#cursor = { epoch, ackedThrough, firstHeld: firstHeld + by, last: last + by, backlogBytes };
    this.#moved = true;
    step.out.push({ type: "AuditMoved", behind: highest, by });
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

/** Where the sink stands, by the hub's word. */
interface AuditResume {
  readonly through: bigint;
  readonly highest: bigint;
  /** Of the event stored under `highest`. */
  readonly hash: Uint8Array;
}

/**
 * True when the event held under the sink's highest number is certainly another one. When that event is not held any more, the link of
 * the one behind it tells; a record of dropped events has the number of the first of them and tells nothing.
 */
function isOther({ highest, hash }: AuditResume, found: AuditEvent | undefined): boolean {
  if (found === undefined) return false;
  if (found.sequence === highest) return !isSame(found.hash, hash) && closedBy(found.event)?.from !== highest;
  return found.sequence === highest + 1n && found.prevHash.length > 0 && !isSame(found.prevHash, hash);
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
