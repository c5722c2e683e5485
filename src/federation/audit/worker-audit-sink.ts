import { Worker } from "node:worker_threads";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { AuditAppendResult, AuditResumePoint } from "../hub/ports.ts";
import type { AuditChain, AuditScanResult } from "./audit-log-reader.ts";
import type { ChainState, RetainedSlice, VerifiedSlice } from "./audit-verification.ts";
import type { AuditSinkState, HubAuditSink } from "./hub-audit-sink.ts";
import type { QuarantineAsk } from "./quarantine.ts";
import { movedBuffers, packBatch } from "./sink-batch.ts";
import { type FromSinkWorker, type ToSinkWorker, revived } from "./sink-messages.ts";

/** Parts of {@link openWorkerAuditSink}. */
export interface WorkerAuditSinkOptions {
  /** The worker's module. */
  readonly module: URL;
  /** What the worker is started with: plain data. */
  readonly data: object;
  /** What errors call the store. */
  readonly object: string;
  readonly clock: Clock;
  /** How often followers of the log look for what other replicas stored, milliseconds; 0: nobody else writes. */
  readonly followMs: number;
}

/** Time between probes of a failed store, milliseconds. */
const PROBE_MS = 2_000;
/** Most requests that may wait for the store: sessions send one at a time. */
const MAX_WAITING = 10_000;

/**
 * An audit sink in a worker thread: durable before it answers. Checks, hashes and the store's own work are no burden on the thread that
 * serves streams.
 *
 * @throws SeamError when the store cannot be opened
 */
export async function openWorkerAuditSink(options: WorkerAuditSinkOptions): Promise<HubAuditSink> {
  const { module, data, object, clock, followMs } = options;
  const worker = new Worker(module, { workerData: data, name: "audit-sink" });
  const waiting = new Map<number, { resolve(value: never): void; reject(error: unknown): void }>();
  let nextId = 1;
  let ended: SeamError | undefined;
  let state: AuditSinkState = { ok: true };
  const stopped = new AbortController();
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const fail = (cause: unknown): void => {
    ended = new SeamError({ reason: "StoreClosed", object, expected: "an open audit sink" }, { cause });
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
    if (state.ok) state = { ok: false, sinceMs: clock.now(), detail: ended.message };
    stopped.abort();
  };
  const opened = await new Promise<Pick<HubAuditSink, "warnings" | "shared">>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", (message: FromSinkWorker) => {
      worker.off("error", reject);
      if (message.type === "openFailed") reject(revived(message));
      else if (message.type === "opened") resolve({ warnings: message.warnings, shared: message.shared });
      else reject(new Error(`an audit worker that opens first, found ${message.type}`));
    });
  }).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });
  worker.on("error", fail);
  worker.once("exit", () => fail(undefined));
  worker.on("message", (message: FromSinkWorker) => {
    if (message.type === "opened" || message.type === "openFailed") return;
    const request = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.type === "failure") request?.reject(revived(message));
    else request?.resolve(message.value as never);
  });

  const ask = <T>(message: (id: number) => ToSinkWorker, moved: readonly ArrayBuffer[] = []): Promise<T> =>
    new Promise((resolve: (value: T) => void, reject) => {
      if (ended !== undefined || waiting.size >= MAX_WAITING) {
        reject(
          ended ??
            new SeamError({
              reason: "StoreOverloaded",
              object,
              expected: `at most ${MAX_WAITING} batches waiting for the disk`,
            }),
        );
        return;
      }
      const id = nextId++;
      waiting.set(id, { resolve: resolve as (value: never) => void, reject });
      worker.postMessage(message(id), [...moved]);
    });

  const listeners = new Set<() => void>();
  const notify = (): void => {
    for (const listener of listeners) listener();
  };
  let following: AbortController | undefined;
  const follow = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await clock.sleep(followMs, signal).catch(() => {
        // nobody follows any more
      });
      if (!signal.aborted) notify();
    }
  };
  const failed = (error: unknown): void => {
    const first = state.ok;
    state = { ok: false, sinceMs: state.ok ? clock.now() : state.sinceMs, detail: errorMessage(error) };
    if (first) void recover();
  };
  /** Probes until the store takes writes: nobody else may write, once a replica takes no new agents. */
  const recover = async (): Promise<void> => {
    while (!state.ok) {
      try {
        await clock.sleep(PROBE_MS, stopped.signal);
      } catch {
        return; // closed
      }
      await ask((id) => ({ type: "probe", id })).then(worked, failed);
    }
  };
  const worked = (): void => {
    if (!state.ok) state = { ok: true };
  };
  const chains = (cluster: string | undefined): Promise<readonly AuditChain[]> =>
    ask<readonly AuditChain[]>((id) => ({ type: "chains", id, cluster }));
  /** The worker answers each question with the type of the method that asks it. */
  const askQuarantine = <T>(question: QuarantineAsk): Promise<T> =>
    ask<T>((id) => ({ type: "quarantine", id, ask: question }));
  return {
    ...opened,
    state: () => state,
    async append(cluster, batch) {
      const packed = packBatch(batch);
      const nowMs = clock.now();
      try {
        const result = await ask<AuditAppendResult>(
          (id) => ({ type: "append", id, cluster, batch: packed, nowMs }),
          movedBuffers(packed),
        );
        worked();
        notify();
        return result;
      } catch (error) {
        failed(error);
        throw error;
      }
    },
    async position(cluster, epoch) {
      try {
        return await ask<AuditResumePoint>((id) => ({ type: "position", id, cluster, epoch }));
      } catch (error) {
        failed(error);
        throw error;
      }
    },
    scan: (scan) => ask<AuditScanResult>((id) => ({ type: "scan", id, scan })),
    newest: () => ask<bigint>((id) => ({ type: "newest", id })),
    chains,
    quarantinePage: (cluster, after, limit) => askQuarantine({ op: "page", cluster, after, limit }),
    quarantineTotals: (cluster) => askQuarantine({ op: "totals", cluster }),
    quarantinedEvent: (key) => askQuarantine({ op: "event", key }),
    release: (key) => askQuarantine({ op: "release", key }),
    async verify(chain, signal) {
      let from: ChainState | undefined;
      for (;;) {
        signal.throwIfAborted();
        const begin = from;
        const slice: VerifiedSlice = await ask((id) => ({ type: "verify", id, chain, state: begin }));
        if (slice.done) return { chain, state: slice.state };
        from = slice.state;
      }
    },
    async retain(beforeMs, signal) {
      const before = rfc3339(beforeMs);
      let removed = 0;
      for (const { cluster, epoch } of await chains(undefined)) {
        for (let done = false; !done;) {
          signal.throwIfAborted();
          const nowMs = clock.now();
          const slice: RetainedSlice = await ask((id) => ({ type: "retain", id, cluster, epoch, before, nowMs }));
          removed += slice.removed;
          ({ done } = slice);
        }
      }
      await ask((id) => ({ type: "sweep", id, before }));
      return removed;
    },
    subscribe(listener) {
      listeners.add(listener);
      if (followMs > 0 && following === undefined) {
        following = new AbortController();
        void follow(following.signal);
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        following?.abort();
        following = undefined;
      };
    },
    async close() {
      stopped.abort();
      following?.abort();
      if (ended === undefined) worker.postMessage({ type: "close" } satisfies ToSinkWorker);
      await exited;
    },
  };
}
