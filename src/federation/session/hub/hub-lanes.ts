import { RevocationAck_Outcome } from "../../../api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import {
  type IndexReport,
  IndexReport_Outcome,
  type ItemReport,
  type ItemReports,
  Nack_Class,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { type Hello, ProtocolError_Code } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Random } from "../../../base/random.ts";
import { LaneQueue } from "../lane-queue.ts";
import { FLOORS_VERSION, MAX_REFUSED_KEYS, REPORTS_PER_FRAME, REPORTS_VERSION } from "../limits.ts";
import { clip, frameNack, nack } from "../message.ts";
import type { HubMessage } from "../payload.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Soonest } from "../soonest.ts";
import { Tokens } from "../tokens.ts";
import { type Violation, violation } from "../violation.ts";
import { AuditIntake } from "./audit-intake.ts";
import { BlobServing } from "./blob-serving.ts";
import type { HubCounters } from "./counters.ts";
import type { LoadedSession } from "./events.ts";
import { FactIntake } from "./fact-intake.ts";
import type { HeldIndex } from "./agent-claims.ts";
import { IndexOffers, type OfferSizes } from "./index-offers.ts";
import { OperatorRetries } from "./operator-retries.ts";
import { RevocationLane } from "./revocation-lane.ts";
import type { HubPipe, HubStep } from "./step.ts";

/** What travels in a session, lane by lane: it outlives every stream. */
export class HubLanes {
  readonly offers: IndexOffers;
  readonly audit: AuditIntake;
  readonly revocations: RevocationLane = new RevocationLane();
  readonly facts: FactIntake;
  readonly blobs: BlobServing;
  readonly retries: OperatorRetries = new OperatorRetries();
  readonly #counters: HubCounters;
  /** Keys of the news that the queue refused: what is handed in anew when it has room. */
  #refused: Set<string> | undefined = undefined;
  #version = 0;

  constructor(random: Random, counters: HubCounters, sizes: OfferSizes) {
    const tokens = new Tokens();
    this.#counters = counters;
    this.offers = new IndexOffers(random, counters, sizes);
    this.blobs = new BlobServing(tokens, counters);
    this.facts = new FactIntake(random, tokens, counters);
    this.audit = new AuditIntake(random, tokens, counters);
  }

  /** Protocol version of the stream. */
  get version(): number {
    return this.#version;
  }

  /** True while messages that the queue refused wait to be handed in anew. */
  get needsResync(): boolean {
    return this.#refused !== undefined;
  }

  /** A stream goes live. */
  opened(
    held: HeldIndex | undefined,
    hello: Hello,
    version: number,
    loaded: LoadedSession,
    pipe: HubPipe,
    step: HubStep,
  ): void {
    this.offers.opened(held, hello.agentVersion, loaded.itemLevels);
    this.audit.opened(hello.audit?.epoch ?? 0n, loaded.audit.contiguousThrough);
    this.revocations.opened(hello.lastRevocationSerial);
    for (const serial of this.revocations.upTo(hello.lastRevocationSerial))
      this.facts.inForce(serial, "in force at hello", pipe.generation, step);
    this.#version = version;
    this.retries.opened(loaded.itemLevels, step);
  }

  /** Everything that another room derives from state is handed in anew. */
  resync(step: HubStep): void {
    step.out.push({ type: "Resync", keys: undefined });
    this.#refused = undefined;
  }

  /** A frame of one of the lanes. */
  receive(
    pipe: HubPipe,
    payload: Envelope["payload"],
    seq: number,
    bytes: number,
    step: HubStep,
  ): Violation | undefined {
    switch (payload.case) {
      case "frameNack":
        pipe.durable(seq, step.nowMs);
        this.#counters.unknownPayloads++;
        this.offers.unsupported(step);
        return undefined;
      case "rangeDigestReply":
        pipe.durable(seq, step.nowMs, bytes);
        return this.offers.digests(payload.value, step);
      case "indexReport":
        pipe.durable(seq, step.nowMs, 0, true);
        return this.#indexReport(payload.value, pipe, step);
      case "blobFetch":
        pipe.durable(seq, step.nowMs);
        return this.blobs.fetch(payload.value, pipe, step);
      case "itemReport":
        this.#itemReports([payload.value], seq, pipe, step);
        return undefined;
      case "itemReports":
        return this.#reports(payload.value, seq, pipe, step);
      case "packReceiptReport":
      case "snapshotReceiptReport":
      case "driftReport":
      case "capabilityDeclaration":
        this.facts.state(payload, seq, pipe.generation, step);
        return undefined;
      case "auditEventBatch":
        return this.audit.batch(payload.value, seq, pipe.generation, step);
      case "revocationAck": {
        const { serial, outcome, detail, effectiveUnixMs } = payload.value;
        const applied = outcome === RevocationAck_Outcome.APPLIED || outcome === RevocationAck_Outcome.NOT_FOUND;
        if (!applied) this.revocations.failed(serial, step);
        this.facts.revocation(
          { kind: "revocation", serial, applied, detail: clip(detail), effectiveUnixMs: Number(effectiveUnixMs) },
          seq,
          pipe.generation,
          step,
        );
        return undefined;
      }
      case "runnerConfigValidationRequest":
      case "certificateRenewalRequest":
        pipe.durable(seq, step.nowMs, bytes);
        step.out.push({ type: "HandleRequest", generation: pipe.generation, request: payload });
        return undefined;
      case undefined:
        this.#unknown(seq, pipe);
        return undefined;
      default:
        return violation(ProtocolError_Code.UNEXPECTED, `${payload.case} is sent by the hub only`);
    }
  }

