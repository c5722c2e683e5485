import { describe, expect, it } from "vitest";
import { createPrometheusMetrics } from "../ops/metrics/prometheus-metrics.ts";
import { LateMetrics } from "./late-metrics.ts";

describe("metrics before there is a registry", () => {
  it("are all in it once it is opened, and go straight there afterwards", async () => {
    const late = new LateMetrics();
    late.count("permission_checks_total", { result: "ALLOWED" });
    late.count("permission_checks_total", { result: "ALLOWED" }, 2);
    late.count("permission_checks_total", { result: "PRINCIPAL_UNKNOWN" });
    late.gauge("snapshot_sequence", 4);
    late.gauge("snapshot_sequence", 5);
    late.observe("late_seconds", 0.25);
    const registry = createPrometheusMetrics();
    late.open(registry);
    late.count("permission_checks_total", { result: "ALLOWED" });
    late.gauge("snapshot_sequence", 6);
    late.observe("late_seconds", 0.5);
    const lines = (await registry.scrape()).split("\n");
    expect(lines).toContain('permission_checks_total{result="ALLOWED"} 4');
    expect(lines).toContain('permission_checks_total{result="PRINCIPAL_UNKNOWN"} 1');
    expect(lines).toContain("snapshot_sequence 6");
    expect(lines).toContain("late_seconds_sum 0.75");
  });

  it("are bounded while nobody opens it", async () => {
    const late = new LateMetrics();
    for (let i = 0; i < 10_000; i++) late.observe("late_seconds", 1);
    const registry = createPrometheusMetrics();
    late.open(registry);
    expect((await registry.scrape()).split("\n")).toContain("late_seconds_count 4096");
  });
});
