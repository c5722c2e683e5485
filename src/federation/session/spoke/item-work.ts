import type { ItemRetry } from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Digest } from "../../../base/digest.ts";
import type { Random } from "../../../base/random.ts";
import type { ItemNack } from "../../spoke/ports.ts";
import { type IndexDocument, type IndexItem, itemKey } from "../../index/index-document.ts";
import type { IndexPlan } from "../../index/plan-index.ts";
import { ITEM_RETRY, MAX_RUNNING_HANDLERS } from "../limits.ts";
import { clip } from "../message.ts";
import { retryAtMs } from "../retry.ts";
import type { Tokens } from "../tokens.ts";
import type { BlobFetching } from "./blob-fetching.ts";
import { BodyNeeds } from "./body-needs.ts";
import type { SpokeCounters } from "./counters.ts";
import type { HandlerPhase, SpokeEffect } from "./effects.ts";
import { ItemReports, type Reportable } from "./item-reports.ts";
import type { ItemLevel, ItemRecord } from "./record.ts";
import type { SpokeStep } from "./step.ts";

/** Least time between reports that differ only in what an item waits for, milliseconds. */
const WAITING_REPORT_MS = 1_000;

/** One item on its way. The record is what the store holds; the rest is this process's. */
interface Work extends Reportable {
  record: ItemRecord;
  stamp: number;
  /** Token of the running handler; 0 when none runs. */
  token: number;
  phase: HandlerPhase;
  /** The running handler belongs to a superseded version: its outcome does not count. */
  abandoned: boolean;
  retryAtMs: number;
  waitingFor: string;
  waitingReportedMs: number;
  /** A tombstone that left the index; forgotten once it is done. */
  orphan: boolean;
}

/** View of one item, for `explain`. */
export interface ItemView {
  readonly record: ItemRecord;
  readonly running: HandlerPhase | undefined;
  readonly waitingFor: string;
}

/**
 * Brings items through their levels, one durable step at a time: a level is recorded before anything follows from it, and reported
 * after it is durable (lessons §3.5). A crash repeats at most the phase that was not recorded.
 */
