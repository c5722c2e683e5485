import { Nack_Class } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { FactRejection } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { Envelope } from "../../../api/gen/conductor/federation/v1alpha1/federation_pb.ts";
import { ProtocolError_Code, type Welcome } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { LaneQueue } from "../lane-queue.ts";
import { REPORTS_VERSION } from "../limits.ts";
import { frameNack, nack } from "../message.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Soonest } from "../soonest.ts";
import { Tokens } from "../tokens.ts";
import { type Violation, violation } from "../violation.ts";
import { AuditLane } from "./audit-lane.ts";
import { BlobFetching } from "./blob-fetching.ts";
import type { SpokeCounters } from "./counters.ts";
import { Delivery } from "./delivery.ts";
import { FactLane } from "./fact-lane.ts";
import { FloorEnforcement } from "./floor-enforcement.ts";
import { IndexHolding } from "./index-holding.ts";
import { ItemWork } from "./item-work.ts";
import { Requests } from "./requests.ts";
import { RevocationLane } from "./revocation-lane.ts";
import type { SpokeSessionOptions } from "./session-options.ts";
import type { SpokePipe, SpokeStep, SpokeTag } from "./step.ts";

/** What travels in a session, lane by lane: it outlives every stream. */
export class SpokeLanes {
  readonly holding: IndexHolding;
  readonly bodies: BlobFetching;
  readonly items: ItemWork;
  readonly delivery: Delivery;
  readonly facts: FactLane;
  readonly audit: AuditLane;
  readonly revocations: RevocationLane;
  readonly requests: Requests = new Requests();
  readonly #counters: SpokeCounters;
  #helloStamp = 0;

  constructor(options: SpokeSessionOptions, counters: SpokeCounters) {
    const { record, random } = options;
    const tokens = new Tokens();
    this.#counters = counters;
    this.holding = new IndexHolding(options.cluster, options.keys, record.index);
    this.bodies = new BlobFetching(random, counters, record.blobs);
    this.items = new ItemWork({
      agentVersion: options.agentVersion,
      random,
      tokens,
      counters,
      bodies: this.bodies,
      records: record.items,
      document: this.holding.document,
    });
    this.delivery = new Delivery({
      holding: this.holding,
      floors: new FloorEnforcement(random, tokens),
      bodies: this.bodies,
      items: this.items,
      counters,
    });
    this.facts = new FactLane(tokens, counters, record.facts);
    this.audit = new AuditLane(tokens, counters, record.audit);
    this.revocations = new RevocationLane(record.revocationSerial);
  }

  /** Hello leaves: it tells of everything up to now. */
  saidHello(): void {
    this.#helloStamp = this.items.stamp;
  }

