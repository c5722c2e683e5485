import { create } from "@bufbuild/protobuf";
import {
  type AuditEventBatch,
  AuditEventBatchSchema,
} from "../../src/api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { CHAIN_START, auditHash } from "../../src/federation/audit/audit-chain.ts";
import type { SinkEvent } from "../../src/federation/audit/sink-batch.ts";

/** A chain of events as a tenant numbers them, one after the other. */
export class EventChain {
  readonly events: SinkEvent[] = [];
  #next = 1n;
  #previous: Uint8Array = CHAIN_START;

  /** An event of these members. */
  add(fields: Readonly<Record<string, string>> = {}): this {
    const sorted = Object.fromEntries(Object.entries({ action: "a", ...fields }).sort(([a], [b]) => (a < b ? -1 : 1)));
    return this.put(Buffer.from(JSON.stringify(sorted)), this.#next);
  }

  /** An event whose record speaks for numbers through `through`. */
  put(event: Uint8Array, through: bigint, lastHash?: Uint8Array): this {
    const hash = auditHash(this.#previous, this.#next, event);
    this.events.push({ sequence: this.#next, event, prevHash: this.#previous, hash });
    this.#next = through + 1n;
    this.#previous = lastHash ?? hash;
    return this;
  }

  addMany(count: number, fields: Readonly<Record<string, string>> = {}): this {
    for (let n = 0; n < count; n++) this.add(fields);
    return this;
  }
}

/** A batch as it comes from the wire. */
export function batchOf(epoch: bigint, events: readonly SinkEvent[]): AuditEventBatch {
  return create(AuditEventBatchSchema, { epoch, events: [...events] });
}
