import type { IndexReport, ItemReport } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { IndexReport_Outcome } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { ProtocolError_Code } from "../../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import type { Digest } from "../../../base/digest.ts";
import type { Random } from "../../../base/random.ts";
import type { DesiredIndex } from "../../hub/ports.ts";
import { type IndexItem, itemKey } from "../../index/index-document.ts";
import { inventoryDigest } from "../../index/inventory-digest.ts";
import { forEachBody, namedBodies, planIndex } from "../../index/plan-index.ts";
import type { Lane } from "../lane.ts";
import {
  FRAME_OVERHEAD_BYTES,
  INLINE_BLOB_BYTES,
  INLINE_TOTAL_BYTES,
  MAX_FRAME_BYTES,
  OFFER_RETRY,
  OFFER_SWEEP_MS,
} from "../limits.ts";
import { retryAtMs } from "../retry.ts";
import { type Violation, violation } from "../violation.ts";
import type { HubCounters } from "./counters.ts";
import type { OfferPlan } from "./offer.ts";
import type { HubPipe, HubStep } from "./step.ts";

/** Position an agent says it holds. */
export interface HeldIndex {
  readonly epoch: number;
  readonly sequence: number;
  readonly digest: string;
}

/** An index the agent refused; not offered again until it changes, the agent's build changes or, when retryable, `retryAtMs`. */
export interface RefusedIndex {
  readonly digest: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly reason: string;
  /** For people. */
  readonly detail: string;
  readonly agentVersion: string;
  readonly attempts: number;
  /** Infinity when final. */
  readonly retryAtMs: number;
}

/** An item digest the agent refused for good. */
export interface QuarantinedItem {
  readonly digest: string;
  readonly version: number;
  readonly reason: string;
}

