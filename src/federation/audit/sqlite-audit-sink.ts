import { extname } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { HubAuditSink } from "./hub-audit-sink.ts";
import { openWorkerAuditSink } from "./worker-audit-sink.ts";

/** Options of {@link openSqliteAuditSink}. */
export interface SqliteAuditSinkOptions {
  /** Database file; its folder is created. */
  readonly path: string;
  readonly clock: Clock;
}

/**
 * The audit sink on SQLite, for one replica: insert-if-absent on (cluster, epoch, sequence), batches that arrive together share one
 * fsync.
 *
 * @throws SeamError `StoreNewer`, `StoreLocked`, `StoreUnwritable` or `StoreCorrupt`
 */
export function openSqliteAuditSink({ path, clock }: SqliteAuditSinkOptions): Promise<HubAuditSink> {
  const module = new URL(`./audit-worker${extname(import.meta.url)}`, import.meta.url);
  return openWorkerAuditSink({ module, data: { path }, object: path, clock, followMs: 0 });
}
