import { type Clock, rfc3339Seconds } from "../base/clock.ts";
import { sha256Hex } from "../base/digest.ts";
import { errorMessage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Event, type EventObject } from "../api/builtin.ts";
import type { KubeObject } from "../api/object.ts";
import { isStatus } from "../cluster/api-status-error.ts";
import type { Cluster } from "../cluster/cluster.ts";

/** Records Kubernetes Events about objects. Best effort: never waits, never throws, never grows without bound. */
export interface EventRecorder {
  /**
   * @param reason CamelCase, for example `PackSigned`
   * @param message for people
   */
  record(regarding: KubeObject, type: "Normal" | "Warning", reason: string, message: string): void;
  /** Resolves when the signal has aborted and the last event was written or given up. */
  readonly closed: Promise<void>;
}

/** Options of {@link startEventRecorder}. */
export interface EventRecorderOptions {
  readonly cluster: Cluster;
  /** Reporting component, for example `dispatcher`. */
  readonly component: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Equal events within this time raise the count of one object. */
const AGGREGATE_MS = 600_000;
/** Distinct events remembered for aggregation. */
const MAX_SERIES = 4096;
/** Events waiting to be written; more are dropped and counted in the log. */
const MAX_PENDING = 1000;
/** Burst of new events about one object, and how often one more is allowed after that (as client-go's spam filter). */
const OBJECT_BURST = 25;
const OBJECT_REFILL_MS = 300_000;
const MAX_MESSAGE = 1024;

interface Series {
  readonly name: string;
  readonly namespace: string;
  count: number;
  lastMs: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

interface Pending {
  readonly regarding: KubeObject;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** Starts a recorder. */
export function startEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

class Recorder implements EventRecorder {
  readonly closed: Promise<void>;
  readonly #options: EventRecorderOptions;
  /** Insertion order is age: the oldest goes first when full. */
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #pending: Pending[] = [];
  #wake: () => void = () => {};
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#wake(), { once: true });
    this.closed = this.#run();
  }

  record(regarding: KubeObject, type: "Normal" | "Warning", reason: string, message: string): void {
    if (this.#options.signal.aborted) return;
    if (this.#pending.length >= MAX_PENDING) {
      this.#dropped += 1;
      return;
    }
    this.#pending.push({ regarding, type, reason, message: message.slice(0, MAX_MESSAGE) });
    this.#wake();
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#options;
    while (!signal.aborted) {
      const next = this.#pending.shift();
      if (next === undefined) {
        if (this.#dropped > 0) log.warn({ dropped: this.#dropped }, "too many events at once, some were not recorded");
        this.#dropped = 0;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        await this.#write(next);
      } catch (error) {
        log.debug({ reason: next.reason, error: errorMessage(error) }, "event not recorded");
      }
    }
  }

  async #write(event: Pending): Promise<void> {
    const { cluster, clock, component } = this.#options;
    const { metadata, kind } = event.regarding;
    const about = `${metadata.uid ?? ""}/${kind}/${metadata.namespace ?? ""}/${metadata.name}`;
    const key = `${about}/${event.type}/${event.reason}/${sha256Hex(event.message)}`;
    const now = clock.now();
    const known = this.#series.get(key);
    if (known !== undefined && now - known.lastMs < AGGREGATE_MS) {
      known.count += 1;
      known.lastMs = now;
      try {
        await cluster.patch(
          Event,
          { namespace: known.namespace, name: known.name },
          { type: "merge", body: { count: known.count, lastTimestamp: rfc3339Seconds(now) } },
          { fieldManager: component },
        );
        return;
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
        this.#series.delete(key); // it expired on the server: start a new one
      }
    }
    if (!this.#allowed(about, clock.monotonic())) return;
    const namespace = metadata.namespace ?? "default";
    const suffix = Buffer.from(this.#options.random.bytes(8)).toString("hex");
    const name = `${metadata.name.slice(0, 230)}.${suffix}`;
    const object: EventObject = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace },
      involvedObject: {
        apiVersion: event.regarding.apiVersion,
        kind,
        name: metadata.name,
        ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
        ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
        ...(metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion }),
      },
      reason: event.reason,
      message: event.message,
      type: event.type,
      count: 1,
      firstTimestamp: rfc3339Seconds(now),
      lastTimestamp: rfc3339Seconds(now),
      source: { component },
      reportingComponent: component,
      reportingInstance: component,
    };
    await cluster.create(Event, object, { fieldManager: component });
    remember(this.#series, key, { name, namespace, count: 1, lastMs: now });
  }

  #allowed(about: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(about) ?? { tokens: OBJECT_BURST, atMs: nowMs };
    bucket.tokens = Math.min(OBJECT_BURST, bucket.tokens + (nowMs - bucket.atMs) / OBJECT_REFILL_MS);
    bucket.atMs = nowMs;
    remember(this.#buckets, about, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}

/** Stores as the youngest entry and forgets the oldest beyond the limit. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MAX_SERIES) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
