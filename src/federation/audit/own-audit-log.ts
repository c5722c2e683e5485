import { create } from "@bufbuild/protobuf";
import { WelcomeSchema } from "../../api/gen/conductor/federation/v1alpha1/session_pb.ts";
import { AuditEventBatchSchema } from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { aborted } from "../../base/aborted.ts";
import { type BackoffPolicy, fullJitter } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Log } from "../../base/log.ts";
import { type Metrics, silentMetrics } from "../../base/metrics.ts";
import type { Random } from "../../base/random.ts";
import type { AuditSink } from "../hub/ports.ts";
import { DEFAULT_AUDIT_CAP } from "../outbox/audit-log.ts";
import { AuditPressureWatch } from "../outbox/audit-pressure-watch.ts";
import { factOutbox } from "../outbox/fact-outbox.ts";
import { type Outbox, openOutbox } from "../outbox/outbox.ts";
import { AUDIT_BATCH_BYTES, AUDIT_BATCH_EVENTS } from "../session/limits.ts";
import { AuditLane } from "../session/spoke/audit-lane.ts";
import { zeroCounters } from "../session/spoke/counters.ts";
import type { SpokeWrite } from "../session/spoke/record.ts";
import type { SpokeStep } from "../session/spoke/step.ts";
import { Tokens } from "../session/tokens.ts";
import { type RunningAuditTrail, startAuditTrail } from "./audit-trail.ts";

/** What {@link openOwnAuditLog} needs. */
export interface OwnAuditLogOptions {
  /** Name of the management cluster: no tenant can have it. */
  readonly cluster: string;
  /** Folder of the store of this process; created with mode 0700. */
  readonly directory: string;
  readonly sink: AuditSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics?: Metrics;
  readonly signal: AbortSignal;
}

/** The log of a hub process. */
export interface OwnAuditLog extends RunningAuditTrail {
  /** For events that have a buffer of their own: resolves when the event is durable. */
  readonly lane: { audit(event: JsonObject): Promise<void> };
}

/** Backoff while the sink stores nothing. */
const RETRY: BackoffPolicy = { baseMs: 500, factor: 2, capMs: 30_000 };
/** Bits of chance in an epoch of the hub's own numbering. */
const EPOCH_CHANCE_BITS = 20;

/**
 * The audit log of a hub process about what it did itself: durable on its own disk first, so that neither a sink that is away nor a crash
 * loses an event, then in the sink like a tenant's. Each replica numbers and chains its own events: an epoch of the management cluster's
 * log for each store.
 *
 * @throws SeamError when the store cannot be opened (locked, newer, unwritable, corrupt)
 */
export async function openOwnAuditLog(options: OwnAuditLogOptions): Promise<OwnAuditLog> {
  const { cluster, directory, sink, clock, random, signal } = options;
  const log = options.log.child({ component: "own-audit-log" });
  const metrics = options.metrics ?? silentMetrics;
  const watch = new AuditPressureWatch({
    outbox: await openOutbox({ directory, clock, random, auditEpoch: ownEpoch(clock, random) }),
    capBytes: DEFAULT_AUDIT_CAP.capBytes,
    metrics,
    told: ({ pressure, backlogBytes }) => {
      if (pressure !== "normal")
        log.error(
          { pressure, backlogBytes },
          "the hub's own audit log fills: its sink takes nothing, see check audit-sink",
        );
    },
  });
  const { outbox } = watch;
  await watch.look();
  const forwarding = new Forwarding(cluster, outbox, sink, log);
  const { audit } = factOutbox({
    cluster,
    outbox,
    clock,
    random,
    listener: {
      factPending: () => {},
      auditAppended: (appended) => {
        watch.appended(appended);
        forwarding.wake();
      },
    },
  });
  const trailEnds = new AbortController();
  const trail = startAuditTrail({ lane: { audit }, clock, random, log, metrics, signal: trailEnds.signal });
  const forward = async (): Promise<void> => {
    let failures = 0;
    for (;;) {
      try {
        await forwarding.untilNothingWaits();
        failures = 0;
        if (signal.aborted) return;
        await forwarding.woken(signal);
      } catch (error) {
        if (signal.aborted) return; // what is left goes at the next start
        log.warn({ error: errorMessage(error) }, "the sink does not take the hub's own audit events; they are kept");
        await clock.sleep(RETRY.baseMs / 2 + fullJitter(RETRY, failures++, random), signal).catch(() => {
          // the process stops; one last try
        });
      }
    }
  };
  const close = async (): Promise<void> => {
    await aborted(signal);
    trailEnds.abort(signal.reason);
    await trail.closed;
    await forwarded;
    await outbox.close();
  };
  const forwarded = forward();
  return { record: (record) => trail.record(record), lane: { audit }, closed: close() };
}

