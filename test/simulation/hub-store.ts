import { create } from "@bufbuild/protobuf";
import {
  type RevocationPush,
  RevocationPushSchema,
} from "../../src/api/gen/conductor/federation/v1alpha1/commands_pb.ts";
import type { ItemReport } from "../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import type { AuditEventBatch } from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { AuditAppendResult, AuditSinkPosition } from "../../src/federation/hub/ports.ts";
import { type IndexRevocation, itemKey } from "../../src/federation/index/index-document.ts";
import type { Fact } from "../../src/federation/session/hub/effects.ts";
import type { StoreOutcome } from "../../src/federation/session/hub/events.ts";
import type { SpokeWrite } from "../../src/federation/session/spoke/record.ts";
import { must } from "./world.ts";

/** Name of a report that the simulated hub refuses for good. */
export const REFUSED_FACT = "never-stored";

/** What lasts behind the hub for one tenant: facts, item levels, audit, revocations, ownership. */
export class HubStore {
  readonly cluster: string;
  readonly facts: Map<string, bigint> = new Map();
  readonly levels: Map<string, ItemReport> = new Map();
  readonly audit: Map<bigint, string> = new Map();
  auditThrough = 0n;
  auditHighest = 0n;
  term = 0n;
  pending: RevocationPush[] = [];
  #serial = 0n;

  constructor(cluster: string) {
    this.cluster = cluster;
  }

  /** A revocation enters the outbox. */
  revoke({ target, name, floor, serial }: IndexRevocation): void {
    this.#serial = BigInt(serial);
    const revocationId = `${this.cluster}/${serial}`;
    const push = { target, resourceName: name, minSerial: BigInt(floor), revocationId, serial: this.#serial };
    this.pending = [...this.pending, create(RevocationPushSchema, push)];
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
        if (fact.payload.case !== "packReceiptReport") return { kind: "stored" };
        const { receiptName, reportVersion } = fact.payload.value;
        if (receiptName === REFUSED_FACT) return { kind: "refused", reason: "REFUSED", detail: "not for this hub" };
        const before = this.facts.get(fact.key) ?? 0n;
        must(reportVersion >= before, `${this.cluster}: ${fact.key} is stored at ${reportVersion} after ${before}`);
        this.facts.set(fact.key, reportVersion);
        return { kind: "stored" };
      }
      case "revocation":
        if (fact.applied) this.pending = this.pending.filter((push) => push.serial !== fact.serial);
        return { kind: "stored" };
    }
  }

  /** Insert-if-absent on the number; equal numbers must have equal events. */
  append(batch: AuditEventBatch): AuditAppendResult {
    for (const event of batch.events) {
      const text = Buffer.from(event.event).toString();
      const before = this.audit.get(event.sequence);
      must(before === undefined || before === text, `${this.cluster}: audit number ${event.sequence} means two events`);
      this.audit.set(event.sequence, text);
      if (event.sequence > this.auditHighest) this.auditHighest = event.sequence;
    }
    while (this.audit.has(this.auditThrough + 1n)) this.auditThrough++;
    return { ...this.position(), rejected: [] };
  }

  position(): AuditSinkPosition {
    return { contiguousThrough: this.auditThrough, highest: this.auditHighest };
  }

  /** An agent takes something for stored: it must be. */
  check(write: SpokeWrite): void {
    if (write.type === "AcknowledgeFact") {
      const refused = write.key === `packReceiptReport/${REFUSED_FACT}`;
      must(
        refused || (this.facts.get(write.key) ?? 0n) >= write.reportVersion,
        `${this.cluster}: ${write.key}@${write.reportVersion} is acknowledged and not stored`,
      );
    }
    if (write.type === "AcknowledgeAudit")
      must(
        write.through <= this.auditThrough,
        `${this.cluster}: audit is acknowledged through ${write.through}, stored through ${this.auditThrough}`,
      );
  }

  #item(report: ItemReport): void {
    const key = itemKey(report);
    const before = this.levels.get(key);
    must(
      before === undefined || report.version >= before.version,
      `${this.cluster}: ${key} is recorded at version ${report.version} after ${before?.version ?? 0n}`,
    );
    this.levels.set(key, report);
  }
}
