import type { AuditAppendResult } from "../../hub/ports.ts";
import { MAX_SEQUENCE, type AuditRange } from "../audit-chain.ts";
import { type AddedNumbers, AddedRun } from "../contiguity.ts";
import { type AuditRejection, type JudgedEvent, judgeEvent } from "../judge-event.ts";
import { type SinkBatch, type SinkEvent, refuseAll } from "../sink-batch.ts";
import type { EventRow } from "./copy-rows.ts";

/** A batch that waits to be stored. */
export interface PendingBatch {
  readonly cluster: string;
  readonly batch: SinkBatch;
  readonly receivedMs: number;
}

/** What the store knows of a chain before a group is stored. */
export interface KnownChain {
  readonly contiguous: bigint;
  readonly highest: bigint;
}

/** Hashes of events that exist, and numbers below which everything was stored and removed again. */
export interface Existing {
  hash(cluster: string, epoch: bigint, sequence: bigint): Uint8Array | undefined;
  floor(cluster: string, epoch: bigint): bigint;
}

/** An event kept apart, with why. */
export interface QuarantinedEvent {
  readonly cluster: string;
  readonly epoch: bigint;
  readonly event: SinkEvent;
  readonly code: AuditRejection;
  readonly receivedMs: number;
}

/** Numbers of a chain that a range closes. */
export interface ChainRange extends AuditRange {
  readonly cluster: string;
  readonly epoch: bigint;
}

/** One chain of a group. */
export interface PlannedChain {
  readonly cluster: string;
  readonly epoch: bigint;
  /** Undefined when nothing is new. */
  readonly added: AddedNumbers | undefined;
}

/** What is written for a group, all of it in one transaction. */
export interface AppendPlan {
  readonly rows: readonly EventRow[];
  readonly quarantined: readonly QuarantinedEvent[];
  readonly ranges: readonly ChainRange[];
  readonly chains: readonly PlannedChain[];
  /** By batch: the numbers refused. */
  readonly rejected: readonly AuditAppendResult["rejected"][];
}

interface JudgedBatch extends PendingBatch {
  readonly events: readonly { readonly event: SinkEvent; readonly judged: JudgedEvent | undefined }[];
}

/** A group of batches after their events were checked; nothing was looked up yet. */
export class AppendGroup {
  readonly #batches: readonly JudgedBatch[];

  constructor(batches: readonly PendingBatch[]) {
    this.#batches = batches.map(({ cluster, batch, receivedMs }) => ({
      cluster,
      batch,
      receivedMs,
      events: batch.epoch > MAX_SEQUENCE ? [] : batch.events.map((event) => ({ event, judged: judge(cluster, event) })),
    }));
  }

  /** Chains of the group, in the order in which their rows are locked. */
  get chains(): readonly { readonly cluster: string; readonly epoch: bigint }[] {
    const chains = new Map<string, { cluster: string; epoch: bigint }>();
    for (const { cluster, batch } of this.#batches)
      if (batch.epoch <= MAX_SEQUENCE) chains.set(chainKey(cluster, batch.epoch), { cluster, epoch: batch.epoch });
    return [...chains.values()].sort((a, b) =>
      a.cluster === b.cluster
        ? Number(a.epoch - b.epoch)
        : Buffer.compare(Buffer.from(a.cluster), Buffer.from(b.cluster)),
    );
  }

  /** Numbers that may exist already: all that are not above what their chain has, or all when positions are not to be trusted. */
  questionable(known: ReadonlyMap<string, KnownChain>, all: boolean): readonly ChainRange[] {
    const asked: ChainRange[] = [];
    for (const { cluster, batch, events } of this.#batches) {
      const highest = known.get(chainKey(cluster, batch.epoch))?.highest ?? 0n;
      for (const { event, judged } of events)
        if (judged !== undefined && (all || event.sequence <= highest))
          asked.push({ cluster, epoch: batch.epoch, from: event.sequence, to: event.sequence });
    }
    return asked;
  }

  /** Decides what is new, what is a replay and what is refused. */
  plan(existing: Existing): AppendPlan {
    const rows: EventRow[] = [];
    const quarantined: QuarantinedEvent[] = [];
    const ranges: ChainRange[] = [];
    const chains = new Map<string, { cluster: string; epoch: bigint; run: AddedRun }>();
    /** Hashes of the group itself: a number may come twice in it. */
    const own = new Map<string, Uint8Array>();
    const rejected = this.#batches.map(({ cluster, batch, receivedMs, events }) => {
      const { epoch } = batch;
      if (epoch > MAX_SEQUENCE) return refuseAll(batch).rejected;
      const refused: { sequence: bigint; code: AuditRejection }[] = [];
      const key = chainKey(cluster, epoch);
      const chain = chains.get(key) ?? { cluster, epoch, run: new AddedRun() };
      chains.set(key, chain);
      const floor = existing.floor(cluster, epoch);
      const refuse = (event: SinkEvent, code: AuditRejection): void => {
        refused.push({ sequence: event.sequence, code });
        quarantined.push({ cluster, epoch, event, code, receivedMs });
      };
      for (const { event, judged } of events) {
        const { sequence } = event;
        if (judged === undefined) {
          refused.push({ sequence, code: "AUDIT_INVALID" });
          continue;
        }
        if (sequence <= floor) continue; // stored once, and removed by retention since
        if (judged.fault !== undefined) {
          // Kept as it came, and its number is used up.
          refuse(event, judged.fault);
          ranges.push({ cluster, epoch, from: sequence, to: sequence });
          chain.run.add(sequence, true);
          continue;
        }
        const { columns, range } = judged;
        // Even a conflicting loss record explains its numbers: the log must not wait for events that no longer exist.
        if (range !== undefined) ranges.push({ cluster, epoch, ...range });
        chain.run.add(sequence, range !== undefined);
        const place = `${key} ${sequence}`;
        const stored = own.get(place) ?? existing.hash(cluster, epoch, sequence);
        if (stored === undefined) {
          own.set(place, event.hash);
          rows.push({ cluster, epoch, event, columns, receivedMs });
        } else if (Buffer.compare(stored, event.hash) !== 0) refuse(event, "AUDIT_CONFLICT");
      }
      return refused;
    });
    const planned = [...chains.values()].map(({ cluster, epoch, run }) => ({ cluster, epoch, added: run.numbers }));
    return { rows, quarantined, ranges, chains: planned, rejected };
  }

  /** The chain of each batch; undefined for an epoch that no log can have. */
  keys(): readonly (string | undefined)[] {
    return this.#batches.map(({ cluster, batch }) =>
      batch.epoch > MAX_SEQUENCE ? undefined : chainKey(cluster, batch.epoch),
    );
  }
}

/** Names a chain within a group: a cluster id has no spaces. */
export function chainKey(cluster: string, epoch: bigint): string {
  return `${cluster} ${epoch}`;
}

/** Undefined for a number no log can have. */
function judge(cluster: string, event: SinkEvent): JudgedEvent | undefined {
  return event.sequence < 1n || event.sequence > MAX_SEQUENCE ? undefined : judgeEvent(cluster, event);
}
