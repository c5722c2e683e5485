import { SparseMap } from "../../../base/sparse-map.ts";
import { create } from "@bufbuild/protobuf";
import {
  type ItemReport,
  ItemReport_Level,
  ItemRetrySchema,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { itemKey } from "../../index/index-document.ts";
import { MAX_PENDING_RETRIES } from "../limits.ts";
import { payloadBytes } from "../payload-size.ts";
import type { Payload } from "../payload.ts";
import type { IndexOffers } from "./index-offers.ts";
import { EARLY_RETRY_MS, type RetryOrder } from "./retry-order.ts";
import type { HubPipe, HubStep } from "./step.ts";

interface Pending {
  readonly order: RetryOrder;
  sent: boolean;
  /** The store was told that nothing is left to do; until it says so itself, nothing is done again. */
  settled: boolean;
}

/**
 * Operator's retries that were not carried out yet, as the store has them: they outlive the replica that took them and wait for an agent
 * that is away. An order is about one content. It is sent while that content is quarantined, and waits a while when no refusal is
 * known yet. It is over when the agent has it, and when there is nothing left to retry: the content changed, took effect or left.
 */
export class OperatorRetries {
  readonly #pending: SparseMap<string, Pending> = new SparseMap();

  /** The whole list of orders. Returns true when it has one that was not known. */
  change(orders: readonly RetryOrder[]): boolean {
    const ids = new Set(orders.map(({ id }) => id));
    for (const id of this.#pending.keys()) if (!ids.has(id)) this.#pending.delete(id);
    const before = this.#pending.size;
    for (const order of orders)
      if (!this.#pending.has(order.id) && this.#pending.size < MAX_PENDING_RETRIES)
        this.#pending.set(order.id, { order, sent: false, settled: false });
    return this.#pending.size > before;
  }

  /** A stream went live: none was sent on it. */
  opened(levels: readonly ItemReport[], step: HubStep): void {
    for (const pending of this.#pending.values()) pending.sent = false;
    if (this.#pending.size > 0) for (const report of levels) this.observe(report, step);
  }

  /** What took effect needs no retry. */
  observe(report: ItemReport, step: HubStep): void {
    if (report.level !== ItemReport_Level.HEALTHY || report.nack !== undefined) return;
    for (const { order } of this.#pending.values())
      if (order.kind === report.kind && order.name === report.name && order.digest === report.digest)
        this.#settle(order.id, step);
  }

  /** The agent has an order, durably. */
  acknowledged(id: string, step: HubStep): void {
    if (this.#pending.get(id)?.sent === true) this.#settle(id, step);
  }

  /** Queues what was not sent and can be carried out; settles what cannot any more. */
  pump(pipe: HubPipe, { desired, quarantine }: Pick<IndexOffers, "desired" | "quarantine">, step: HubStep): void {
    if (this.#pending.size === 0 || desired === undefined) return;
    let wanted: ReadonlyMap<string, string> | undefined;
    for (const pending of this.#pending.values()) {
      if (pending.sent || pending.settled) continue;
      const { id, kind, name, digest, orderedAtMs } = pending.order;
      const key = itemKey(pending.order);
      wanted ??= new Map(desired.document.items.map((item) => [itemKey(item), item.digest]));
      if (wanted.get(key) !== digest) {
        this.#settle(id, step);
      } else if (quarantine.get(key)?.digest === digest) {
        const value = create(ItemRetrySchema, { kind, name, digest, orderId: id });
        const payload: Payload = { case: "itemRetry", value };
        pending.sent = pipe.queue.push("command", payload, payloadBytes(payload), `retry/${id}`, { kind: "retry", id });
      } else if (step.wallMs - orderedAtMs > EARLY_RETRY_MS) {
        this.#settle(id, step);
      }
    }
  }

  #settle(id: string, step: HubStep): void {
    const pending = this.#pending.get(id);
    if (pending === undefined || pending.settled) return;
    pending.settled = true;
    step.out.push({ type: "SettleRetry", id });
  }
}
