import type { BackoffPolicy } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { errorMessage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { type Metrics, silentMetrics } from "../base/metrics.ts";
import { nextTurn } from "../base/next-turn.ts";
import type { Random } from "../base/random.ts";
import { type ObjectKey, keyText, parseKeyText } from "../api/object.ts";
import { isStatus } from "../cluster/api-status-error.ts";
import { WorkQueue } from "./queue/work-queue.ts";
import type { Source } from "./source.ts";

/** What a reconcile asks for. */
export interface Result {
  /** Reconcile the same key again after this long, milliseconds; absent waits for a watch. */
  readonly requeueAfterMs?: number;
}

/**
 * Brings one object nearer to what it should be. Level-based: it sees the world, never the event that woke it, and must be safe to
 * repeat. A throw is retried with the key's own backoff; a 409 Conflict is ordinary and retried quietly.
 */
export type Reconciler = (key: ObjectKey, signal: AbortSignal) => Promise<Result | void>;

/** Options of {@link startController}. */
export interface ControllerOptions {
  /** For logs and metrics, for example `packdelivery`. */
  readonly name: string;
  readonly reconcile: Reconciler;
  /** Where keys come from. Reconciling starts after all of them synced. */
  readonly sources: readonly Source[];
  /** Keys reconciled at once; one key never twice at once. Default 4. */
  readonly workers?: number;
  /** Backoff of a failing key. */
  readonly retry?: BackoffPolicy;
  readonly metrics?: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** How a reconcile ended, as the label `result` of controller-runtime's metrics. */
type Outcome = "success" | "requeue_after" | "conflict" | "error";

/** A running controller. */
export interface Controller {
  /** Adds a key by hand, for example after a timer or a message. */
  enqueue(key: ObjectKey): void;
  /** Adds a key after `ms`. */
  enqueueAfter(key: ObjectKey, ms: number): void;
  /** Keys waiting for a worker. */
  readonly depth: number;
  /** True when nothing is ready or being reconciled. */
  readonly idle: boolean;
  /** Resolves when the signal has aborted and the last reconcile has ended. */
  readonly closed: Promise<void>;
}

const DEFAULT_WORKERS = 4;
/** Failures in a row after which a key's error is logged as an error rather than a warning. */
const LOUD_AFTER_FAILURES = 5;
/** A worker that finds everything as it should be never waits for anything: after this long, milliseconds, others have their turn. */
const TURN_MS = 5;

/** Starts a controller: sources feed the queue, workers reconcile. */
export function startController(options: ControllerOptions): Controller {
  const log = options.log.child({ controller: options.name });
  const metrics = options.metrics ?? silentMetrics;
  const labels = { controller: options.name };
  const queue = new WorkQueue({
    clock: options.clock,
    random: options.random,
    onReady: () => metrics.count("workqueue_adds_total", labels),
    ...(options.retry === undefined ? {} : { retry: options.retry }),
  });
  const enqueue = (key: ObjectKey, afterMs = 0): void => queue.addAfter(keyText(key), afterMs);
  const stops: (() => void)[] = [];

  const run = async (): Promise<void> => {
    const { signal } = options;
    const close = (): void => {
      for (const stop of stops) stop();
      queue.close();
    };
    if (signal.aborted) {
      close();
      return;
    }
    signal.addEventListener("abort", close, { once: true });
    for (const source of options.sources) stops.push(source.subscribe(enqueue));
    try {
      await Promise.all(options.sources.map((source) => source.synced));
    } catch {
      return; // a source stopped before it synced: only the abort signal does that
    }
    await Promise.all(Array.from({ length: options.workers ?? DEFAULT_WORKERS }, () => work()));
  };

  const work = async (): Promise<void> => {
    let began = options.clock.monotonic();
    for (let text = await queue.next(); text !== undefined; text = await queue.next()) {
      try {
        await reconcileOne(text);
      } finally {
        queue.done(text);
      }
      if (options.clock.monotonic() - began < TURN_MS) continue;
      await nextTurn();
      began = options.clock.monotonic();
    }
  };

  const reconcileOne = async (text: string): Promise<void> => {
    const key = parseKeyText(text);
    const started = options.clock.monotonic();
    let outcome: Outcome = "success";
    metrics.gauge("workqueue_depth", queue.depth, labels);
    try {
      const result = await options.reconcile(key, options.signal);
      queue.forget(text);
      if (result?.requeueAfterMs !== undefined) {
        outcome = "requeue_after";
        queue.addAfter(text, result.requeueAfterMs);
      }
    } catch (error) {
      if (options.signal.aborted) return;
      outcome = isStatus(error, "Conflict") ? "conflict" : "error";
      queue.addRateLimited(text);
      metrics.count("workqueue_retries_total", labels);
      const fields = { key: text, error: errorMessage(error), failures: queue.failures(text) };
      if (outcome === "conflict") log.debug(fields, "conflict, reconciling again");
      else if (queue.failures(text) >= LOUD_AFTER_FAILURES) log.error(fields, "reconcile keeps failing");
      else log.warn(fields, "reconcile failed, trying again");
    }
    const seconds = (options.clock.monotonic() - started) / 1000;
    metrics.count("controller_runtime_reconcile_total", { ...labels, result: outcome });
    metrics.observe("controller_runtime_reconcile_time_seconds", seconds, labels);
  };

  return {
    enqueue: (key) => enqueue(key),
    enqueueAfter: enqueue,
    get depth() {
      return queue.depth;
    },
    get idle() {
      return queue.idle;
    },
    closed: run(),
  };
}
