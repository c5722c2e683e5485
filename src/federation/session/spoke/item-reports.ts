import { create } from "@bufbuild/protobuf";
import {
  type IndexReport,
  type ItemReport,
  ItemReport_Level,
  ItemReportSchema,
  type ItemReports as ItemReportsMessage,
  ItemReportsSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Digest } from "../../../base/digest.ts";
import { type IndexDocument, itemKey } from "../../index/index-document.ts";
import { type InventoryEntry, inventoryDigest } from "../../index/inventory-digest.ts";
import { ITEM_REPORT_DELAY_MS, REPORTS_FRAME_BYTES, REPORTS_PER_FRAME } from "../limits.ts";
import { nackMessage } from "../message.ts";
import { REPORT_BYTES, SMALL_BYTES, indexReportBytes, payloadBytes, reportBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import type { ItemLevel, ItemRecord } from "./record.ts";
import type { SentReport, SpokePipe, SpokeStep } from "./step.ts";

/** What a report is made of. Stamps rise with every change and compare with what was sent and acknowledged. */
export interface Reportable {
  readonly key: string;
  readonly record: ItemRecord;
  readonly stamp: number;
  sentStamp: number;
  ackedStamp: number;
  readonly retryAtMs: number;
  readonly waitingFor: string;
}

/** The word that an index is accepted, while it waits for the reports of its items. */
export interface WaitingIndexReport {
  /** What it is; undefined when none waits. */
  readonly waitingReport: IndexReport | undefined;
  /** It left with reports of items. */
  tookReport(): void;
}

/** What was computed for Hello, and of what. */
interface Inventory {
  readonly document: IndexDocument | undefined;
  readonly stamp: number;
  readonly digest: Digest;
}

/** What one frame brings. */
interface Batch {
  readonly payload: Payload;
  readonly reports: readonly SentReport[];
}

const WIRE_LEVELS: Readonly<Record<ItemLevel, ItemReport_Level>> = {
  pending: ItemReport_Level.UNSPECIFIED,
  received: ItemReport_Level.RECEIVED,
  verified: ItemReport_Level.VERIFIED,
  applied: ItemReport_Level.APPLIED,
  healthy: ItemReport_Level.HEALTHY,
};

/** Level as on the wire. */
export function wireLevel(level: ItemLevel): ItemReport_Level {
  return WIRE_LEVELS[level];
}

/**
 * Items whose newest state the hub has not acknowledged, and the sending of it: one newest report per item, and one in flight
 * (lessons §3.4). A level implies the lower ones, so what comes within a moment or before the acknowledgement is one report.
 */
export class ItemReports {
  readonly #works: ReadonlyMap<string, Reportable>;
  /** What leaves when there is room. */
  readonly #deletes: Set<string> = new Set();
  readonly #updates: Set<string> = new Set();
  /** Levels on the way that may soon be passed, with the time they leave, soonest first. */
  readonly #resting: Map<string, number> = new Map();
  /** The stream takes several reports in one frame. */
  #batched = false;
  #inventory: Inventory | undefined = undefined;

  constructor(works: ReadonlyMap<string, Reportable>) {
    this.#works = works;
  }

  /** An item changed. */
  mark(work: Reportable, nowMs: number): void {
    if (isInFlight(work) || !isReportable(work.record)) return;
    if (!isInterim(work.record)) {
      this.#resting.delete(work.key);
      this.#queue(work);
    } else if (!this.#updates.has(work.key) && !this.#resting.has(work.key)) {
      this.#resting.set(work.key, nowMs + ITEM_REPORT_DELAY_MS);
    }
  }

  /** Levels that were not passed in time leave. */
  tick(nowMs: number): void {
    for (const [key, dueMs] of this.#resting) {
      if (nowMs < dueMs) return;
      this.#resting.delete(key);
      const work = this.#works.get(key);
      if (work !== undefined) this.#queue(work);
    }
  }

  get deadlineMs(): number {
    for (const dueMs of this.#resting.values()) return dueMs;
    return Infinity;
  }

  /**
   * A session is live. `resend`: the hub's record differs. Otherwise it has everything up to the stamp at hello. `batched`: one frame
   * may bring several reports.
   */
  opened(resend: boolean, helloStamp: number, batched: boolean): void {
    this.#batched = batched;
    for (const work of this.#works.values()) {
      work.sentStamp = 0;
      if (resend) work.ackedStamp = 0;
      else if (work.stamp <= helloStamp) work.ackedStamp = work.stamp;
      if (work.ackedStamp < work.stamp) this.#queue(work);
    }
    this.#resting.clear();
  }

  /** A report was acknowledged: what became of its item meanwhile follows. */
  acknowledged(key: string, stamp: number): void {
    const work = this.#works.get(key);
    if (work === undefined) return;
    if (stamp > work.ackedStamp) work.ackedStamp = stamp;
    if (work.sentStamp < work.stamp && !isInFlight(work)) this.#queue(work);
  }

  /** True while a level waits for the next one. */
  get rests(): boolean {
    return this.#resting.size > 0;
  }

  /**
   * Sends reports while there is room: those of tombstones on their own lane. An index report that waits leaves with the first of them.
   * Returns false when something still waits.
   */
  pump(pipe: SpokePipe, lane: "delete" | "update", waiting: WaitingIndexReport, step: SpokeStep): boolean {
    const dirty = lane === "delete" ? this.#deletes : this.#updates;
    while (dirty.size > 0) {
      const index = this.#batched ? waiting.waitingReport : undefined;
      const room = pipe.blocked ? 0 : pipe.sending.room(lane);
      // What is more than the room that is left waits for an acknowledgement: it leaves in whole frames, not in crumbs.
      if (this.#batched && room < REPORTS_FRAME_BYTES && dirty.size * REPORT_BYTES > room) return false;
      const batch = this.#batch(dirty, index, Math.min(room, REPORTS_FRAME_BYTES), step);
      if (batch === undefined) return dirty.size === 0;
      const { payload, reports } = batch;
      const bytes = payloadBytes(payload);
      if (bytes > room) return false;
      for (const { key, stamp } of reports) {
        dirty.delete(key);
        const work = this.#works.get(key);
        if (work !== undefined) work.sentStamp = stamp;
      }
      if (index !== undefined) waiting.tookReport();
      pipe.send(step.out, lane, { kind: "message", payload }, bytes, step.nowMs, { kind: "items", reports });
    }
    return true;
  }

  /** The next frame of reports: as many as fit into `room` bytes, but always one. Undefined when none may leave. */
  #batch(dirty: Set<string>, index: IndexReport | undefined, room: number, step: SpokeStep): Batch | undefined {
    const items: ItemReport[] = [];
    const reports: SentReport[] = [];
    let bytes = SMALL_BYTES + indexReportBytes(index);
    if (bytes > room) return undefined;
    for (const key of dirty) {
      const work = this.#works.get(key);
      if (work === undefined || work.sentStamp >= work.stamp || isInFlight(work) || !isReportable(work.record)) {
        dirty.delete(key);
        continue;
      }
      const report = reportOf(work, step);
      bytes += reportBytes(report);
      if (items.length > 0 && bytes > room) break;
      items.push(report);
      reports.push({ key, stamp: work.stamp });
      if (!this.#batched || items.length === REPORTS_PER_FRAME) break;
    }
    const [only] = items;
    if (only === undefined) return undefined;
    const payload: Payload =
      items.length === 1 && index === undefined
        ? { case: "itemReport", value: only }
        : { case: "itemReports", value: reportsOf(index, items) };
    return { payload, reports };
  }

  /**
   * Digest over what the index in force names (Hello.inventory_digest). Items without anything to report are left out. `stamp`: the
   * newest given to any item; while it and the document are the same, so is the digest, however often an agent says Hello.
   */
  inventory(document: IndexDocument | undefined, stamp: number): Digest {
    let told = this.#inventory;
    if (told === undefined || told.document !== document || told.stamp !== stamp)
      this.#inventory = told = { document, stamp, digest: this.#inventoryOf(document) };
    return told.digest;
  }

  #inventoryOf(document: IndexDocument | undefined): Digest {
    const entries: InventoryEntry[] = [];
    for (const item of document?.items ?? []) {
      const record = this.#works.get(itemKey(item))?.record;
      if (record === undefined || !isReportable(record)) continue;
      const { kind, name, version, digest } = record.item;
      entries.push({ kind, name, version, digest, level: wireLevel(record.level), reason: record.nack?.reason ?? "" });
    }
    return inventoryDigest(entries);
  }

  #queue(work: Reportable): void {
    (work.record.item.deleted === true ? this.#deletes : this.#updates).add(work.key);
  }
}

function reportsOf(index: IndexReport | undefined, items: ItemReport[]): ItemReportsMessage {
  const value = create(ItemReportsSchema);
  value.items = items;
  if (index !== undefined) value.index = index;
  return value;
}

function reportOf(work: Reportable, step: SpokeStep): ItemReport {
  const { item, level, atMs, nack } = work.record;
  const report = create(ItemReportSchema, {
    kind: item.kind,
    name: item.name,
    version: BigInt(item.version),
    digest: item.digest,
    level: wireLevel(level),
    atUnixMs: BigInt(Math.trunc(atMs)),
    waitingFor: work.waitingFor,
  });
  if (nack === undefined) return report;
  report.nack = nackMessage(nack);
  if (nack.retryable)
    report.nextRetryUnixMs = BigInt(Math.trunc(step.wallMs + Math.max(0, work.retryAtMs - step.nowMs)));
  return report;
}

function isReportable(record: ItemRecord): boolean {
  return record.level !== "pending" || record.nack !== undefined;
}

/** True for a level that is not the last one: the next may follow at once. */
function isInterim(record: ItemRecord): boolean {
  return record.level !== "healthy" && record.nack === undefined;
}

function isInFlight(work: Reportable): boolean {
  return work.sentStamp > work.ackedStamp;
}
