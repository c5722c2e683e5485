import { create } from "@bufbuild/protobuf";
import {
  AuditEventBatchSchema,
  AuditEventSchema,
  type AuditEventBatch,
  PackReceiptReportSchema,
  type SnapshotReceiptReport,
  SnapshotReceiptReportSchema,
} from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { digestOf } from "../../src/base/digest.ts";
import { itemKey } from "../../src/federation/index/index-document.ts";
import type { LoadedFact } from "../../src/federation/session/spoke/events.ts";
import {
  ITEM_LEVELS,
  type ItemRecord,
  type SpokeRecord,
  type SpokeWrite,
  type StoredIndex,
} from "../../src/federation/session/spoke/record.ts";
import { type OutboxStep, RealOutbox } from "./real-outbox.ts";
import { storedDocument } from "./stored-document.ts";
import { auditHashOf } from "./hub-store.ts";
import { must } from "./world.ts";

interface Blob {
  data: Buffer;
  total: number;
  checked: boolean;
}

/** A report in the outbox. */
interface StoredFact {
  version: bigint;
  pending: boolean;
  /** Of a permission snapshot; a pack's says nothing but its name here. */
  readonly snapshot?: SnapshotReceiptContent;
}

/** What a tenant says of its permission snapshot. */
export type SnapshotReceiptContent = Omit<SnapshotReceiptReport, "$typeName" | "reportVersion">;

/** Key of the report about the permission snapshot. */
export const SNAPSHOT_RECEIPT = "snapshotReceiptReport";

/** Everything an agent's store holds. */
export interface AgentStoreCopy {
  readonly items: Map<string, ItemRecord>;
  readonly blobs: Map<string, Blob>;
  readonly facts: Map<string, StoredFact>;
  readonly storeId: string;
  readonly auditEpoch: bigint;
  readonly auditEvents: Map<bigint, string>;
  readonly auditLast: bigint;
  readonly auditAcked: bigint;
  readonly index: StoredIndex | undefined;
  readonly term: bigint;
  readonly revocationSerial: bigint;
  readonly remembered: Set<string> | undefined;
  readonly history: readonly OutboxStep[];
}

/** The durable store of one simulated agent: survives crashes, changes only by whole transactions, and watches its own invariants. */
export class AgentStore {
  readonly cluster: string;
  items: Map<string, ItemRecord> = new Map();
  blobs: Map<string, Blob> = new Map();
  /** Newest report version of each key, and whether it waits. */
  facts: Map<string, StoredFact> = new Map();
  storeId: string;
  auditEpoch = 1_767_225_600n;
  auditEvents: Map<bigint, string> = new Map();
  /** Every event that was durable here and is not lost with a disk; empty unless {@link remember} is called. */
  remembered: Set<string> | undefined = undefined;
  /** Copies taken before each of the last transactions, while {@link tearing}. */
  #undo: AgentStoreCopy[] = [];
  #tearing = 0;
  auditLast = 0n;
  auditAcked = 0n;
  index: StoredIndex | undefined = undefined;
  term = 0n;
  revocationSerial = 0n;
  /** Every step since the store was made; only while the real store stands beside. */
  history: readonly OutboxStep[] = [];
  #real: RealOutbox | undefined = undefined;
  /** Called for each acknowledgement of a fact or of audit, to compare with what the hub holds. */
  onAcknowledged: (write: SpokeWrite) => void = () => {};

  /** True when these are the bytes that the digest names. */
  isBody: (digest: string, data: Uint8Array) => boolean = (digest, data) => digestOf(data) === digest;

  /** Every event the hub has. */
  storedTexts: () => Set<string> = () => new Set();

  /** True when the hub has an event under this number. */
  isStored: (epoch: bigint, sequence: bigint) => boolean = () => true;

  /** Called when one side's audit numbers do not follow from the other's: a store was lost. */
  onLoss: (write: SpokeWrite) => void = () => {};

  constructor(cluster: string, storeId = `store-${cluster}`) {
    this.cluster = cluster;
    this.storeId = storeId;
  }

