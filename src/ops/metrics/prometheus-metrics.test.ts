import { describe, expect, it } from "vitest";
import { MAX_METRICS, MAX_SERIES, createPrometheusMetrics } from "./prometheus-metrics.ts";

describe("prometheus metrics", () => {
  it("writes counters, gauges and histograms with their help and labels", async () => {
    const metrics = createPrometheusMetrics();
    metrics.count("signatures_total", { kind: "PackInstalled", result: "ok" });
    metrics.count("signatures_total", { kind: "PackInstalled", result: "ok" }, 2);
    metrics.gauge("federation_streams", 4);
    metrics.observe("federation_commit_to_receipt_seconds", 0.04, { level: "applied" });
    const text = await metrics.scrape();
    expect(text).toContain("# HELP signatures_total Signatures made, by kind and result.");
    expect(text).toContain('signatures_total{kind="PackInstalled",result="ok"} 3');
    expect(text).toContain("federation_streams 4");
    expect(text).toContain('federation_commit_to_receipt_seconds_bucket{le="0.05",level="applied"} 1');
    expect(text).toContain('federation_commit_to_receipt_seconds_bucket{le="0.025",level="applied"} 0');
  });

  it("reads state before each scrape and forgets series of what is gone", async () => {
    const metrics = createPrometheusMetrics();
    let clusters = ["a", "b"];
    metrics.beforeScrape(() => {
      metrics.clear("federation_degraded");
      for (const cluster of clusters) metrics.gauge("federation_degraded", 1, { cluster });
    });
    expect(await metrics.scrape()).toContain('federation_degraded{cluster="b"} 1');
    clusters = ["a"];
    const text = await metrics.scrape();
    expect(text).toContain('federation_degraded{cluster="a"} 1');
    expect(text).not.toContain('cluster="b"');
  });

  it("bounds the series of a metric and the number of metrics, whatever it is fed", async () => {
    const metrics = createPrometheusMetrics();
    for (let i = 0; i < MAX_SERIES + 500; i++) metrics.count("verify_failures_total", { kind: "x", reason: `r${i}` });
    for (let i = 0; i < MAX_METRICS + 50; i++) metrics.gauge(`made_up_${i}`, 1);
    const text = await metrics.scrape();
    expect(text.match(/^verify_failures_total\{/gm)).toHaveLength(MAX_SERIES + 1);
    expect(text).toContain('verify_failures_total{kind="other",reason="other"} 500');
    expect(text.match(/^made_up_\d+ 1/gm)?.length).toBeLessThan(MAX_METRICS);
  });

  it("takes no harm from callers that disagree about a metric's labels or kind", async () => {
    const metrics = createPrometheusMetrics();
    metrics.count("federation_refused_total", { reason: "Unknown" });
    metrics.count("federation_refused_total", { other: "label" });
    metrics.gauge("federation_refused_total", 7);
    const text = await metrics.scrape();
    expect(text).toContain('federation_refused_total{reason="Unknown"} 1');
    expect(text).toContain('federation_refused_total{reason=""} 1');
  });
});
