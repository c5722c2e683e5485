import { extname } from "node:path";
import type { Clock } from "../../../base/clock.ts";
import type { HubAuditSink } from "../hub-audit-sink.ts";
import { openWorkerAuditSink } from "../worker-audit-sink.ts";
import { type PostgresTarget, targetName } from "./postgres-target.ts";
import type { PostgresWorkerData } from "./postgres-worker.ts";

/** Options of {@link openPostgresAuditSink}. */
export interface PostgresAuditSinkOptions {
  readonly target: PostgresTarget;
  /** Most connections of this replica; default {@link DEFAULT_CONNECTIONS}. Half of them store, half read; at least one each. */
  readonly connections?: number;
  readonly clock: Clock;
}

/** Connections of one replica. */
export const DEFAULT_CONNECTIONS = 4;
/** How often a follower of the log looks for what other replicas stored, milliseconds. */
const FOLLOW_MS = 1_000;

/**
 * The audit sink on PostgreSQL, for any number of replicas: insert-if-absent on (cluster, epoch, sequence) under the lock of the chain's
 * row, batches that arrive together share one commit, events partitioned by month.
 *
 * @throws SeamError `AuditSinkUnreachable`, `AuditSinkDenied`, `AuditSinkUntrusted`, `AuditSinkMissing`, `AuditSinkReadOnly`,
 *   `AuditSinkOld`, `StoreNewer` and others of `postgresError`
 */
export function openPostgresAuditSink(options: PostgresAuditSinkOptions): Promise<HubAuditSink> {
  const { target, connections = DEFAULT_CONNECTIONS, clock } = options;
  const writers = Math.max(1, Math.floor(connections / 2));
  const data: PostgresWorkerData = {
    target,
    writers,
    readers: Math.max(1, connections - writers),
    nowMs: clock.now(),
  };
  const module = new URL(`./postgres-worker${extname(import.meta.url)}`, import.meta.url);
  return openWorkerAuditSink({ module, data, object: targetName(target), clock, followMs: FOLLOW_MS });
}
