import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { SeamError } from "../base/errors.ts";
import type { AuditSinkState } from "../federation/audit/hub-audit-sink.ts";
import type { AuditSinkSettings } from "../federation/audit/open-audit-sink.ts";
import { DEFAULT_CONNECTIONS } from "../federation/audit/postgres/postgres-audit-sink.ts";
import { type PostgresFiles, postgresTarget } from "../federation/audit/postgres/postgres-target.ts";
import type { ReadinessCheck } from "../ops/http/readiness.ts";
import { type Environment, positiveNumber } from "./environment.ts";

/** How long the sink may fail before the replica says that it takes no new agents, milliseconds. */
const TOLERATED_MS = 10_000;

/**
 * Reads which audit sink the hub stores into: a folder or a database, not both.
 *
 * @throws SeamError `EnvironmentMissing`, `EnvironmentInvalid` or `AuditSinkUrlInvalid`; none of them shows the URL
 */
export function auditSinkSettings(env: Environment): AuditSinkSettings {
  const directory = env["AUDIT_SINK_DIR"];
  const url = env["AUDIT_SINK_URL"];
  if (directory && url)
    throw new SeamError({
      reason: "EnvironmentInvalid",
      object: "environment variables AUDIT_SINK_DIR and AUDIT_SINK_URL",
      expected: "one of them: a folder (SQLite, one replica) or a database (PostgreSQL)",
    });
  if (url)
    return {
      store: "postgres",
      target: postgresTarget(url, filesOf(env)),
      connections: positiveNumber(env, "AUDIT_SINK_CONNECTIONS", DEFAULT_CONNECTIONS),
    };
  if (directory) return { store: "sqlite", directory };
  throw new SeamError({
    reason: "EnvironmentMissing",
    object: "environment variable AUDIT_SINK_DIR or AUDIT_SINK_URL",
    expected: "must be set: where audit events are stored",
    remedy: "set AUDIT_SINK_DIR to a folder, or AUDIT_SINK_URL to a PostgreSQL database (docs/configuration.md)",
  });
}

/** Folder of this process's own audit log: beside the sink when that is a folder, or `WAL_PATH`. */
export function ownAuditDirectory(env: Environment): string {
  const sink = env["AUDIT_SINK_DIR"];
  return env["WAL_PATH"] || (sink ? join(sink, "own") : "/var/lib/conductor/federation-wal");
}

/**
 * Whether batches that the sink does not take are staged on the management cluster. Of use for a database elsewhere alone: when a
 * folder takes nothing, the disk is full.
 *
 * @throws SeamError `EnvironmentInvalid`
 */
export function stagesAudit(env: Environment): boolean {
  const text = env["AUDIT_STAGING"] || "off";
  if (text !== "on" && text !== "off")
    throw new SeamError({
      reason: "EnvironmentInvalid",
      object: "environment variable AUDIT_STAGING",
      expected: `must be on or off, found ${JSON.stringify(text)}`,
      remedy: "off leaves events with their agents while the database is away",
    });
  if (text === "on" && !env["AUDIT_SINK_URL"])
    throw new SeamError({
      reason: "EnvironmentInvalid",
      object: "environment variable AUDIT_STAGING",
      expected: "on only together with AUDIT_SINK_URL: a folder that takes nothing is a full disk",
    });
  return text === "on";
}

function filesOf(env: Environment): PostgresFiles {
  const file = (member: keyof PostgresFiles, name: string): PostgresFiles => {
    const path = env[name];
    return path ? { [member]: path } : {};
  };
  return {
    ...file("passwordFile", "AUDIT_SINK_PASSWORD_PATH"),
    ...file("caFile", "AUDIT_SINK_CA_CERT_PATH"),
    ...file("certificateFile", "AUDIT_SINK_CLIENT_CERT_PATH"),
    ...file("keyFile", "AUDIT_SINK_CLIENT_KEY_PATH"),
  };
}

/** A session cannot open without its audit position, so a replica that cannot reach the sink sends agents to those that can. */
export function auditSinkReadiness(sink: { state(): AuditSinkState }, clock: Clock): ReadinessCheck {
  return {
    name: "audit-sink",
    check: () => {
      const state = sink.state();
      if (state.ok || clock.now() - state.sinceMs < TOLERATED_MS) return undefined;
      return `events are not stored and not acknowledged since ${new Date(state.sinceMs).toISOString()}: ${state.detail}`;
    },
  };
}