/** Share of a frame for an index body or diff that is not sent by reference, bytes. */
export const OFFER_BODY_BYTES = MAX_FRAME_BYTES - INLINE_TOTAL_BYTES - 2 * FRAME_OVERHEAD_BYTES;
/** Estimate of a diff's header without revocations, bytes. */
const HEADER_BYTES = 640;
/** Estimate of one revocation in a header, besides its name, bytes. */
const REVOCATION_BYTES = 96;
/** Estimate of one item in a diff besides its name and refs, bytes. */
const ITEM_BYTES = 192;
/** Estimate of one ref, bytes. */
const REF_BYTES = 104;

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
  readonly quarantine: Map<string, QuarantinedItem> = new Map();
  readonly #random: Random;
  readonly #counters: HubCounters;
  readonly #bodyBytes: number;
  #outstanding: { readonly plan: OfferPlan; readonly sentMs: number } | undefined = undefined;
  #offeredOnStream = false;
  #needsFull = false;
  #agentVersion = "";

  constructor(random: Random, counters: HubCounters, bodyBytes: number) {
    this.#random = random;
    this.#counters = counters;
    this.#bodyBytes = bodyBytes;
  }

  /** A stream went live: what the agent holds is what it said in Hello. */
  opened(held: HeldIndex | undefined, agentVersion: string, levels: readonly ItemReport[]): void {
    this.#outstanding = undefined;
    this.#offeredOnStream = false;
    this.#needsFull = false;
    this.#agentVersion = agentVersion;
    this.#setHeld(held);
    this.quarantine.clear();
    for (const report of levels) this.observe(report);
    if (this.refused !== undefined && this.refused.agentVersion !== agentVersion) this.refused = undefined;
  }

  /** The desired index changed. */
  desire(desired: DesiredIndex | undefined): void {
    this.desired = desired;
    if (desired !== undefined && desired.digest === this.held?.digest) this.accepted = desired;
    if (this.refused !== undefined && this.refused.digest !== desired?.digest) this.refused = undefined;
    if (desired === undefined) return;
    const named = new Set(desired.document.items.map(itemKey));
    for (const key of this.quarantine.keys()) if (!named.has(key)) this.quarantine.delete(key);
  }

  /** Keeps the record of quarantined digests in step with the agent's reports. */
  observe(report: ItemReport): void {
    const key = itemKey(report);
    if (report.nack !== undefined && !report.nack.retryable) {
      this.quarantine.set(key, { digest: report.digest, version: Number(report.version), reason: report.nack.reason });
      return;
    }
    this.quarantine.delete(key);
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
    const holds = this.accepted;
    if (holds === undefined) return this.held !== undefined || levels.length > 0;
    const byKey = new Map<string, ItemReport>();
    for (const report of levels) byKey.set(itemKey(report), report);
    const entries = [];
    for (const item of holds.document.items) {
      const report = byKey.get(itemKey(item));
      if (report === undefined || Number(report.version) !== item.version || report.digest !== item.digest) continue;
      const { kind, name, version, digest } = item;
      entries.push({ kind, name, version, digest, level: report.level, reason: report.nack?.reason ?? "" });
    }
    return inventoryDigest(entries) !== claimed;
  }

  /** Sends the next offer when one is due and there is room. */
  pump(pipe: HubPipe, step: HubStep): void {
    const desired = this.desired;
    if (desired === undefined || !this.#isDue(desired, step.nowMs)) return;
    const plan = this.#plan(desired);
    const lane = this.#laneOf(plan);
    const bytes = this.#bytesOf(plan);
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
        return undefined;
      case IndexReport_Outcome.NEED_FULL:
        if (plan.form === "full" || plan.form === "reference")
          return violation(ProtocolError_Code.INVALID, "index report: NEED_FULL answers a diff or an unchanged offer");
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

  /** An offer without an answer is offered again (lessons §3.8); by-reference offers wait for their body. */
  sweep(nowMs: number): void {
    if (nowMs < this.#sweepAtMs) return;
    this.#counters.offerSweeps++;
    this.#outstanding = undefined;
    this.#offeredOnStream = false;
  }

  get deadlineMs(): number {
    return Math.min(
      this.#sweepAtMs,
      this.#outstanding === undefined ? (this.refused?.retryAtMs ?? Infinity) : Infinity,
    );
  }

  get #sweepAtMs(): number {
    const outstanding = this.#outstanding;
    if (outstanding === undefined || outstanding.plan.form === "reference") return Infinity;
    return outstanding.sentMs + OFFER_SWEEP_MS;
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

  #plan(desired: DesiredIndex): OfferPlan {
    const base = this.accepted;
    if (!this.#needsFull && desired.digest === this.held?.digest)
      return { form: "unchanged", desired, base: undefined, inline: [] };
    const diffable = !this.#needsFull && base !== undefined && base.digest === this.held?.digest;
    const changed = diffable ? changedItems(base, desired) : this.#changedSinceHeld(desired);
    const inline = this.#inline(changed, diffable ? base : undefined);
    const bodyBytes = desired.envelope.body.length;
    if (diffable) {
      const bytes = diffBytes(desired, changed);
      if (bytes < bodyBytes && bytes <= this.#bodyBytes) return { form: "diff", desired, base, inline };
    }
    return { form: bodyBytes <= this.#bodyBytes ? "full" : "reference", desired, base: undefined, inline };
  }

  /** Item versions are the sequences of their index, so what is newer than the held position changed since. */
  #changedSinceHeld(desired: DesiredIndex): readonly IndexItem[] {
    const since = this.held?.epoch === desired.document.epoch ? this.held.sequence : 0;
    return desired.document.items.filter((item) => item.version > since);
  }

  /** Small bodies of what changed, without those that the agent has from the index it holds. */
  #inline(changed: readonly IndexItem[], base: DesiredIndex | undefined): Digest[] {
    const held = base === undefined ? undefined : namedBodies(base.document);
    const inline = new Set<Digest>();
    let bytes = 0;
    for (const item of changed) {
      if (this.quarantine.get(itemKey(item))?.digest === item.digest) continue;
      forEachBody(item, (digest, size) => {
        if (size > INLINE_BLOB_BYTES || bytes + size > INLINE_TOTAL_BYTES || inline.has(digest)) return;
        if (held?.has(digest) === true) return;
        inline.add(digest);
        bytes += size;
      });
    }
    return [...inline];
  }

  #laneOf(plan: OfferPlan): Lane {
    const deletes =
      plan.form === "diff" &&
      plan.base !== undefined &&
      planIndex(plan.base.document, plan.desired.document).tombstones.length > 0;
    return deletes ? "delete" : "update";
  }

  #bytesOf(plan: OfferPlan): number {
    if (plan.form === "unchanged") return FRAME_OVERHEAD_BYTES / 16;
    const sizes = new Map<string, number>();
    for (const item of plan.desired.document.items) forEachBody(item, (digest, size) => sizes.set(digest, size));
    let bytes = FRAME_OVERHEAD_BYTES;
    for (const digest of plan.inline) bytes += sizes.get(digest) ?? 0;
    if (plan.form === "full") bytes += plan.desired.envelope.body.length;
    if (plan.form === "diff" && plan.base !== undefined)
      bytes += diffBytes(plan.desired, changedItems(plan.base, plan.desired));
    return bytes;
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
      case "reference":
        this.#counters.offersReference++;
    }
  }
}

function changedItems(base: DesiredIndex, desired: DesiredIndex): readonly IndexItem[] {
  const plan = planIndex(base.document, desired.document);
  return plan.tombstones.length === 0 ? plan.changed : [...plan.tombstones, ...plan.changed];
}

function diffBytes(desired: DesiredIndex, changed: readonly IndexItem[]): number {
  let bytes = HEADER_BYTES;
  for (const revocation of desired.document.revocations) bytes += REVOCATION_BYTES + revocation.name.length;
  for (const item of changed) bytes += ITEM_BYTES + item.name.length + (item.refs?.length ?? 0) * REF_BYTES;
  return bytes;
}