export class ItemWork {
  readonly #agentVersion: string;
  readonly #random: Random;
  readonly #tokens: Tokens;
  readonly #counters: SpokeCounters;
  readonly #needs: BodyNeeds;
  readonly #works: Map<string, Work> = new Map();
  readonly #byToken: Map<number, Work> = new Map();
  /** What the hub does not know yet. */
  readonly reports: ItemReports = new ItemReports(this.#works);
  readonly #runnable: Set<string> = new Set();
  readonly #retrying: Set<string> = new Set();
  #running = 0;
  /** Why no phase that changes anything may start now; empty when it may. */
  #heldBy = "";
  #stamp = 0;
  #started = false;

  constructor(parts: {
    readonly agentVersion: string;
    readonly random: Random;
    readonly tokens: Tokens;
    readonly counters: SpokeCounters;
    readonly bodies: BlobFetching;
    readonly records: readonly ItemRecord[];
    readonly document: IndexDocument | undefined;
  }) {
    this.#agentVersion = parts.agentVersion;
    this.#random = parts.random;
    this.#tokens = parts.tokens;
    this.#counters = parts.counters;
    this.#needs = new BodyNeeds(parts.bodies);
    const named = new Set((parts.document?.items ?? []).map(itemKey));
    for (const record of parts.records) {
      const key = itemKey(record.item);
      this.#works.set(key, this.#newWork(key, record, !named.has(key)));
      this.#needs.hold(record.item);
      if (record.lastGood !== undefined) this.#needs.hold(record.lastGood);
    }
  }

  /** Number of items known. */
  get length(): number {
    return this.#works.size;
  }

  /** Handlers running, health not counted. */
  get running(): number {
    return this.#running;
  }

  /** Highest stamp given so far. */
  get stamp(): number {
    return this.#stamp;
  }

  /** One item, for `explain`. */
  view(key: string): ItemView | undefined {
    const work = this.#works.get(key);
    if (work === undefined) return undefined;
    return {
      record: work.record,
      running: work.token === 0 ? undefined : work.phase,
      waitingFor: this.#waitingFor(work),
    };
  }

  /** Keys of all items. */
  keys(): IterableIterator<string> {
    return this.#works.keys();
  }

  /** The agent starts: everything unfinished goes on, and bodies that nothing needs are forgotten. */
  start(step: SpokeStep): void {
    this.#started = true;
    this.#needs.sweep(step);
    for (const work of this.#works.values()) this.#advance(work, step);
  }

  /** The agent stops: nothing new starts. */
  stop(): void {
    this.#started = false;
  }

  /** Nothing but looking at health starts while `reason` is not empty. Bodies are collected meanwhile. */
  hold(reason: string, step: SpokeStep): void {
    this.#heldBy = reason;
    if (reason === "") this.#runWaiting(step);
  }

  /** An index was accepted. */
  adopt(plan: IndexPlan, epoch: number, step: SpokeStep): void {
    for (const item of plan.tombstones) this.#replace(item, epoch, step);
    for (const item of plan.changed) this.#replace(item, epoch, step);
    for (const item of plan.renumbered) this.#renumber(item, epoch, step);
    for (const key of plan.dropped) {
      const work = this.#works.get(key);
      if (work === undefined) continue;
      work.orphan = true;
      this.#forgetIfDone(work, step);
    }
    for (const item of plan.tombstones) this.#advanceKey(itemKey(item), step);
    for (const item of plan.changed) this.#advanceKey(itemKey(item), step);
  }

  /** A body is held and checked. */
  bodyArrived(digest: Digest, step: SpokeStep): void {
    for (const key of this.#needs.takeWaiters(digest)) this.#advanceKey(key, step);
  }

  /** A body can never be had: every item that needs it is refused. */
  bodyRefused(digest: Digest, refusal: ItemNack, step: SpokeStep): void {
    for (const key of this.#needs.takeWaiters(digest)) {
      const work = this.#works.get(key);
      if (work !== undefined && work.record.level === "pending") this.#fail(work, refusal, step);
    }
  }

  /** A handler ended. */
  handlerDone(token: number, refusal: ItemNack | undefined, step: SpokeStep): void {
    const work = this.#byToken.get(token);
    if (work === undefined) return;
    this.#byToken.delete(token);
    work.token = 0;
    work.waitingFor = "";
    if (work.phase !== "healthy") this.#running--;
    const { abandoned } = work;
    work.abandoned = false;
    if (!abandoned) {
      if (refusal !== undefined) this.#fail(work, refusal, step);
      else this.#reach(work, levelAfter(work.phase), step);
    }
    // The index that names this version was durable before its first phase ran, and a phase is safe to repeat.
    this.#advance(work, step, abandoned ? step.out : step.atOnce);
    this.#forgetIfDone(work, step);
    this.#runWaiting(step);
  }

  /** A running handler says what it waits for. */
  handlerWaiting(token: number, text: string, step: SpokeStep): void {
    const work = this.#byToken.get(token);
    if (work === undefined || work.abandoned || work.waitingFor === text) return;
    work.waitingFor = clip(text);
    if (step.nowMs - work.waitingReportedMs < WAITING_REPORT_MS) return;
    work.waitingReportedMs = step.nowMs;
    this.#touch(work, step);
  }

  /** An operator lifted a quarantine. */
  retry(retry: ItemRetry, step: SpokeStep): void {
    const work = this.#works.get(itemKey(retry));
    if (work === undefined || work.record.nack === undefined) return;
    if (retry.digest !== "" && retry.digest !== work.record.item.digest) return;
    // The hub may not know that this one was carried out: what was refused since then is another refusal.
    if (retry.orderId !== "" && retry.orderId === work.record.retriedBy) return;
    work.retryAtMs = 0;
    this.#retrying.delete(work.key);
    const retriedBy = retry.orderId;
    this.#write(work, { ...work.record, nack: undefined, attempts: 0, quarantinedBy: "", retriedBy }, step);
    this.#advance(work, step);
  }

  /** Retries that are due start, reports that waited leave. */
  tick(step: SpokeStep): void {
    this.reports.tick(step.nowMs);
    for (const key of this.#retrying) {
      const work = this.#works.get(key);
      if (work !== undefined && step.nowMs < work.retryAtMs) continue;
      this.#retrying.delete(key);
      if (work !== undefined) this.#advance(work, step);
    }
  }

  get deadlineMs(): number {
    let deadline = this.reports.deadlineMs;
    for (const key of this.#retrying) deadline = Math.min(deadline, this.#works.get(key)?.retryAtMs ?? Infinity);
    return deadline;
  }

  #newWork(key: string, record: ItemRecord, orphan: boolean): Work {
    return {
      key,
      record,
      stamp: ++this.#stamp,
      sentStamp: 0,
      ackedStamp: 0,
      token: 0,
      phase: "verify",
      abandoned: false,
      retryAtMs: 0,
      waitingFor: "",
      waitingReportedMs: 0,
      orphan,
    };
  }

  #replace(item: IndexItem, epoch: number, step: SpokeStep): void {
    const key = itemKey(item);
    const old = this.#works.get(key);
    this.#needs.hold(item);
    const record: ItemRecord = {
      item,
      epoch,
      level: "pending",
      atMs: step.wallMs,
      nack: undefined,
      attempts: 0,
      lastGood: old?.record.lastGood,
      quarantinedBy: "",
      retriedBy: "",
    };
    if (old === undefined) {
      this.#works.set(key, this.#newWork(key, record, false));
      step.persist.push({ type: "PutItem", record });
      return;
    }
    if (old.token !== 0 && !old.abandoned) {
      old.abandoned = true;
      step.out.push({ type: "AbortHandler", token: old.token });
    }
    this.#runnable.delete(key);
    this.#retrying.delete(key);
    this.#needs.unwait(old.record.item, key);
    const previous = old.record.item;
    old.retryAtMs = 0;
    old.waitingFor = "";
    old.orphan = false;
    this.#write(old, record, step);
    this.#needs.release(previous, step);
  }

  /**
   * An item has another version in a new epoch and is the same: what was done stays done and what runs goes on. The hub hears of it, for it
   * knows items by their versions: a tombstone whose version it never hears of would stand for ever.
   */
  #renumber(item: IndexItem, epoch: number, step: SpokeStep): void {
    const work = this.#works.get(itemKey(item));
    if (work === undefined) return;
    const { lastGood } = work.record;
    const good = lastGood !== undefined && lastGood.digest === item.digest ? item : lastGood;
    this.#write(work, { ...work.record, item, epoch, lastGood: good }, step);
  }

  #advanceKey(key: string, step: SpokeStep): void {
    const work = this.#works.get(key);
    if (work !== undefined) this.#advance(work, step);
  }

