import { create } from "@bufbuild/protobuf";
import {
  type BlobChunk,
  type BlobUnavailable,
  type IndexOffer,
  type IndexReport,
  IndexReportSchema,
  IndexReport_Outcome,
  Nack_Class,
  RangeDigestReplySchema,
  type RangeDigestRequest,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  type IndexPosition,
  IndexPositionSchema,
  ProtocolError_Code,
} from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Digest } from "../../../base/digest.ts";
import { planIndex } from "../../index/plan-index.ts";
import { MAX_PATH_BYTES } from "../../index/range-digest.ts";
import { INDEX_REPORT_DELAY_MS, INLINE_BLOB_BYTES, INLINE_TOTAL_BYTES, MAX_COMPARED_PATHS } from "../limits.ts";
import { nack } from "../message.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import { type Violation, violation } from "../violation.ts";
import type { BlobFetching, BodyOutcome } from "./blob-fetching.ts";
import type { SpokeCounters } from "./counters.ts";
import type { FloorEnforcement } from "./floor-enforcement.ts";
import type { IndexHolding, OfferOutcome } from "./index-holding.ts";
import type { WaitingIndexReport } from "./item-reports.ts";
import type { ItemWork } from "./item-work.ts";
import type { SpokePipe, SpokeStep } from "./step.ts";

/** Parts of a {@link Delivery}. */
export interface DeliveryParts {
  readonly holding: IndexHolding;
  readonly floors: FloorEnforcement;
  readonly bodies: BlobFetching;
  readonly items: ItemWork;
  readonly counters: SpokeCounters;
}

/** Why items wait, for `explain`. */
const FLOORS_PENDING = "the revocation floors of the index are not in force yet";
const INDEX_EXPIRED = "the index in force ran out; a newer one is awaited";

/** An index report that waits for the reports of the items that came with the index. */
interface Waiting {
  readonly report: IndexReport;
  readonly untilMs: number;
}

/** Desired state on its way in: offers are judged, floors enforced, bodies collected, items set to work, and the outcome reported. */
export class Delivery implements WaitingIndexReport {
  readonly #holding: IndexHolding;
  readonly #floors: FloorEnforcement;
  readonly #bodies: BlobFetching;
  readonly #items: ItemWork;
  readonly #counters: SpokeCounters;
  /** An accepted index whose report waits for its floors. */
  #reportDue = false;
  /** The stream takes it together with reports of items. */
  #batched = false;
  #waiting: Waiting | undefined = undefined;
  #expired = false;

  constructor({ holding, floors, bodies, items, counters }: DeliveryParts) {
    this.#holding = holding;
    this.#floors = floors;
    this.#bodies = bodies;
    this.#items = items;
    this.#counters = counters;
  }