  /** A session is live. */
  opened(welcome: Welcome, step: SpokeStep): void {
    const batched = welcome.protocolVersion >= REPORTS_VERSION;
    this.items.reports.opened(welcome.resendItemReports, this.#helloStamp, batched);
    this.delivery.opened(batched);
    this.facts.opened();
    if (welcome.resendFacts || welcome.resendItemReports) {
      step.persist.push({ type: "ReopenFacts" });
      step.out.push({ type: "ListFacts" });
    }
    this.audit.opened(welcome, step);
  }

  /** The hub acknowledged a frame. */
  acknowledged(tag: SpokeTag, step: SpokeStep): void {
    switch (tag.kind) {
      case "fact":
        this.facts.acknowledged(tag.key, tag.reportVersion, step);
        return;
      case "items":
        for (const { key, stamp } of tag.reports) this.items.reports.acknowledged(key, stamp);
        return;
      case "audit":
        this.audit.settled();
        return;
      case "request":
        return;
    }
  }

  /** A frame of one of the lanes. `named` is the tag of the frame that it refuses. */
  receive(
    pipe: SpokePipe,
    payload: Envelope["payload"],
    named: SpokeTag | undefined,
    seq: number,
    bytes: number,
    step: SpokeStep,
  ): Violation | undefined {
    switch (payload.case) {
      case "frameNack":
        pipe.durable(seq, step.nowMs);
        this.#counters.unknownPayloads++;
        if (named?.kind === "request") this.requests.unsupported(named.requestId, step);
        if (named?.kind === "fact")
          this.facts.refused(named.key, named.reportVersion, "UNSUPPORTED", "the hub does not know this report", step);
        return undefined;
      case "indexOffer":
        pipe.durable(seq, step.nowMs, bytes);
        return this.delivery.offer(payload.value, pipe, step);
      case "rangeDigestRequest":
        pipe.durable(seq, step.nowMs);
        return this.delivery.digests(payload.value, pipe);
      case "blobChunk":
        pipe.durable(seq, step.nowMs, bytes);
        return this.delivery.chunk(payload.value, pipe, step);
      case "blobUnavailable":
        pipe.durable(seq, step.nowMs);
        this.delivery.unavailable(payload.value, pipe, step);
        return undefined;
      case "itemRetry":
        pipe.durable(seq, step.nowMs);
        this.items.retry(payload.value, step);
        return undefined;
      case "factRejection":
        pipe.durable(seq, step.nowMs);
        this.#rejected(payload.value, named, step);
        return undefined;
      case "auditEventAck":
        pipe.durable(seq, step.nowMs);
        return this.audit.acknowledged(payload.value, step);
      case "driftUpdate":
        pipe.durable(seq, step.nowMs, bytes);
        step.out.push({ type: "DriftUpdated", update: payload.value });
        return undefined;
      case "revocationPush":
        this.revocations.push(payload.value, seq, pipe, step);
        return undefined;
      case "runnerConfigValidationResponse":
      case "certificateRenewalResponse":
        pipe.durable(seq, step.nowMs, bytes);
        this.requests.answered(payload, step);
        return undefined;
      case undefined:
        this.#unknown(seq, pipe, step);
        return undefined;
      default:
        return violation(ProtocolError_Code.UNEXPECTED, `${payload.case} is sent by agents only`);
    }
  }

  /** Retries and requests by their deadlines, with or without a stream. */
  tick(step: SpokeStep): void {
    this.items.tick(step);
    this.requests.tick(step);
  }

  /** Fills the stream in the order of the lanes, behind the heartbeat. */
  pump(pipe: SpokePipe, step: SpokeStep): void {
    this.#fill(pipe, step);
    if (this.delivery.letGo(pipe, step)) pipe.flush(step.out, "acknowledgement", step.nowMs);
  }

  /** The stream ended. */
  lost(step: SpokeStep): void {
    this.delivery.lost();
    this.facts.lost();
    this.audit.lost();
    this.revocations.lost();
    this.requests.lost(step);
  }

  /** When to look again. */
  deadlines(live: boolean, step: SpokeStep, soonest: Soonest): void {
    soonest.see(this.delivery.deadlineMs(step));
    soonest.see(this.items.deadlineMs);
    soonest.see(this.requests.deadlineMs);
    if (live) soonest.see(this.bodies.deadlineMs);
  }

  #fill(pipe: SpokePipe, step: SpokeStep): void {
    const { delivery, facts } = this;
    const { reports } = this.items;
    for (const lane of LaneQueue.order) {
      if (!pipe.flush(step.out, lane, step.nowMs)) return;
      if (lane === "command") delivery.pump(pipe, step);
      if (lane === "delete" && !reports.pump(pipe, "delete", delivery, step)) return;
      if (lane === "update" && !(reports.pump(pipe, "update", delivery, step) && facts.pump(pipe, step))) return;
    }
    this.audit.pump(pipe, step);
  }

  #rejected(rejection: FactRejection, named: SpokeTag | undefined, step: SpokeStep): void {
    if (named?.kind !== "fact") return; // an item report or an earlier stream's frame: nothing to take back
    const { reason, detail } = rejection.nack ?? { reason: "REFUSED", detail: "" };
    this.facts.refused(named.key, named.reportVersion, reason, detail, step);
  }

  #unknown(seq: number, pipe: SpokePipe, step: SpokeStep): void {
    this.#counters.unknownPayloads++;
    if (seq === 0) return;
    pipe.durable(seq, step.nowMs);
    const refusal = nack(Nack_Class.UNSUPPORTED, false, "UNKNOWN_PAYLOAD", "payload unknown to this agent");
    const payload = frameNack(seq, refusal);
    pipe.queue.push("acknowledgement", payload, payloadBytes(payload));
  }
}
