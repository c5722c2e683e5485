import type {
  IndexReport,
  ItemReport,
  RangeDigestReply,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { IndexReport_Outcome } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ProtocolError_Code } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Random } from "../../../base/random.ts";
import type { DesiredIndex } from "../../hub/ports.ts";
import { forEachPair, inItemOrder } from "../../index/item-pairs.ts";
import { type InventoryEntry, inventoryDigest } from "../../index/inventory-digest.ts";
import { OFFER_RETRY, OFFER_SWEEP_MS, REFERENCE_SWEEP_MS } from "../limits.ts";
import { retryAtMs } from "../retry.ts";
import { type Violation, violation } from "../violation.ts";
import type { HubCounters } from "./counters.ts";
import { DigestCompare } from "./digest-compare.ts";
import type { HeldIndex, QuarantinedItem, RefusedIndex } from "./agent-claims.ts";
import type { OfferPlan } from "./offer.ts";
import { type PlannedOffer, planOffer, unchangedOffer } from "./offer-plan.ts";
import { QuarantinedItems } from "./quarantined-items.ts";
import type { HubPipe, HubStep } from "./step.ts";

/** Sizes, bytes, that decide the form of an offer. */
export interface OfferSizes {
  /** Largest index body or diff in one frame. */
  readonly offerBodyBytes: number;
  /** Smallest index body whose ranges are compared when the hub does not have what the agent holds. */
  readonly comparedBodyBytes: number;
}

/**
 * Decides what to offer to one agent. Derived from state only: what the agent should hold, what it says it holds, what it refused.
 * One offer is outstanding at a time; changes meanwhile coalesce into the next one (lessons §3.4).
 */
export class IndexOffers {
  desired: DesiredIndex | undefined = undefined;
  /** What the agent holds, by its own word. */
  held: HeldIndex | undefined = undefined;
  /** The same, when this process still has the document: diffs need it. */
  accepted: DesiredIndex | undefined = undefined;
  refused: RefusedIndex | undefined = undefined;
  readonly #quarantined = new QuarantinedItems();
  readonly #random: Random;
  readonly #counters: HubCounters;
  readonly #sizes: OfferSizes;
  readonly #compare: DigestCompare;
  #outstanding: { readonly plan: OfferPlan; readonly sentMs: number } | undefined = undefined;
  #offeredOnStream = false;
  #needsFull = false;
  #agentVersion = "";

  constructor(random: Random, counters: HubCounters, sizes: OfferSizes) {
    this.#random = random;
    this.#counters = counters;
    this.#sizes = sizes;
    this.#compare = new DigestCompare(counters);
  }

  /** Items that the agent refused for good, by key. */
  get quarantine(): ReadonlyMap<string, QuarantinedItem> {
    return this.#quarantined.entries;
  }

  /** It is this agent's turn to compare range digests. */
  compareAcquired(): void {
    this.#compare.acquired();
  }

  /** The agent's range digests. */
  digests(reply: RangeDigestReply, step: HubStep): Violation | undefined {
    return this.#compare.reply(reply, step);
  }

  /** The agent does not know something it was sent: only range digests are asked for without knowing that it does. */
  unsupported(step: HubStep): void {
    this.#compare.unsupported(step);
  }

  /** The stream ended. */
  closed(step: HubStep): void {
    this.#compare.closed(step);
  }

  /** A stream went live: what the agent holds is what it said in Hello. */
  opened(held: HeldIndex | undefined, agentVersion: string, levels: readonly ItemReport[]): void {
    this.#outstanding = undefined;
    this.#offeredOnStream = false;
    this.#needsFull = false;
    this.#agentVersion = agentVersion;
    this.#setHeld(held);
    this.#quarantined.clear();
    for (const report of levels) this.observe(report);
    if (this.refused !== undefined && this.refused.agentVersion !== agentVersion) this.refused = undefined;
  }

  /** The desired index changed. */
  desire(desired: DesiredIndex | undefined): void {
    this.desired = desired;
    if (desired !== undefined && desired.digest === this.held?.digest) this.accepted = desired;
    if (this.refused !== undefined && this.refused.digest !== desired?.digest) this.refused = undefined;
  }

  /** Keeps the record of quarantined digests in step with the agent's reports. */
  observe(report: ItemReport): void {
    this.#quarantined.observe(report, [this.desired, this.accepted]);
  }

