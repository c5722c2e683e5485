import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { HubAuditSink } from "./hub-audit-sink.ts";
import { openPostgresAuditSink } from "./postgres/postgres-audit-sink.ts";
import type { PostgresTarget } from "./postgres/postgres-target.ts";
import { openSqliteAuditSink } from "./sqlite-audit-sink.ts";

/** Which store the audit sink is on. */
export type AuditSinkSettings =
  /** A folder, for one replica. */
  | { readonly store: "sqlite"; readonly directory: string }
  /** A database, for any number of replicas; `connections` are of each. */
  | { readonly store: "postgres"; readonly target: PostgresTarget; readonly connections: number };

/** Name of the database file in the sink's folder. */
const SINK_FILE = "audit.db";

/** Opens the sink. @throws SeamError when it cannot be used: the hub does not start without one */
export function openAuditSink(settings: AuditSinkSettings, clock: Clock): Promise<HubAuditSink> {
  return settings.store === "sqlite"
    ? openSqliteAuditSink({ path: join(settings.directory, SINK_FILE), clock })
    : openPostgresAuditSink({ target: settings.target, connections: settings.connections, clock });
}
