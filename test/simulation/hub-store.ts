import { create } from "@bufbuild/protobuf";
import {
  type RevocationPush,
  RevocationPushSchema,
} from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import { type ItemReport, ItemReport_Level } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type {
  AuditEventBatch,
  SnapshotReceiptReport,
} from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { AuditAppendResult, AuditResumePoint, AuditSinkPosition } from "../../src/federation/hub/ports.ts";
import { type IndexRevocation, itemKey } from "../../src/federation/index/index-document.ts";
import type { Fact } from "../../src/federation/session/hub/effects.ts";
import { EARLY_RETRY_MS, type RetryOrder } from "../../src/federation/session/hub/retry-order.ts";
import type { StoreOutcome } from "../../src/federation/session/hub/events.ts";
import type { SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import { RealSink, type SimulatedEvent } from "./real-sink.ts";
import { must } from "./world.ts";

/** Name of a report that the simulated hub refuses for good. */
export const REFUSED_FACT = "never-stored";

/** An audit.gap record as simulated agents write it. */
const GAP = /^gap (\d+) to (\d+)\//;

/** What stands for the chain hash of a simulated event: two of one number are two events. */
export function auditHashOf(text: string): Uint8Array {
  return Buffer.from(text);
}

/** What the sink holds of one log. */
export interface AuditLogCopy {
  readonly events: Map<bigint, string>;
  /** Ranges that gap records close; inclusive. */
  readonly closed: (readonly [bigint, bigint])[];
  /** Highest contiguous number, closed ones included. */
  through: bigint;
  highest: bigint;
}

/** What lasts behind the hub for one tenant: facts, item levels, audit, revocations, ownership. */
export class HubStore {
  readonly cluster: string;
  readonly facts: Map<string, bigint> = new Map();
  readonly levels: Map<string, ItemReport> = new Map();
  /** The sink, by epoch of the agent's log. */
  readonly #audits: Map<bigint, AuditLogCopy> = new Map();
  /** True once an agent's store was restored or lost, or two agents have one certificate: what is reported may go back. */
  lenient = false;
  /** Items that have not been reported since a new epoch began: the first report may be of a lower version, and no other. */
  readonly #renumbered: Set<string> = new Set();
  #lost = false;
  #sink: RealSink | undefined = undefined;
  /** True once two copies of one agent's store were at work: numbers mean two events. */
  forked = false;
  /** True once an agent's store was restored or lost: it may not know which terms it has seen. */
  agentForgot = false;
  /** Which membership serves a session, by session id. */
  readonly servedBy: Map<string, string> = new Map();
  /** Which membership the agent heard under each term. */
  readonly #heard: Map<bigint, string> = new Map();
  term = 0n;
  pending: RevocationPush[] = [];
  readonly #issued: IndexRevocation[] = [];
  /** Newest state of each drift signal of this tenant. */
  readonly drifts: Map<string, number> = new Map();
  /** Items that an operator had tried again. */
  readonly retried: Set<string> = new Set();
  /** Orders that are not over. */
  retries: readonly RetryOrder[] = [];
  /** Ids of the orders that the agent heard of. */
  readonly heardRetries: Set<string> = new Set();
  #serial = 0n;
  /** Reports that were refused for good, by key and version. */
  readonly #refused: Set<string> = new Set();
  /** Takes what a tenant says of its permission snapshot; absent without a permission plane. */
  snapshotReceipt: ((report: SnapshotReceiptReport) => Promise<StoreOutcome>) | undefined = undefined;

  constructor(cluster: string) {
    this.cluster = cluster;
  }

  /** The index has a new numbering. */
  newEpoch(): void {
    for (const key of this.levels.keys()) this.#renumbered.add(key);
  }

  /** Serials of all revocations that a floor puts in force. */
  coveredBy({ target, name, floor }: IndexRevocation): readonly bigint[] {
    const covered = this.#issued.filter((each) => each.target === target && each.name === name && each.floor <= floor);
    return covered.map(({ serial }) => BigInt(serial));
  }

  /** The agent was welcomed to a session: whoever serves it, nobody else was ever heard under that term. */
  welcomed(term: bigint, sessionId: string): void {
    const owner = this.servedBy.get(sessionId) ?? "";
    const before = this.#heard.get(term) ?? owner;
    must(
      this.agentForgot || before === owner,
      `${this.cluster}: under term ${term} the agent hears ${owner}, and heard ${before} before`,
    );
    this.#heard.set(term, owner);
  }

  /** A revocation enters the outbox. */
  revoke(revocation: IndexRevocation): void {
    const { target, name, floor, serial } = revocation;
    this.#issued.push(revocation);
    this.#serial = BigInt(serial);
    const revocationId = `${this.cluster}/${serial}`;
    const bound = target === "PackInstalled" ? { minSerial: BigInt(floor) } : { minSequence: BigInt(floor) };
    const push = { target, resourceName: name, ...bound, revocationId, serial: this.#serial };
    this.pending = [...this.pending, create(RevocationPushSchema, push)];
  }

  /** An operator's retry of an item's content as it is reported. */
  retry(kind: string, name: string, orderedAtMs: number): void {
    const digest = this.levels.get(`${kind}/${name}`)?.digest ?? "";
    const id = `${this.cluster}/${kind}/${name}/${orderedAtMs}`;
    this.retried.add(`${kind}/${name}`);
    if (!this.retries.some((order) => order.id === id))
      this.retries = [...this.retries, { id, kind, name, digest, orderedAtMs }];
  }

  /** An order is over: nothing is left of it that the agent should have heard. */
  retryIsOver(id: string, wanted: ReadonlyMap<string, string>, nowMs: number): void {
    const order = this.retries.find((each) => each.id === id);
    if (order === undefined) return;
    const key = itemKey(order);
    const level = this.levels.get(key);
    const done = level?.digest === order.digest && level.level === ItemReport_Level.HEALTHY;
    const isLate = nowMs - order.orderedAtMs > EARLY_RETRY_MS;
    must(
      this.heardRetries.has(id) || wanted.get(key) !== order.digest || done || isLate,
      `${this.cluster}: the retry of ${key} is over and the agent did not hear of it`,
    );
    this.retries = this.retries.filter((each) => each !== order);
  }

  /** An order whose content stands refused and that the agent did not get; empty when there is none. */
  get waitingRetry(): string {
    const waiting = this.retries.find((order) => {
      const level = this.levels.get(itemKey(order));
      return level?.digest === order.digest && level.nack?.retryable === false;
    });
    return waiting?.id ?? "";
  }

  get serial(): bigint {
    return this.#serial;
  }

  /** Makes a fact durable. */
  store(fact: Fact): StoreOutcome {
    switch (fact.kind) {
      case "items":
        for (const report of fact.reports) this.#item(report);
        return { kind: "stored" };
      case "state": {
        if (fact.payload.case === "snapshotReceiptReport") this.facts.set(fact.key, fact.payload.value.reportVersion);
        if (fact.payload.case !== "packReceiptReport") return { kind: "stored" };
        const { receiptName, reportVersion } = fact.payload.value;
        if (receiptName === REFUSED_FACT) {
          this.refuses(fact.key, reportVersion);
          return { kind: "refused", reason: "REFUSED", detail: "not for this hub" };
        }
        const before = this.facts.get(fact.key) ?? 0n;
        must(
          this.lenient || reportVersion >= before,
          `${this.cluster}: ${fact.key} is stored at ${reportVersion} after ${before}`,
        );
        this.facts.set(fact.key, reportVersion);
        return { kind: "stored" };
      }
      case "revocation":
        if (fact.applied) this.pending = this.pending.filter((push) => push.serial !== fact.serial);
        return { kind: "stored" };
    }
  }

  /** A report is refused for good: what the agent then drops was never stored. */
  refuses(key: string, version: bigint): void {
    this.#refused.add(`${key}@${version}`);
  }

  /** Insert-if-absent on the number; equal numbers must have equal events. A gap record closes the numbers it names. */
  append(batch: AuditEventBatch): AuditAppendResult {
    const log = this.audit(batch.epoch);
    const rejected: { sequence: bigint; code: string }[] = [];
    const seen: SimulatedEvent[] = [];
    for (const { sequence, event } of batch.events) {
      const text = Buffer.from(event).toString();
      const gap = GAP.exec(text);
      const closes = gap === null ? undefined : ([BigInt(gap[1] ?? 0), BigInt(gap[2] ?? 0)] as const);
      seen.push({ sequence, text, closes });
      const before = log.events.get(sequence);
      if (before !== undefined && before !== text) {
        must(this.forked, `${this.cluster}: audit number ${sequence} means two events`);
        rejected.push({ sequence, code: "CONFLICT" });
        continue;
      }
      log.events.set(sequence, text);
      if (sequence > log.highest) log.highest = sequence;
      if (closes !== undefined) log.closed.push(closes);
    }
    for (;;) {
      const next = log.through + 1n;
      const closed = log.closed.find(([from, to]) => from <= next && next <= to);
      if (closed !== undefined) log.through = closed[1];
      else if (log.events.has(next)) log.through = next;
      else break;
    }
    const result = { ...positionOf(log), rejected };
    this.#sink?.append(batch.epoch, seen, result, this.forked);
    return result;
  }

  /** What is stored of one log. */
  audit(epoch: bigint): AuditLogCopy {
    let log = this.#audits.get(epoch);
    if (log === undefined) {
      log = { events: new Map(), closed: [], through: 0n, highest: 0n };
      this.#audits.set(epoch, log);
    }
    return log;
  }

  /** Every event stored, of every log. */
  auditTexts(): Set<string> {
    const texts = new Set<string>();
    for (const { events } of this.#audits.values()) for (const text of events.values()) texts.add(text);
    return texts;
  }

  position(epoch: bigint): AuditResumePoint {
    const log = this.audit(epoch);
    const position = positionOf(log);
    if (!this.forked) this.#sink?.check(epoch, position);
    const text = log.events.get(position.highest);
    return { ...position, highestHash: text === undefined ? undefined : auditHashOf(text) };
  }

  /** From now on the real sink stands beside this one. */
  standBesideReal(): void {
    this.#sink = new RealSink(this.cluster);
  }

  /** The real sink, if there is one, is closed. */
  close(): void {
    this.#sink?.close();
    this.#sink = undefined;
  }

  /** The disks of sink and item levels are gone. */
  lose(): void {
    this.#audits.clear();
    if (this.#sink !== undefined) {
      this.close();
      this.standBesideReal();
    }
    this.levels.clear();
    this.facts.clear();
    this.lenient = true;
    this.#lost = true; // what was acknowledged before may still be on its way to the agent
  }

  /** An agent takes something for stored: it must be. */
  check(write: SpokeWrite): void {
    if (write.type === "AcknowledgeFact") {
      must(
        this.#refused.has(`${write.key}@${write.reportVersion}`) ||
          this.lenient ||
          (this.facts.get(write.key) ?? 0n) >= write.reportVersion,
        `${this.cluster}: ${write.key}@${write.reportVersion} is acknowledged and not stored`,
      );
    }
    if (write.type !== "AcknowledgeAudit") return;
    const { through } = this.audit(write.epoch);
    must(
      this.#lost || write.through <= through,
      `${this.cluster}: audit is acknowledged through ${write.through}, stored through ${through}`,
    );
  }

  #item(report: ItemReport): void {
    const key = itemKey(report);
    const before = this.levels.get(key);
    const renumbered = this.#renumbered.delete(key);
    must(
      this.lenient || renumbered || before === undefined || report.version >= before.version,
      `${this.cluster}: ${key} is recorded at version ${report.version} after ${before?.version ?? 0n}`,
    );
    this.levels.set(key, report);
  }
}

function positionOf({ through, highest }: AuditLogCopy): AuditSinkPosition {
  return { contiguousThrough: through, highest };
}