  /** A heartbeat says what the agent holds: a silent divergence is found within one interval. */
  heard(held: HeldIndex): void {
    if (this.#outstanding !== undefined || held.digest === this.held?.digest) return;
    this.#setHeld(held);
  }

  /** An operator's retry also lifts the refusal of an index. */
  lift(): void {
    this.refused = undefined;
  }

  /** True when the agent's inventory digest differs from what `levels` would give (Welcome.resend_item_reports). */
  inventoryDiffers(claimed: string, levels: readonly ItemReport[]): boolean {
    const named = (this.accepted ?? this.desired)?.document.items ?? [];
    const entries: InventoryEntry[] = [];
    forEachPair(named, inItemOrder(levels), (item, report) => {
      if (item === undefined || report === undefined) return;
      // Without the document that the agent holds its own word is all there is: what is stored of items that are still wanted. When
      // the agent's digest is over exactly that, it is right; otherwise it reports everything once more.
      const version = Number(report.version);
      if (this.accepted !== undefined && !(version === item.version && report.digest === item.digest)) return;
      const { kind, name, digest, level } = report;
      entries.push({ kind, name, version, digest, level, reason: report.nack?.reason ?? "" });
    });
    return inventoryDigest(entries) !== claimed;
  }

  /** Sends the next offer when one is due and there is room. */
  pump(pipe: HubPipe, step: HubStep): void {
    const desired = this.desired;
    if (desired === undefined || !this.#isDue(desired, step.nowMs)) return;
    const planned = this.#plan(desired, pipe, step);
    if (planned === undefined) return;
    const { plan, lane, bytes } = planned;
    if (!pipe.sending.hasRoom(lane, bytes)) return;
    this.#offeredOnStream = true;
    this.#outstanding = { plan, sentMs: step.nowMs };
    this.#count(plan);
    pipe.send(step.out, lane, { kind: "offer", offer: plan }, bytes, step.nowMs);
  }

  /** Outcome of an offer. */
  report(report: IndexReport, step: HubStep): Violation | undefined {
    const outstanding = this.#outstanding;
    if (outstanding === undefined) return undefined; // a late answer to an offer that was swept: the next one decides
    const { plan } = outstanding;
    const offered = plan.desired;
    switch (report.outcome) {
      case IndexReport_Outcome.ACCEPTED:
        if (report.digest !== offered.digest) return undefined;
        this.#outstanding = undefined;
        this.#needsFull = false;
        this.refused = undefined;
        this.held = {
          epoch: offered.document.epoch,
          sequence: offered.document.sequence,
          digest: offered.digest,
        };
        this.accepted = offered;
        // An index that it has not taken says nothing of what it refused.
        this.#quarantined.keepNamed([offered]);
        this.#compare.closed(step);
        return undefined;
      case IndexReport_Outcome.NEED_FULL:
        if (plan.form === "full" || plan.form === "reference")
          return violation(
            ProtocolError_Code.INVALID,
            "index report: NEED_FULL answers a diff, ranges or an unchanged offer",
          );
        this.#outstanding = undefined;
        this.#needsFull = true;
        return undefined;
      case IndexReport_Outcome.REFUSED: {
        if (report.digest !== offered.digest) return undefined;
        this.#outstanding = undefined;
        this.#counters.indexRefused++;
        const attempts = this.refused?.digest === offered.digest ? this.refused.attempts + 1 : 1;
        this.refused = {
          digest: offered.digest,
          epoch: offered.document.epoch,
          sequence: offered.document.sequence,
          reason: report.nack?.reason ?? "",
          detail: report.nack?.detail ?? "",
          agentVersion: this.#agentVersion,
          attempts,
          retryAtMs:
            report.nack?.retryable === true ? retryAtMs(OFFER_RETRY, attempts - 1, this.#random, step.nowMs) : Infinity,
        };
        return undefined;
      }
      default:
        return violation(ProtocolError_Code.INVALID, "index report: outcome is ACCEPTED, NEED_FULL or REFUSED");
    }
  }

  /** An offer without an answer is offered again (lessons §3.8); one by reference gets time to fetch its body. */
  sweep(nowMs: number): void {
    if (nowMs < this.#sweepAtMs) return;
    this.#counters.offerSweeps++;
    this.#outstanding = undefined;
    this.#offeredOnStream = false;
  }

  get deadlineMs(): number {
    return Math.min(
      this.#sweepAtMs,
      this.#compare.deadlineMs,
      this.#outstanding === undefined ? (this.refused?.retryAtMs ?? Infinity) : Infinity,
    );
  }

  get #sweepAtMs(): number {
    const outstanding = this.#outstanding;
    if (outstanding === undefined) return Infinity;
    return outstanding.sentMs + (outstanding.plan.form === "reference" ? REFERENCE_SWEEP_MS : OFFER_SWEEP_MS);
  }

  #setHeld(held: HeldIndex | undefined): void {
    this.held = held;
    if (held === undefined) this.accepted = undefined;
    else if (this.desired?.digest === held.digest) this.accepted = this.desired;
    else if (this.accepted?.digest !== held.digest) this.accepted = undefined;
  }

  #isDue(desired: DesiredIndex, nowMs: number): boolean {
    if (this.#outstanding !== undefined) return false;
    if (this.refused !== undefined && this.refused.digest === desired.digest) return nowMs >= this.refused.retryAtMs;
    return !this.#offeredOnStream || this.#needsFull || desired.digest !== this.held?.digest;
  }

  /** The next offer; undefined while the agent is asked what it holds. */
  #plan(desired: DesiredIndex, pipe: HubPipe, step: HubStep): PlannedOffer | undefined {
    const { held, quarantine } = this;
    if (!this.#needsFull && desired.digest === held?.digest) return unchangedOffer(desired);
    const base = !this.#needsFull && this.accepted?.digest === held?.digest ? this.accepted : undefined;
    const input = { desired, held, base, differs: undefined, quarantine, bodyBytes: this.#sizes.offerBodyBytes };
    if (this.#needsFull || base !== undefined || held === undefined || !this.#isComparable(held, desired))
      return planOffer(input);
    const comparison = this.#compare.find(held.digest, desired, pipe, step);
    if (comparison.kind === "pending") return undefined;
    return planOffer(comparison.kind === "differs" ? { ...input, differs: comparison } : input);
  }

  /** Asking pays when the index is large and its versions are of the epoch that the agent knows. */
  #isComparable(held: HeldIndex, desired: DesiredIndex): boolean {
    const { document, envelope } = desired;
    return held.epoch === document.epoch && envelope.body.length >= this.#sizes.comparedBodyBytes;
  }

  #count(plan: OfferPlan): void {
    switch (plan.form) {
      case "full":
        this.#counters.offersFull++;
        return;
      case "diff":
        this.#counters.offersDiff++;
        return;
      case "unchanged":
        this.#counters.offersUnchanged++;
        return;
      case "ranges":
        this.#counters.offersRanges++;
        return;
      case "reference":
        this.#counters.offersReference++;
    }
  }
}