  /** From now on the real store stands beside this one. */
  standBesideReal(): void {
    this.#real = new RealOutbox(this.cluster, this.storeId, this.auditEpoch, []);
  }

  /** The real store, if there is one, is closed. */
  close(): void {
    this.#real?.close();
    this.#real = undefined;
  }

  /** One transaction. */
  commit(writes: readonly SpokeWrite[]): void {
    this.#keep();
    this.#takes({ kind: "commit", writes });
    for (const write of writes) this.#write(write);
  }

  /** From now on the disk may lose its last `transactions` although it said they were safe. */
  tearing(transactions: number): void {
    this.#tearing = transactions;
  }

  /** The machine lost power: the last transactions are gone. Nothing unless the disk was {@link tearing}. */
  tear(): void {
    const copy = this.#undo[0];
    this.#tearing = 0;
    this.#undo = [];
    if (copy !== undefined) this.restore(copy);
  }

  /** What a backup holds. */
  copy(): AgentStoreCopy {
    return {
      items: new Map(this.items),
      blobs: new Map([...this.blobs].map(([digest, blob]) => [digest, { ...blob }])),
      facts: new Map([...this.facts].map(([key, fact]) => [key, { ...fact }])),
      storeId: this.storeId,
      auditEpoch: this.auditEpoch,
      auditEvents: new Map(this.auditEvents),
      auditLast: this.auditLast,
      auditAcked: this.auditAcked,
      index: this.index,
      term: this.term,
      revocationSerial: this.revocationSerial,
      remembered: this.remembered === undefined ? undefined : new Set(this.remembered),
      history: this.history,
    };
  }

  /** The store is what a backup held. */
  restore(copy: AgentStoreCopy): void {
    Object.assign(this, copyOf(copy));
    if (this.#real !== undefined) {
      this.#real.close();
      this.#real = new RealOutbox(this.cluster, this.storeId, this.auditEpoch, this.history);
    }
    if (this.remembered === undefined) return;
    // What the hub lost since the backup, and this store with it, nobody has any more.
    const kept = this.storedTexts();
    for (const text of this.auditEvents.values()) kept.add(text);
    for (const text of this.remembered) if (!kept.has(text)) this.remembered.delete(text);
  }

  /** The disk is gone: a new store, with another id and numbering. */
  wipe(atMs: number): void {
    const empty = new AgentStore(this.cluster, `${this.storeId}'`);
    this.restore({ ...empty.copy(), auditEpoch: this.auditEpoch + BigInt(1 + Math.trunc(atMs)) });
    if (this.remembered === undefined) this.remembered = new Set();
  }

  #takes(step: OutboxStep): void {
    if (this.#real === undefined) return;
    this.#real.take(step);
    this.history = [...this.history, step];
  }

  #keep(): void {
    if (this.#tearing === 0) return;
    this.#undo.push(this.copy());
    if (this.#undo.length > this.#tearing) this.#undo.shift();
  }

  /** What a new process reads back. */
  record(): SpokeRecord {
    const record = this.#record();
    this.#real?.check(record);
    return record;
  }

  #record(): SpokeRecord {
    return {
      storeId: this.storeId,
      index: this.index,
      term: this.term,
      revocationSerial: this.revocationSerial,
      items: [...this.items.values()],
      blobs: [...this.blobs].map(([digest, blob]) => ({
        digest: `sha256:${digest.slice(7)}`,
        held: blob.data.length,
        total: blob.total,
        checked: blob.checked,
      })),
      facts: [...this.facts]
        .filter(([, fact]) => fact.pending)
        .map(([key, fact]) => ({ key, kind: kindOf(fact), reportVersion: fact.version })),
      audit: {
        epoch: this.auditEpoch,
        ackedThrough: this.auditAcked,
        firstHeld: firstOf(this.auditEvents.keys()) ?? this.auditLast + 1n,
        last: this.auditLast,
        backlogBytes: 0n,
      },
    };
  }

  /** The outbox takes a new report of a key. */
  putFact(name: string): { readonly key: string; readonly version: bigint } {
    this.#keep();
    const key = `packReceiptReport/${name}`;
    const version = (this.facts.get(key)?.version ?? 0n) + 1n;
    this.facts.set(key, { version, pending: true });
    this.#takes({ kind: "fact", key, of: "packReceiptReport" });
    return { key, version };
  }

