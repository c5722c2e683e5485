import type { Metrics } from "../../base/metrics.ts";
import type { AuditLogState } from "../spoke/ports.ts";

import type { AuditAppended, OutboxStatus } from "./outbox-store.ts";
import type { Outbox } from "./outbox.ts";

/** What {@link AuditPressureWatch} needs. */
export interface AuditPressureWatchParts {
  readonly outbox: Outbox;
  readonly capBytes: number;
  readonly metrics: Metrics;
  /** Hears of another pressure, and of further allows dropped while it lasts. */
  readonly told: (state: AuditLogState) => void;
}

/**
 * Follows how full an audit log is: appends say it, and while it is not normal every acknowledgement may end that, so the store is
 * asked again. Metrics follow every look; the owner hears of changes.
 */
export class AuditPressureWatch {
  /** The store, with its acknowledgements watched. */
  readonly outbox: Outbox;
  readonly #parts: AuditPressureWatchParts;
  #state: AuditLogState | undefined;
  #droppedCounted: number | undefined;
  #looking = false;

  constructor(parts: AuditPressureWatchParts) {
    this.#parts = parts;
    const { outbox } = parts;
    this.outbox = {
      ...outbox,
      apply: async (writes) => {
        await outbox.apply(writes);
        if (this.#state?.pressure !== "normal" && writes.some(({ type }) => type === "AcknowledgeAudit"))
          void this.look();
      },
    };
  }

  /** Looks at the store; at start, and when something was acknowledged. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.#statusSeen(await this.#parts.outbox.status());
    } catch {
      // the store failed or closed: its owner hears of that by its own calls
    } finally {
      this.#looking = false;
    }
  }

  /** Events were appended. */
  appended({ pressure, backlogBytes, last, firstHeld, dropped }: AuditAppended): void {
    this.#seen(pressure, Number(backlogBytes), Number(last - firstHeld + 1n), Number(dropped));
  }

  #statusSeen({ auditPressure, auditBacklogBytes, auditBacklogEvents, auditDropped }: OutboxStatus): void {
    this.#seen(auditPressure, auditBacklogBytes, auditBacklogEvents, auditDropped);
  }

  #seen(pressure: AuditLogState["pressure"], backlogBytes: number, events: number, dropped: number): void {
    const { metrics, capBytes, told } = this.#parts;
    metrics.gauge("wal_bytes", backlogBytes);
    metrics.gauge("wal_unacked_events", events);
    metrics.gauge("wal_near_full", pressure === "normal" ? 0 : 1);
    metrics.gauge("wal_full", pressure === "full" ? 1 : 0);
    if (this.#droppedCounted !== undefined && dropped > this.#droppedCounted)
      metrics.count("wal_dropped_total", {}, dropped - this.#droppedCounted);
    this.#droppedCounted = dropped;
    const before = this.#state;
    const further = pressure === "full" && before !== undefined && dropped - before.dropped >= DROPPED_NEWS;
    if (before?.pressure === pressure && !further) return;
    this.#state = { pressure, backlogBytes, capBytes, dropped };
    told(this.#state);
  }
}

/** Further allows dropped after which the owner hears of it again. */
const DROPPED_NEWS = 100_000;
