import type { AuditEventBatch } from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { fullJitter } from "../../../base/backoff.ts";
import type { Fact } from "../../session/hub/effects.ts";
import type { StoreOutcome } from "../../session/hub/events.ts";
import { STORE_RETRY } from "../../session/limits.ts";
import type { StatePayload } from "../../session/payload.ts";
import { type AuditAppendResult, FactRefused, OwnershipLost, type WriteFence } from "../ports.ts";
import type { HostScope } from "./host-scope.ts";

/** Stores what one agent says, as long as this replica owns the session, and tells how it went. */
export class FactStoring implements WriteFence {
  readonly #scope: HostScope;
  readonly #lost: (message: string) => void;
  #term = 0n;

  /** @param lost called when a write found another owner of the session that this replica took for its own */
  constructor(scope: HostScope, lost: (message: string) => void) {
    this.#scope = scope;
    this.#lost = lost;
  }

  /** Under which this replica owned the session last. */
  get term(): bigint {
    return this.#term;
  }

  hold(): Promise<void> {
    const { cluster, shared } = this.#scope;
    return shared.options.ownership.hold(cluster, this.#term);
  }

  /** The session is this replica's under a new term. */
  owned(term: bigint): void {
    this.#term = term;
  }

  async store(fact: Fact): Promise<StoreOutcome> {
    const { cluster, shared, log } = this.#scope;
    const { facts, revocations, metrics } = shared.options;
    const term = this.#term;
    try {
      if (fact.kind === "items") await facts.items(cluster, fact.reports, this);
      else if (fact.kind === "state") await this.#storeState(fact.payload);
      else await revocations.acknowledged(cluster, fact.serial, fact);
      return { kind: "stored" };
    } catch (error) {
      if (error instanceof FactRefused) {
        log.warn({ fact: fact.kind, reason: error.reason, detail: error.message }, "fact refused");
        return { kind: "refused", reason: error.reason, detail: error.message };
      }
      if (error instanceof OwnershipLost) {
        log.info({ fact: fact.kind, reason: error.message }, "fact left to the owner of the session");
        metrics.count("federation_fenced_writes_total");
        // Whoever deleted or moved the ownership: on a new stream it is settled anew.
        if (term === this.#term) this.#lost(error.message);
      } else log.warn({ err: error, fact: fact.kind }, "fact could not be stored; it is tried again");
      return { kind: "failed" };
    }
  }

  /** Undefined when the sink failed. */
  async storeAudit(batch: AuditEventBatch): Promise<AuditAppendResult | undefined> {
    const { cluster, shared, log } = this.#scope;
    const { audit, metrics } = shared.options;
    try {
      // No fence: the sink takes each number once, whoever brings it.
      const result = await audit.append(cluster, batch);
      metrics.gauge("audit_acked_seq", Number(result.contiguousThrough), { cluster });
      for (const { sequence, code } of result.rejected)
        log.warn({ sequence: String(sequence), code }, "audit event refused");
      return result;
    } catch (error) {
      log.error({ err: error }, "audit batch could not be stored; it is tried again");
      return undefined;
    }
  }

  /** No fence: an order that is over is over, whoever owns the session now. */
  async settleRetry(id: string): Promise<void> {
    const { cluster, shared, log } = this.#scope;
    const { retries, clock, random, signal } = shared.options;
    for (let attempts = 0; !signal.aborted; attempts++) {
      try {
        await retries.settled(cluster, id);
        return;
      } catch (error) {
        log.warn({ err: error, order: id }, "an operator's retry that is over could not be taken out yet");
        await clock.sleep(fullJitter(STORE_RETRY, attempts, random));
      }
    }
  }

  #storeState(payload: StatePayload): Promise<void> {
    const { cluster, shared } = this.#scope;
    const { facts } = shared.options;
    switch (payload.case) {
      case "packReceiptReport":
        return facts.packReceipt(cluster, payload.value, this);
      case "snapshotReceiptReport":
        return facts.snapshotReceipt(cluster, payload.value, this);
      case "driftReport":
        return facts.drift(cluster, payload.value, this);
      case "capabilityDeclaration":
        return facts.capability(cluster, payload.value, this);
    }
  }
}