  /** Does the next thing for an item, from its state alone. */
  #advance(work: Work, step: SpokeStep, out: SpokeEffect[] = step.out): void {
    const { record } = work;
    if (!this.#started || record.level === "healthy") return;
    if (work.token !== 0) {
      // The handler of a superseded version still runs: meanwhile the bodies of the new one may come.
      if (work.abandoned && record.level === "pending" && record.nack === undefined)
        this.#needs.held(work.record.item, work.key, step);
      return;
    }
    if (record.quarantinedBy === this.#agentVersion) return;
    if (step.nowMs < work.retryAtMs) {
      this.#retrying.add(work.key);
      return;
    }
    if (record.level === "pending") {
      if (!this.#needs.held(work.record.item, work.key, step)) return;
      if (record.item.deleted === true) {
        this.#run(work, "remove", out);
        return;
      }
      this.#reach(work, "received", step);
    }
    this.#run(work, phaseAt(work.record.level), out);
  }

  #run(work: Work, phase: HandlerPhase, out: SpokeEffect[]): void {
    if (phase !== "healthy") {
      if (this.#heldBy !== "" || this.#running >= MAX_RUNNING_HANDLERS) {
        this.#runnable.add(work.key);
        return;
      }
      this.#running++;
    }
    work.token = this.#tokens.next();
    work.phase = phase;
    this.#byToken.set(work.token, work);
    this.#counters.handlersRun++;
    out.push({ type: "RunHandler", token: work.token, phase, item: work.record.item });
  }

  /** Gives free places to waiting items, tombstones first. */
  #runWaiting(step: SpokeStep): void {
    if (this.#heldBy !== "") return;
    for (const deletes of [true, false]) {
      for (const key of this.#runnable) {
        if (this.#running >= MAX_RUNNING_HANDLERS) return;
        const work = this.#works.get(key);
        if (work !== undefined && (work.record.item.deleted === true) !== deletes) continue;
        this.#runnable.delete(key);
        if (work !== undefined) this.#advance(work, step);
      }
    }
  }

  #reach(work: Work, level: ItemLevel, step: SpokeStep): void {
    const { record } = work;
    const previous = record.lastGood;
    const takesEffect = level === "applied" || (level === "healthy" && record.item.deleted === true);
    const lastGood = takesEffect ? (record.item.deleted === true ? undefined : record.item) : previous;
    if (takesEffect && lastGood !== undefined) this.#needs.hold(lastGood);
    this.#write(
      work,
      { ...record, level, atMs: step.wallMs, nack: undefined, attempts: 0, lastGood, quarantinedBy: "" },
      step,
    );
    if (takesEffect && previous !== undefined) this.#needs.release(previous, step);
  }