  /** An answer, or news for the agent. Without a live stream it is dropped: asked again, or handed in anew with Resync. */
  respond(payload: HubMessage, key: string, pipe: HubPipe | undefined): void {
    if (pipe === undefined) return;
    if (pipe.queue.push("command", payload, payloadBytes(payload), key)) {
      this.#refused?.delete(key);
      if (this.#refused?.size === 0) this.#refused = undefined;
      return;
    }
    this.#counters.messagesRefused++;
    if (payload.case !== "driftUpdate") return;
    this.#refused ??= new Set();
    if (this.#refused.size < MAX_REFUSED_KEYS) this.#refused.add(key);
  }

  /** Stores that failed are tried again. */
  tick(step: HubStep): void {
    this.facts.tick(step);
    this.audit.tick(step);
  }

  /** What the agent left unanswered is sent again. */
  sweep(nowMs: number): void {
    this.offers.sweep(nowMs);
    this.revocations.tick(nowMs);
  }

  /** Fills the stream in the order of the lanes, behind revocations and heartbeat. */
  pump(pipe: HubPipe, step: HubStep): void {
    this.retries.pump(pipe, this.offers, step);
    for (const lane of LaneQueue.order) {
      if (lane === "update") this.offers.pump(pipe, step);
      if (!pipe.flush(step.out, lane, step.nowMs)) return;
    }
    this.blobs.pump(pipe, step);
    // Nothing waits in the queue any more, so there is room for what it refused.
    if (this.needsResync) this.#handInRefused(step);
  }

  /** The stream ended. */
  closed(step: HubStep): void {
    this.offers.closed(step);
    this.blobs.closed(step);
    this.facts.closed();
    this.audit.closed();
  }

  /** When to look again. */
  deadlines(live: boolean, soonest: Soonest): void {
    soonest.see(this.facts.deadlineMs);
    soonest.see(this.audit.deadlineMs);
    if (!live) return;
    soonest.see(this.offers.deadlineMs);
    soonest.see(this.revocations.deadlineMs);
  }

  /** Only what was refused: handing in everything would fill the queue with the same news again and again. */
  #handInRefused(step: HubStep): void {
    step.out.push({ type: "Resync", keys: this.#refused ?? new Set() });
    this.#refused = undefined;
  }

  /** A revocation whose push was lost is in force with the index that repeats its floor. */
  #floorsHeld(report: IndexReport, pipe: HubPipe, step: HubStep): undefined {
    const { accepted } = this.offers;
    if (this.#version < FLOORS_VERSION || report.outcome !== IndexReport_Outcome.ACCEPTED) return;
    if (accepted === undefined || accepted.digest !== report.digest) return;
    const { epoch, sequence, revocations } = accepted.document;
    for (const serial of this.revocations.coveredBy(revocations))
      this.facts.inForce(serial, `in force with index ${epoch}.${sequence}`, pipe.generation, step);
  }

  #indexReport(report: IndexReport, pipe: HubPipe, step: HubStep): Violation | undefined {
    return this.offers.report(report, step) ?? this.#floorsHeld(report, pipe, step);
  }

  /** Several reports in one frame: that of the index counts first. */
  #reports({ index, items }: ItemReports, seq: number, pipe: HubPipe, step: HubStep): Violation | undefined {
    if (this.#version < REPORTS_VERSION)
      return violation(
        ProtocolError_Code.UNEXPECTED,
        `itemReports is sent from protocol version ${REPORTS_VERSION} on, this stream speaks ${this.#version}`,
      );
    if (items.length === 0 || items.length > REPORTS_PER_FRAME)
      return violation(
        ProtocolError_Code.INVALID,
        `item reports items: 1 to ${REPORTS_PER_FRAME}, found ${items.length}`,
      );
    const wrong = index === undefined ? undefined : this.#indexReport(index, pipe, step);
    if (wrong === undefined) this.#itemReports(items, seq, pipe, step);
    return wrong;
  }

  #itemReports(reports: readonly ItemReport[], seq: number, pipe: HubPipe, step: HubStep): void {
    const known = this.facts.items(reports, seq, pipe, step);
    for (const report of known) {
      if (report.nack !== undefined) this.#counters.nacks++;
      this.offers.observe(report);
      this.retries.observe(report, step);
    }
  }

  #unknown(seq: number, pipe: HubPipe): void {
    this.#counters.unknownPayloads++;
    if (seq === 0) return;
    const refusal = nack(Nack_Class.UNSUPPORTED, false, "UNKNOWN_PAYLOAD", "payload unknown to this hub");
    const payload = frameNack(seq, refusal);
    pipe.queue.push("acknowledgement", payload, payloadBytes(payload), "", undefined, seq);
  }
}
