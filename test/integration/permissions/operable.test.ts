import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { METRICS } from "../../../src/ops/metrics/catalog.ts";

const SOURCES = join(import.meta.dirname, "../../../src");
/** What is printed there is what a person asked for on a command line. */
const PROGRAMS = "bin/";
const PRINTS = /\bconsole\.\w+\(|\bprocess\.(?:stdout|stderr)\.write\(/;

const sources = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter(
  (name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && !name.startsWith(PROGRAMS),
);

/** Metrics of permissions §18, by the names they have here (conductor §20 where it has one). */
const SHOWN = [
  "permission_checks_total",
  "snapshot_age_seconds",
  "snapshot_sequence",
  "snapshot_index_bytes",
  "verify_failures_total",
  "epg_compute_seconds",
  "epg_profiles",
  "wal_bytes",
  "wal_unacked_events",
  "audit_conflicts_total",
] as const;

describe("W28: what goes wrong is said where operators look", () => {
  it("no room prints: problems are log lines with fields, metrics, conditions and events", () => {
    expect(sources.length).toBeGreaterThan(300);
    const printing = sources.filter((name) => PRINTS.test(readFileSync(join(SOURCES, name), "utf8")));
    expect(printing).toEqual([]);
  });

  it.each(SHOWN)("%s has a help text and somebody who counts it", (metric) => {
    expect(METRICS.get(metric)?.help).toMatch(/\w/);
    const catalog = "ops/metrics/catalog.ts";
    const counted = sources.filter(
      (name) => name !== catalog && readFileSync(join(SOURCES, name), "utf8").includes(`"${metric}"`),
    );
    expect(counted).not.toEqual([]);
  });
});