  #fail(work: Work, refusal: ItemNack, step: SpokeStep): void {
    const { record } = work;
    this.#counters.nacks++;
    const attempts = record.attempts + 1;
    const { class: classOf, retryable, reason } = refusal;
    const standing: ItemNack = { class: classOf, retryable, reason, detail: clip(refusal.detail) };
    if (retryable) {
      work.retryAtMs = retryAtMs(ITEM_RETRY, attempts - 1, this.#random, step.nowMs);
      this.#retrying.add(work.key);
    } else {
      this.#counters.quarantined++;
    }
    this.#write(
      work,
      { ...record, nack: standing, attempts, quarantinedBy: retryable ? "" : this.#agentVersion },
      step,
    );
  }

  #write(work: Work, record: ItemRecord, step: SpokeStep): void {
    work.record = record;
    step.persist.push({ type: "PutItem", record });
    this.#touch(work, step);
  }

  #touch(work: Work, step: SpokeStep): void {
    work.stamp = ++this.#stamp;
    this.reports.mark(work, step.nowMs);
  }

  #forgetIfDone(work: Work, step: SpokeStep): void {
    if (!work.orphan || work.token !== 0 || work.record.level !== "healthy") return;
    this.#works.delete(work.key);
    step.persist.push({ type: "DeleteItem", key: work.key });
    this.#needs.release(work.record.item, step);
  }

  #waitingFor(work: Work): string {
    if (this.#heldBy !== "" && this.#runnable.has(work.key)) return this.#heldBy;
    return work.waitingFor === "" && work.record.level === "pending"
      ? this.#needs.missing(work.record.item)
      : work.waitingFor;
  }
}

function phaseAt(level: ItemLevel): HandlerPhase {
  if (level === "verified") return "apply";
  return level === "applied" ? "healthy" : "verify";
}

function levelAfter(phase: HandlerPhase): ItemLevel {
  switch (phase) {
    case "verify":
      return "verified";
    case "apply":
      return "applied";
    case "healthy":
    case "remove":
      return "healthy";
  }
}
