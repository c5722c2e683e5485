import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { AuditEventBatch } from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import type { AuditAppendResult, AuditSink, AuditSinkPosition } from "../hub/ports.ts";
import type { AuditChain, AuditLogReader, AuditScanResult } from "./audit-log-reader.ts";
import type { RetainedSlice, VerifiedSlice } from "./audit-reading.ts";
import type { SinkBatch } from "./audit-store.ts";
import type { ChainState } from "./audit-verification.ts";
import type { FromAuditWorker, ToAuditWorker } from "./audit-worker.ts";

/** Options of {@link openSqliteAuditSink}. */
export interface SqliteAuditSinkOptions {
  /** Database file; its folder is created. */
  readonly path: string;
  readonly clock: Clock;
}

/** The embedded audit sink. */
export interface SqliteAuditSink extends AuditSink, AuditLogReader {
  /**
   * Removes events that were received before `beforeMs` (Unix milliseconds), in small steps, and resolves with their number. What is
   * gone stays counted and explained by a floor (permissions §12.3). @throws the signal's reason
   */
  retain(beforeMs: number, signal: AbortSignal): Promise<number>;
  /** Commits what was asked before, releases the lock and the thread. */
  close(): Promise<void>;
}

/** Most batches that may wait for the disk: sessions send one at a time. */
const MAX_WAITING = 10_000;

/**
 * The audit sink on SQLite, in a worker thread: durable before it answers, insert-if-absent on (cluster, epoch, sequence), batches that
 * arrive together share one fsync.
 *
 * @throws SeamError `StoreNewer`, `StoreLocked`, `StoreUnwritable` or `StoreCorrupt`
 */
export async function openSqliteAuditSink(options: SqliteAuditSinkOptions): Promise<SqliteAuditSink> {
  const { path, clock } = options;
  const worker = new Worker(new URL(`./audit-worker${extname(import.meta.url)}`, import.meta.url), {
    workerData: { path },
    name: "audit-sink",
  });
  const waiting = new Map<number, { resolve(value: never): void; reject(error: unknown): void }>();
  let nextId = 1;
  let ended: SeamError | undefined;
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const fail = (cause: unknown): void => {
    ended = new SeamError({ reason: "StoreClosed", object: path, expected: "an open audit sink" }, { cause });
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  await new Promise<void>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", (message: FromAuditWorker) => {
      worker.off("error", reject);
      if (message.type === "openFailed")
        reject(message.parts === undefined ? new Error(message.message) : new SeamError(message.parts));
      else resolve();
    });
  }).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });
  worker.on("error", fail);
  worker.once("exit", () => fail(undefined));
  worker.on("message", (message: FromAuditWorker) => {
    if (message.type === "opened" || message.type === "openFailed") return;
    const request = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.type === "failure")
      request?.reject(message.parts === undefined ? new Error(message.message) : new SeamError(message.parts));
    else request?.resolve(message.value as never);
  });

  const ask = <T>(message: (id: number) => ToAuditWorker): Promise<T> =>
    new Promise((resolve: (value: T) => void, reject) => {
      if (ended !== undefined || waiting.size >= MAX_WAITING) {
        reject(
          ended ??
            new SeamError({
              reason: "StoreOverloaded",
              object: path,
              expected: `at most ${MAX_WAITING} batches waiting for the disk`,
            }),
        );
        return;
      }
      const id = nextId++;
      waiting.set(id, { resolve: resolve as (value: never) => void, reject });
      worker.postMessage(message(id));
    });

  const listeners = new Set<() => void>();
  const chains = (cluster: string | undefined): Promise<readonly AuditChain[]> =>
    ask<readonly AuditChain[]>((id) => ({ type: "chains", id, cluster }));
  return {
    append: async (cluster, batch) => {
      const result = await ask<AuditAppendResult>((id) => ({
        type: "append",
        id,
        cluster,
        batch: plain(batch),
        nowMs: clock.now(),
      }));
      for (const listener of listeners) listener();
      return result;
    },
    scan: (scan) => ask<AuditScanResult>((id) => ({ type: "scan", id, scan })),
    newest: () => ask<bigint>((id) => ({ type: "newest", id })),
    chains,
    async verify(chain, signal) {
      let state: ChainState | undefined;
      for (;;) {
        signal.throwIfAborted();
        const from = state;
        const slice: VerifiedSlice = await ask((id) => ({ type: "verify", id, chain, state: from }));
        if (slice.done) return { chain, state: slice.state };
        ({ state } = slice);
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
      return removed;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    position: (cluster, epoch) => ask<AuditSinkPosition>((id) => ({ type: "position", id, cluster, epoch })),
    async close() {
      if (ended === undefined) worker.postMessage({ type: "close" } satisfies ToAuditWorker);
      await exited;
    },
  };
}

/** A message without protobuf's own members, as structured clone wants it. */
function plain(batch: AuditEventBatch): SinkBatch {
  return {
    epoch: batch.epoch,
    events: batch.events.map(({ sequence, event, hash, prevHash }) => ({ sequence, event, hash, prevHash })),
  };
}