  /** The outbox takes what the tenant says of its permission snapshot. */
  putSnapshotReceipt(snapshot: SnapshotReceiptContent): bigint {
    this.#keep();
    const version = (this.facts.get(SNAPSHOT_RECEIPT)?.version ?? 0n) + 1n;
    this.facts.set(SNAPSHOT_RECEIPT, { version, pending: true, snapshot });
    this.#takes({ kind: "fact", key: SNAPSHOT_RECEIPT, of: "snapshotReceiptReport" });
    return version;
  }

  /** Reads pending reports. */
  loadFacts(keys: readonly string[]): LoadedFact[] {
    const loaded: LoadedFact[] = [];
    for (const key of keys) {
      const fact = this.facts.get(key);
      if (fact?.pending !== true) continue;
      if (fact.snapshot !== undefined) {
        const value = create(SnapshotReceiptReportSchema, { ...fact.snapshot, reportVersion: fact.version });
        const payload = { case: "snapshotReceiptReport", value } as const;
        loaded.push({ key, kind: payload.case, reportVersion: fact.version, payload, bytes: 400 });
        continue;
      }
      const receiptName = key.slice("packReceiptReport/".length);
      const value = create(PackReceiptReportSchema, { receiptName, reportVersion: fact.version });
      const payload = { case: "packReceiptReport", value } as const;
      loaded.push({ key, kind: "packReceiptReport", reportVersion: fact.version, payload, bytes: 200 });
    }
    this.#real?.checkFacts(keys, new Map(loaded.map(({ key, reportVersion }) => [key, reportVersion])));
    return loaded;
  }

  /** Appends audit events. */
  appendAudit(count: number, text: string): bigint {
    this.#keep();
    this.#takes({ kind: "audit", texts: Array.from({ length: count }, (_, at) => `${text}/${at}`) });
    return this.#append(count, text);
  }

