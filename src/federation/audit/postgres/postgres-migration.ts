import { SeamError } from "../../../base/errors.ts";
import type { PostgresConnections } from "./postgres-connections.ts";
import { postgresError } from "./postgres-error.ts";
import { textOf } from "./postgres-row.ts";
import { LOCKS, POSTGRES_MIGRATIONS, POSTGRES_SCHEMA_VERSION } from "./postgres-schema.ts";

/**
 * Brings the schema to this build's version; replicas that start together wait for each other.
 *
 * @throws SeamError `StoreNewer` for a schema of a newer build, which is left as it is, `AuditSinkOld` for a server before PostgreSQL 13,
 *   and what keeps the server from being used
 */
export async function migratePostgres(connections: PostgresConnections): Promise<void> {
  try {
    await connections.transaction("BEGIN", async (client) => {
      await client.query(`SELECT pg_advisory_xact_lock(${LOCKS.schema})`);
      const { rows: versions } = await client.query<{ version: number }>(
        "SELECT current_setting('server_version_num')::int AS version",
      );
      const server = versions[0]?.version ?? 0;
      if (server < MIN_SERVER) throw tooOld(connections.name, server);
      const { rows: present } = await client.query<{ there: boolean }>(
        "SELECT to_regclass('seam_audit.migrations') IS NOT NULL AS there",
      );
      if (present[0]?.there !== true)
        await client.query(
          `CREATE SCHEMA IF NOT EXISTS seam_audit;
           CREATE TABLE seam_audit.migrations (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
        );
      const { rows } = await client.query<{ found: number }>(
        "SELECT coalesce(max(version), 0) AS found FROM seam_audit.migrations",
      );
      const found = rows[0]?.found ?? 0;
      if (found > POSTGRES_SCHEMA_VERSION) throw newer(connections.name, found);
      for (const [at, migration] of POSTGRES_MIGRATIONS.entries()) {
        if (at < found) continue;
        await client.query(migration);
        await client.query("INSERT INTO seam_audit.migrations (version) VALUES ($1)", [at + 1]);
      }
    });
  } catch (error) {
    throw postgresError(error, connections.name);
  }
}

/** Names the store itself, whatever hosts and aliases lead to it. */
export async function storeId(connections: PostgresConnections): Promise<string> {
  const [row] = await connections.query("SELECT id::text AS id FROM seam_audit.store");
  return row === undefined ? "" : textOf(row, "id");
}

/** Settings of the server that an operator should know about. */
export async function serverWarnings(connections: PostgresConnections): Promise<readonly string[]> {
  const [row] = await connections.query(
    "SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages",
  );
  return [
    ...(row?.["fsync"] === "off"
      ? ["the server runs with fsync=off: acknowledged events can be lost with its machine"]
      : []),
    ...(row?.["pages"] === "off"
      ? ["the server runs with full_page_writes=off: a crash can damage stored events"]
      : []),
  ];
}

/** One small durable write: the time of version 0, which stands for no migration. @throws SeamError */
export async function probePostgres(connections: PostgresConnections): Promise<void> {
  await connections.query(
    `INSERT INTO seam_audit.migrations (version) VALUES (0) ON CONFLICT (version) DO UPDATE SET applied_at = now()`,
  );
}

const MIN_SERVER = 130_000;

function tooOld(object: string, found: number): SeamError {
  return new SeamError({
    reason: "AuditSinkOld",
    object,
    field: "server version",
    expected: `PostgreSQL 13 or newer, found ${Math.floor(found / 10_000)}`,
    remedy: "upgrade the server",
  });
}

function newer(object: string, found: number): SeamError {
  return new SeamError({
    reason: "StoreNewer",
    object,
    field: "schema version",
    expected: `at most ${POSTGRES_SCHEMA_VERSION}, found ${found}: a newer version of this program wrote it`,
    remedy: "run that version, or use another database",
  });
}
