import { create } from "@bufbuild/protobuf";
import {
  type ItemReport,
  ItemReport_Level,
  ItemReportSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { Digest } from "../../../base/digest.ts";
import { type IndexDocument, itemKey } from "../../index/index-document.ts";
import { type InventoryEntry, inventoryDigest } from "../../index/inventory-digest.ts";
import { nackMessage } from "../message.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import type { ItemLevel, ItemRecord } from "./record.ts";
import type { SpokePipe, SpokeStep } from "./step.ts";

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

/** Items whose newest state the hub has not acknowledged, and the sending of it: one newest report per item (lessons §3.4). */
export class ItemReports {
  readonly #works: ReadonlyMap<string, Reportable>;
  readonly #deletes: Set<string> = new Set();
  readonly #updates: Set<string> = new Set();

  constructor(works: ReadonlyMap<string, Reportable>) {
    this.#works = works;
  }

  /** An item changed. */
  mark(work: Reportable): void {
    (work.record.item.deleted === true ? this.#deletes : this.#updates).add(work.key);
  }

  /** A session is live. `resend`: the hub's record differs. Otherwise it has everything up to the stamp at hello. */
  opened(resend: boolean, helloStamp: number): void {
    for (const work of this.#works.values()) {
      work.sentStamp = 0;
      if (resend) work.ackedStamp = 0;
      else if (work.stamp <= helloStamp) work.ackedStamp = work.stamp;
      if (work.ackedStamp < work.stamp) this.mark(work);
    }
  }

  /** A report was acknowledged. */
  acknowledged(key: string, stamp: number): void {
    const work = this.#works.get(key);
    if (work !== undefined && stamp > work.ackedStamp) work.ackedStamp = stamp;
  }

  /** Sends reports while there is room: those of tombstones on their own lane. Returns false when something still waits. */
  pump(pipe: SpokePipe, lane: "delete" | "update", step: SpokeStep): boolean {
    const dirty = lane === "delete" ? this.#deletes : this.#updates;
    for (const key of dirty) {
      const work = this.#works.get(key);
      if (work === undefined || work.sentStamp >= work.stamp || !isReportable(work.record)) {
        dirty.delete(key);
        continue;
      }
      const payload: Payload = { case: "itemReport", value: reportOf(work, step) };
      const bytes = payloadBytes(payload);
      if (pipe.blocked || !pipe.sending.hasRoom(lane, bytes)) return false;
      dirty.delete(key);
      work.sentStamp = work.stamp;
      const tag = { kind: "item", key, stamp: work.stamp } as const;
      pipe.send(step.out, lane, { kind: "message", payload }, bytes, step.nowMs, tag);
    }
    return true;
  }

  /** Digest over what the index in force names (Hello.inventory_digest). Items without anything to report are left out. */
  inventory(document: IndexDocument | undefined): Digest {
    const entries: InventoryEntry[] = [];
    for (const item of document?.items ?? []) {
      const record = this.#works.get(itemKey(item))?.record;
      if (record === undefined || !isReportable(record)) continue;
      const { kind, name, version, digest } = record.item;
      entries.push({ kind, name, version, digest, level: wireLevel(record.level), reason: record.nack?.reason ?? "" });
    }
    return inventoryDigest(entries);
  }
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
