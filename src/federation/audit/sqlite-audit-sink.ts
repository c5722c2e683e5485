import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { AuditEventBatch } from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import type { Clock } from "../../base/clock.ts";
import { SeamError } from "../../base/errors.ts";
import type { AuditAppendResult, AuditSink, AuditSinkPosition } from "../hub/ports.ts";
import type { SinkBatch } from "./audit-store.ts";
import type { FromAuditWorker, ToAuditWorker } from "./audit-worker.ts";

/** Options of {@link openSqliteAuditSink}. */
export interface SqliteAuditSinkOptions {
  /** Database file; its folder is created. */
  readonly path: string;
  readonly clock: Clock;
}

/** The embedded audit sink. */
export interface SqliteAuditSink extends AuditSink {
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

  return {
    append: (cluster, batch) =>
      ask<AuditAppendResult>((id) => ({
        type: "append",
        id,
        cluster,
        batch: plain(batch),
        nowMs: clock.now(),
      })),
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
