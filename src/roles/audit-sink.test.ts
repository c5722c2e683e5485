import { describe, expect, it } from "vitest";
import { ManualClock } from "../base/clock.ts";
import { auditSinkReadiness, auditSinkSettings, stagesAudit } from "./audit-sink.ts";

describe("auditSinkSettings", () => {
  it("is a folder or a database", () => {
    expect(auditSinkSettings({ AUDIT_SINK_DIR: "/data/audit" })).toEqual({ store: "sqlite", directory: "/data/audit" });
    expect(
      auditSinkSettings({
        AUDIT_SINK_URL: "postgres://seam@db.example.com/audit",
        AUDIT_SINK_PASSWORD_PATH: "/secret/password",
        AUDIT_SINK_CA_CERT_PATH: "/ca.crt",
        AUDIT_SINK_CONNECTIONS: "8",
      }),
    ).toEqual({
      store: "postgres",
      connections: 8,
      target: {
        host: "db.example.com",
        port: 5432,
        database: "audit",
        user: "seam",
        password: { from: "file", path: "/secret/password" },
        tls: { mode: "verify-full", caFile: "/ca.crt" },
      },
    });
  });

  it("names what is missing or too much", () => {
    expect(() => auditSinkSettings({})).toThrow(
      /AUDIT_SINK_DIR or AUDIT_SINK_URL: must be set: where audit events are stored; set AUDIT_SINK_DIR to a folder, or/,
    );
    expect(() => auditSinkSettings({ AUDIT_SINK_DIR: "/a", AUDIT_SINK_URL: "postgres://u@h/d" })).toThrow(
      /AUDIT_SINK_DIR and AUDIT_SINK_URL: one of them: a folder \(SQLite, one replica\) or a database \(PostgreSQL\)/,
    );
  });
});

it("takes no new agents after the sink failed for a while", async () => {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const { check } = auditSinkReadiness(
    { state: () => ({ ok: false, sinceMs: Date.UTC(2026, 0, 1), detail: "audit sink: no space" }) },
    clock,
  );
  expect(check()).toBeUndefined();
  await clock.advance(10_000);
  expect(check()).toBe(
    "events are not stored and not acknowledged since 2026-01-01T00:00:00.000Z: audit sink: no space",
  );
  expect(auditSinkReadiness({ state: () => ({ ok: true }) }, clock).check()).toBeUndefined();
});

it("stages for a database alone", () => {
  expect(stagesAudit({})).toBe(false);
  expect(stagesAudit({ AUDIT_STAGING: "on", AUDIT_SINK_URL: "postgres://seam@db/audit" })).toBe(true);
  expect(() => stagesAudit({ AUDIT_STAGING: "on", AUDIT_SINK_DIR: "/data" })).toThrow(
    /AUDIT_STAGING: on only together with AUDIT_SINK_URL: a folder that takes nothing is a full disk/,
  );
  expect(() => stagesAudit({ AUDIT_STAGING: "yes" })).toThrow(/must be on or off, found "yes"/);
});