  #append(count: number, text: string): bigint {
    for (let i = 0; i < count; i++) {
      this.auditEvents.set(++this.auditLast, `${text}/${i}`);
      this.remembered?.add(`${text}/${i}`);
    }
    return this.auditLast;
  }

  /** Reads a batch of consecutive events. */
  loadAudit(from: bigint, maxEvents: number, maxBytes: number): { batch: AuditEventBatch | undefined; bytes: number } {
    const events = [];
    let bytes = 0;
    for (let sequence = from; events.length < maxEvents; sequence++) {
      const text = this.auditEvents.get(sequence);
      if (text === undefined || bytes + text.length > maxBytes) break;
      bytes += text.length;
      events.push(create(AuditEventSchema, { sequence, event: Buffer.from(text), hash: auditHashOf(text) }));
    }
    this.#real?.checkBatch(
      this.auditEpoch,
      from,
      events.map(({ sequence }) => sequence),
    );
    if (events.length === 0) return { batch: undefined, bytes: 0 };
    return {
      batch: create(AuditEventBatchSchema, { epoch: this.auditEpoch, events }),
      bytes: bytes + events.length * 96,
    };
  }

  #write(write: SpokeWrite): void {
    switch (write.type) {
      case "PutIndex": {
        const before = positionOf(this.index);
        const after = positionOf(write.index);
        must(
          after.epoch > before.epoch || after.sequence > before.sequence,
          `${this.cluster}: index position goes down`,
        );
        this.index = write.index;
        return;
      }
      case "PutTerm":
        must(write.term > this.term, `${this.cluster}: term goes down`);
        this.term = write.term;
        return;
      case "PutRevocationSerial":
        must(write.serial > this.revocationSerial, `${this.cluster}: revocation serial goes down`);
        this.revocationSerial = write.serial;
        return;
      case "PutItem":
        this.#putItem(write.record);
        return;
      case "DeleteItem": {
        const record = this.items.get(write.key);
        must(
          record?.item.deleted === true && record.level === "healthy",
          `${this.cluster}: ${write.key} is forgotten before its tombstone is done`,
        );
        this.items.delete(write.key);
        return;
      }
      case "AppendBlob": {
        const held = this.blobs.get(write.digest);
        must(
          write.offset === 0 || held?.data.length === write.offset,
          `${this.cluster}: ${write.digest} is appended at ${write.offset}, ${held?.data.length ?? 0} bytes are held`,
        );
        const data =
          write.offset === 0 || held === undefined ? Buffer.from(write.data) : Buffer.concat([held.data, write.data]);
        must(data.length <= write.total, `${this.cluster}: ${write.digest} outgrows its size`);
        must(
          !write.checked || this.isBody(write.digest, data),
          `${this.cluster}: ${write.digest} is called checked and is wrong`,
        );
        this.blobs.set(write.digest, { data, total: write.total, checked: write.checked });
        return;
      }
      case "MarkBlobChecked": {
        const held = this.blobs.get(write.digest);
        must(
          held !== undefined && this.isBody(write.digest, held.data),
          `${this.cluster}: ${write.digest} is called checked and is wrong`,
        );
        held.checked = true;
        return;
      }
      case "DeleteBlob":
        this.blobs.delete(write.digest);
        return;
      case "AcknowledgeFact": {
        const fact = this.facts.get(write.key);
        if (fact !== undefined && fact.version === write.reportVersion) fact.pending = false;
        this.onAcknowledged(write);
        return;
      }
      case "ReopenFacts":
        for (const fact of this.facts.values()) fact.pending = true;
        return;
      case "AcknowledgeAudit":
        must(write.through > this.auditAcked, `${this.cluster}: audit acknowledgement goes down`);
        must(write.through <= this.auditLast, `${this.cluster}: audit acknowledgement beyond the log`);
        this.onAcknowledged(write);
        for (const [sequence, text] of this.auditEvents) {
          if (sequence > write.through) break;
          if (!this.isStored(write.epoch, sequence)) this.remembered?.delete(text);
          this.auditEvents.delete(sequence);
        }
        this.auditAcked = write.through;
        return;
      case "MoveAudit":
        this.onLoss(write);
        this.auditEvents = new Map([...this.auditEvents].map(([sequence, text]) => [sequence + write.by, text]));
        this.auditLast += write.by;
        return;
      case "AppendAuditGap":
        this.onLoss(write);
        this.#append(1, `gap ${write.from} to ${write.to}`);
    }
  }

  #putItem(record: ItemRecord): void {
    const key = itemKey(record.item);
    const before = this.items.get(key);
    if (before !== undefined) {
      const [old, next] = [before.item, record.item];
      must(
        record.epoch > before.epoch || next.version >= old.version,
        `${this.cluster}: ${key} goes from version ${old.version} to ${next.version}`,
      );
      if (next.version === old.version && record.epoch === before.epoch) {
        must(next.digest === old.digest, `${this.cluster}: ${key} changes under its version`);
        must(
          ITEM_LEVELS.indexOf(record.level) >= ITEM_LEVELS.indexOf(before.level),
          `${this.cluster}: ${key} goes from ${before.level} back to ${record.level}`,
        );
      }
    }
    this.items.set(key, record);
  }
}

function firstOf<T>(values: Iterable<T>): T | undefined {
  for (const value of values) return value;
  return undefined;
}

function kindOf(fact: StoredFact): "snapshotReceiptReport" | "packReceiptReport" {
  return fact.snapshot === undefined ? "packReceiptReport" : "snapshotReceiptReport";
}

/** A copy that the store may change without changing the backup. */
function copyOf(copy: AgentStoreCopy): AgentStoreCopy {
  return {
    ...copy,
    items: new Map(copy.items),
    blobs: new Map([...copy.blobs].map(([digest, blob]) => [digest, { ...blob }])),
    facts: new Map([...copy.facts].map(([key, fact]) => [key, { ...fact }])),
    auditEvents: new Map(copy.auditEvents),
    remembered: copy.remembered === undefined ? undefined : new Set(copy.remembered),
  };
}

function positionOf(index: StoredIndex | undefined): { epoch: number; sequence: number } {
  if (index === undefined) return { epoch: 0, sequence: 0 };
  return storedDocument(index);
}