/**
 * Unix seconds and chance: stores that two replicas make in the same second have one numbering each. Far below 2^53 for two centuries.
 */
function ownEpoch(clock: Clock, random: Random): bigint {
  const chance = BigInt(Math.floor(random.next() * 2 ** EPOCH_CHANCE_BITS));
  return (BigInt(Math.floor(clock.now() / 1000)) << BigInt(EPOCH_CHANCE_BITS)) + chance;
}

/** Moves a log into the sink, by the rules of the agents' audit lane. */
class Forwarding {
  readonly #cluster: string;
  readonly #outbox: Outbox;
  readonly #sink: AuditSink;
  readonly #log: Log;
  #resumed = false;
  /** Where the sink had a hole that was explained to it: explaining it again does not help. */
  #holeAfter: bigint | undefined;
  #epoch = 0n;
  #next = 0n;
  #wake: (() => void) | undefined;
  #grew = false;

  constructor(cluster: string, outbox: Outbox, sink: AuditSink, log: Log) {
    this.#log = log;
    this.#cluster = cluster;
    this.#outbox = outbox;
    this.#sink = sink;
  }

  /** The log grew. */
  wake(): void {
    this.#grew = true;
    this.#wake?.();
  }

  /** Resolves when the log has grown since it was last looked at, or the signal aborts. */
  async woken(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener("abort", onAbort, { once: true });
    while (!this.#grew && !signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    signal.removeEventListener("abort", onAbort);
  }

  /** @throws when the sink takes nothing */
  async untilNothingWaits(): Promise<void> {
    if (!this.#resumed) await this.#resume();
    for (;;) {
      this.#grew = false;
      const events = await this.#outbox.loadAudit(this.#epoch, this.#next, AUDIT_BATCH_EVENTS, AUDIT_BATCH_BYTES);
      const last = events.at(-1);
      if (last === undefined) return;
      const batch = create(AuditEventBatchSchema, { epoch: this.#epoch, events: [...events] });
      const { contiguousThrough, rejected } = await this.#sink.append(this.#cluster, batch);
      if (rejected.length > 0)
        this.#log.error({ rejected: rejected.map(rejectionText) }, "the sink refused own events");
      await this.#outbox.apply([
        { type: "AcknowledgeAudit", epoch: this.#epoch, through: smaller(contiguousThrough, last.sequence) },
      ]);
      this.#next = last.sequence + 1n;
      if (contiguousThrough >= last.sequence) continue;
      if (contiguousThrough === this.#holeAfter) throw notContiguous(this.#cluster, contiguousThrough);
      // The sink lacks what it had: it says where it stands, and what this store has no more is explained.
      this.#holeAfter = contiguousThrough;
      await this.#resume();
    }
  }

  /** Where the sink stands decides where the log goes on. */
  async #resume(): Promise<void> {
    const cursor = await this.#outbox.auditCursor();
    const position = await this.#sink.position(this.#cluster, cursor.epoch);
    const lane = new AuditLane(new Tokens(), zeroCounters(), cursor);
    const persist: SpokeWrite[] = [];
    const welcome = create(WelcomeSchema, {
      auditResumeSequence: position.contiguousThrough,
      auditHighestSequence: position.highest,
      auditHighestHash: position.highestHash ?? new Uint8Array(),
    });
    const step: SpokeStep = { nowMs: 0, wallMs: 0, atOnce: [], persist, out: [] };
    lane.opened(welcome, step);
    for (const effect of step.out) {
      if (effect.type !== "LoadAudit") continue;
      const { token, epoch, from, maxEvents, maxBytes } = effect;
      const events = await this.#outbox.loadAudit(epoch, from, maxEvents, maxBytes);
      const batch = create(AuditEventBatchSchema, { epoch, events: [...events] });
      lane.take(token, batch, 0, step);
    }
    await this.#outbox.apply(persist);
    const now = await this.#outbox.auditCursor();
    const after = position.contiguousThrough + 1n;
    this.#epoch = now.epoch;
    this.#next = after > now.firstHeld ? after : now.firstHeld;
    this.#resumed = true;
  }
}

function notContiguous(cluster: string, through: bigint): SeamError {
  return new SeamError({
    reason: "AuditSinkIncomplete",
    object: `audit log of ${cluster}`,
    expected: `stored without a hole, found one after number ${through}`,
    remedy: "it is tried again; seamctl audit verify names what is missing",
  });
}

function rejectionText({ sequence, code }: { readonly sequence: bigint; readonly code: string }): string {
  return `${sequence} ${code}`;
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