  /** The agent starts: floors of the index that was read back come before its items. */
  start(step: SpokeStep): void {
    if (this.#holding.document !== undefined) this.#floors.adopt(this.#holding.document, step);
    this.#look(step);
    this.#items.start(step);
  }

  /** The tenant's stores answered. */
  enforced(token: number, ok: boolean, pipe: SpokePipe | undefined, step: SpokeStep): void {
    this.#floors.done(token, ok, step);
    if (!this.#floors.settled) return;
    this.#look(step);
    if (this.#reportDue && pipe !== undefined) this.#inForce(pipe, step);
    this.#reportDue = false;
  }

  /** Time passes: floors that failed are tried again, and the index may run out. */
  tick(step: SpokeStep): void {
    this.#floors.tick(step);
    this.#look(step);
  }

  /** Monotonic time of the next thing that time alone brings. */
  deadlineMs(step: SpokeStep): number {
    const freshForMs = this.#holding.freshForMs(step.nowMs, step.wallMs);
    const expiresMs = freshForMs > 0 ? step.nowMs + freshForMs : Infinity;
    return Math.min(this.#floors.deadlineMs, expiresMs, this.#waiting?.untilMs ?? Infinity);
  }

  /** A session is live. `batched`: one frame may bring an index report and those of items. */
  opened(batched: boolean): void {
    this.#batched = batched;
  }

  /** That the index in force is accepted, while it waits for the reports of its items. */
  get waitingReport(): IndexReport | undefined {
    return this.#waiting?.report;
  }

  /** It left with reports of items. */
  tookReport(): void {
    this.#waiting = undefined;
  }

  /** An index report waits no longer than something is about to be said of an item. Returns true when it goes alone. */
  letGo(pipe: SpokePipe, step: SpokeStep): boolean {
    const waiting = this.#waiting;
    if (waiting === undefined) return false;
    const { running, reports } = this.#items;
    if (step.nowMs < waiting.untilMs && (running > 0 || reports.rests)) return false;
    this.#waiting = undefined;
    enqueue(waiting.report, pipe);
    return true;
  }

  /** Where the agent stands; undefined when it holds no index. */
  get position(): IndexPosition | undefined {
    const document = this.#holding.document;
    if (document === undefined) return undefined;
    return create(IndexPositionSchema, {
      epoch: BigInt(document.epoch),
      sequence: BigInt(document.sequence),
      digest: this.#holding.digest,
    });
  }

  /** An offer arrived. An accepted index, its items and the bodies beside it are one transaction. */
  offer(offer: IndexOffer, pipe: SpokePipe, step: SpokeStep): Violation | undefined {
    let inlineBytes = 0;
    for (const blob of offer.blobs) {
      inlineBytes += blob.data.length;
      if (blob.data.length > INLINE_BLOB_BYTES || inlineBytes > INLINE_TOTAL_BYTES)
        return violation(
          ProtocolError_Code.TOO_LARGE,
          `index offer blobs: at most ${INLINE_BLOB_BYTES} bytes each and ${INLINE_TOTAL_BYTES} together`,
        );
    }
    // The hub offers again before it heard of the last one: it has another answer to wait for.
    if (this.#waiting !== undefined) enqueue(this.#waiting.report, pipe);
    this.#waiting = undefined;
    const outcome = this.#holding.offer(offer, step.wallMs);
    const wrong = this.#judged(outcome, pipe, step);
    if (wrong !== undefined || outcome.kind !== "accepted") return wrong;
    for (const { digest, data } of offer.blobs) {
      const arrived = this.#bodies.inline(digest, data, step);
      if (arrived !== undefined) this.#items.bodyArrived(arrived, step);
    }
    return undefined;
  }

  /** A chunk arrived: of an index by reference, or of a body. */
  chunk(chunk: BlobChunk, pipe: SpokePipe, step: SpokeStep): Violation | undefined {
    if (this.#holding.expects(chunk.digest)) {
      const outcome = this.#holding.chunk(chunk, step.wallMs);
      return outcome === undefined ? undefined : this.#judged(outcome, pipe, step);
    }
    this.#settle(this.#bodies.chunk(chunk, step), step);
    return undefined;
  }

  /** The whole of a body was hashed. */
  checked(digest: Digest, ok: boolean, step: SpokeStep): void {
    this.#settle(this.#bodies.checked(digest, ok, step), step);
  }

  /** The hub cannot deliver a body, or the index it offered by reference. */
  unavailable(message: BlobUnavailable, pipe: SpokePipe, step: SpokeStep): void {
    if (!this.#holding.expects(message.digest)) {
      this.#settle(this.#bodies.unavailable(message, step), step);
      return;
    }
    this.#holding.interrupted(message.digest);
    const detail = "the body of the offered index could not be fetched";
    const value = create(IndexReportSchema, {
      digest: message.digest,
      outcome: IndexReport_Outcome.REFUSED,
      nack: nack(Nack_Class.BUSY, true, "BODY_UNAVAILABLE", detail),
    });
    enqueue(value, pipe);
  }

  /** The hub asks what is held, range by range. */
  digests({ paths }: RangeDigestRequest, pipe: SpokePipe): Violation | undefined {
    if (paths.length > MAX_COMPARED_PATHS || paths.some((path) => path.length >= MAX_PATH_BYTES))
      return violation(
        ProtocolError_Code.INVALID,
        `range digest request paths: at most ${MAX_COMPARED_PATHS} of at most ${MAX_PATH_BYTES - 1} byte`,
      );
    const document = this.#holding.document;
    const value = create(RangeDigestReplySchema, { indexDigest: this.#holding.digest });
    if (document !== undefined) {
      const ranges = this.#holding.ranges(document);
      for (const path of paths) value.digests.push(ranges.digests(path));
    }
    const payload: Payload = { case: "rangeDigestReply", value };
    pipe.queue.push("command", payload, payloadBytes(payload));
    return undefined;
  }

  /** Asks for what is wanted while there is room. */
  pump(pipe: SpokePipe, step: SpokeStep): void {
    const wanted = this.#holding.wanted;
    if (wanted !== undefined) {
      const payload = this.#bodies.request(wanted.digest, wanted.offset);
      const bytes = payloadBytes(payload);
      if (!pipe.sending.hasRoom("command", bytes)) return;
      this.#holding.requested();
      pipe.send(step.out, "command", { kind: "message", payload }, bytes, step.nowMs);
    }
    this.#bodies.pump(pipe, step);
  }

  /** The stream ended. */
  lost(): void {
    this.#reportDue = false;
    this.#waiting = undefined;
    this.#holding.interrupted("");
    this.#bodies.lost();
  }

  #settle(outcome: BodyOutcome, step: SpokeStep): void {
    if (outcome.kind === "arrived") this.#items.bodyArrived(outcome.digest, step);
    if (outcome.kind === "refused") this.#items.bodyRefused(outcome.digest, outcome.nack, step);
  }

  #judged(outcome: OfferOutcome, pipe: SpokePipe, step: SpokeStep): Violation | undefined {
    switch (outcome.kind) {
      case "violation":
        return outcome.violation;
      case "fetching":
        return undefined;
      case "needFull":
        this.#counters.needFull++;
        this.#report(IndexReport_Outcome.NEED_FULL, pipe);
        return undefined;
      case "unchanged":
        this.#accepted(pipe, step);
        return undefined;
      case "refused": {
        const { epoch, sequence, digest, code, detail, retryable } = outcome;
        this.#counters.indexRefused++;
        const refusal = nack(Nack_Class.UNTRUSTED, retryable, code, detail);
        const parts = { epoch, sequence, digest, outcome: IndexReport_Outcome.REFUSED, nack: refusal };
        enqueue(create(IndexReportSchema, parts), pipe);
        step.out.push({ type: "IndexJudged", accepted: false, sequence: Number(sequence), code });
        return undefined;
      }
      case "accepted": {
        const { before, document, index } = outcome;
        this.#counters.indexAccepted++;
        step.persist.push({ type: "PutIndex", index });
        this.#floors.adopt(document, step);
        this.#look(step);
        this.#items.adopt(planIndex(before, document), document.epoch, step);
        this.#accepted(pipe, step);
        step.out.push({ type: "IndexJudged", accepted: true, sequence: document.sequence, code: "" });
        return undefined;
      }
    }
  }

  /** ACCEPTED says that the floors of the index are in force too. */
  #accepted(pipe: SpokePipe, step: SpokeStep): void {
    this.#reportDue = !this.#floors.settled;
    if (!this.#reportDue) this.#inForce(pipe, step);
  }

  #inForce(pipe: SpokePipe, step: SpokeStep): void {
    if (!this.#batched) this.#report(IndexReport_Outcome.ACCEPTED, pipe);
    else
      this.#waiting = {
        report: this.#outcome(IndexReport_Outcome.ACCEPTED),
        untilMs: step.nowMs + INDEX_REPORT_DELAY_MS,
      };
  }

  /** Holds items back while floors are not in force or the index has run out. */
  #look(step: SpokeStep): void {
    const expired = this.#holding.freshForMs(step.nowMs, step.wallMs) <= 0;
    if (expired !== this.#expired) {
      this.#expired = expired;
      step.out.push({ type: "IndexFreshness", expired, expiresAt: this.#holding.document?.expiresAt ?? "" });
    }
    this.#items.hold(this.#floors.settled ? (expired ? INDEX_EXPIRED : "") : FLOORS_PENDING, step);
  }

  #report(outcome: IndexReport_Outcome, pipe: SpokePipe): void {
    enqueue(this.#outcome(outcome), pipe);
  }

  /** The report of an outcome together with the index in force. */
  #outcome(outcome: IndexReport_Outcome): IndexReport {
    const { epoch, sequence, digest } = this.position ?? { epoch: 0n, sequence: 0n, digest: "" };
    return create(IndexReportSchema, { epoch, sequence, digest, outcome });
  }
}

function enqueue(value: IndexReport, pipe: SpokePipe): void {
  const payload: Payload = { case: "indexReport", value };
  pipe.queue.push("acknowledgement", payload, payloadBytes(payload));
}
