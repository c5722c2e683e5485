import type { AuditRecord, AuditTrail } from "../../api/audit-record.ts";
import { aborted } from "../../base/aborted.ts";
import { type BackoffPolicy, fullJitter } from "../../base/backoff.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { ulid } from "../../base/ids.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import { type Metrics, silentMetrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";

/** Records that may wait while the log takes none; beyond it they are counted by action and reported when there is room. */
export const MAX_WAITING_RECORDS = 10_000;
/** Records handed to the log at once: they share one commit. */
const GROUP = 256;
/** Backoff while the log takes nothing. */
const RETRY: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 30_000 };
/** Largest canonical form of a record's details, bytes; larger ones are left out, which the event says. */
const MAX_DETAILS_BYTES = 16 * 1024;
/** Longest wait for the log when the process stops, milliseconds. */
const CLOSE_MS = 2_000;
/** Longest text of a record, UTF-16 units. */
const MAX_TEXT = 1_024;

/** What {@link startAuditTrail} needs. */
export interface AuditTrailOptions {
  /** The log: resolves when an event is durable. */
  readonly lane: { audit(event: JsonObject): Promise<void> };
  /** Records that may wait now, when fewer than {@link MAX_WAITING_RECORDS}. */
  readonly maxWaiting?: () => number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics?: Metrics;
  readonly signal: AbortSignal;
}

/** A running trail. */
export interface RunningAuditTrail extends AuditTrail {
  /** Resolves after the signal has aborted and what the log still took is durable. */
  readonly closed: Promise<void>;
}

/**
 * The way of every record but decisions into a log: nothing waits for it, nothing is dropped in silence. While the log refuses (its hard
 * limit, a full disk) records wait in memory, and what finds no place there is counted and reported as `audit.missed`.
 */
export function startAuditTrail(options: AuditTrailOptions): RunningAuditTrail {
  return new QueuedTrail(options);
}

interface Waiting {
  readonly event: JsonObject;
  /** Lets the recorder go on. */
  readonly done: () => void;
}

class QueuedTrail implements RunningAuditTrail {
  readonly closed: Promise<void>;
  readonly #options: AuditTrailOptions;
  readonly #metrics: Metrics;
  #waiting: Waiting[] = [];
  /** By action. */
  readonly #missed = new Map<string, number>();
  #failing = false;
  #draining: Promise<void> | undefined;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
    this.#metrics = options.metrics ?? silentMetrics;
    const { signal } = options;
    this.closed = aborted(signal).then(async () => {
      // A log that was never opened takes nothing and refuses nothing.
      if (this.#draining !== undefined) await Promise.race([this.#draining, options.clock.sleep(CLOSE_MS)]);
      const lost = this.#waiting.length + this.#missedCount();
      if (lost > 0) options.log.error({ lost }, "the audit log took no events until the end; these are lost");
    });
  }

  record(record: AuditRecord): Promise<void> {
    if (this.#waiting.length >= (this.#options.maxWaiting?.() ?? MAX_WAITING_RECORDS)) {
      this.#missed.set(record.action, (this.#missed.get(record.action) ?? 0) + 1);
      this.#metrics.count("audit_records_missed_total");
      return Promise.resolve();
    }
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ event: this.#eventOf(record), done: done.resolve });
    this.#draining ??= this.#drain();
    return this.#failing ? Promise.resolve() : done.promise;
  }

  async #drain(): Promise<void> {
    const { lane, clock, random, log, signal } = this.#options;
    let failures = 0;
    // Records of one turn leave together.
    await Promise.resolve();
    while (this.#waiting.length > 0 || this.#missed.size > 0) {
      this.#reportMissed();
      const group = this.#waiting.splice(0, GROUP);
      const outcomes = await Promise.allSettled(group.map(({ event }) => lane.audit(event)));
      const refused = group.filter((_, at) => outcomes[at]?.status === "rejected");
      for (const { done } of group) done();
      this.#failing = refused.length > 0;
      this.#metrics.gauge("audit_records_waiting", refused.length + this.#waiting.length);
      if (refused.length === 0) {
        failures = 0;
        continue;
      }
      this.#waiting = [...refused, ...this.#waiting];
      for (const { done } of this.#waiting) done();
      const first = outcomes.find((outcome) => outcome.status === "rejected");
      log.warn(
        { waiting: this.#waiting.length, error: errorMessage(first?.reason) },
        "the audit log takes no events; they wait",
      );
      if (signal.aborted) break;
      await clock.sleep(RETRY.baseMs / 2 + fullJitter(RETRY, failures++, random), signal).catch(() => {
        // one last try
      });
    }
    this.#draining = undefined;
  }

  /** What found no place stands in the log as counts, once there is room for the record of it. */
  #reportMissed(): void {
    if (this.#missed.size === 0 || this.#waiting.length > MAX_WAITING_RECORDS / 2) return;
    const actions = Object.fromEntries([...this.#missed].sort(([a], [b]) => (a < b ? -1 : 1)));
    const count = this.#missedCount();
    this.#missed.clear();
    const record = { action: "audit.missed", decision: "system", subject: "audit", resource: "audit log" } as const;
    this.#waiting.push({
      event: this.#eventOf({ ...record, details: { count, actions } }),
      done: () => {},
    });
  }

  #missedCount(): number {
    return [...this.#missed.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Its id and time are those of the moment, however often the log is asked to take it. */
  #eventOf({ details, lineageIndexRef, ...texts }: AuditRecord): JsonObject {
    const { clock, random } = this.#options;
    const bounded = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text.slice(0, MAX_TEXT)]));
    return {
      eventId: ulid(clock, random),
      time: rfc3339(clock.now()),
      ...bounded,
      ...(lineageIndexRef !== undefined && { lineageIndexRef: { ...lineageIndexRef } }),
      ...(details !== undefined && detailsOf(details)),
    };
  }
}

function detailsOf(details: JsonObject): JsonObject {
  const bytes = Buffer.byteLength(canonicalJson(details));
  return bytes <= MAX_DETAILS_BYTES ? { details } : { detailsOmittedBytes: bytes };
}
