import type { MetricLabels, Metrics } from "../../src/base/metrics.ts";

/** Counters by name and labels. */
export class RecordedMetrics implements Metrics {
  readonly counts = new Map<string, number>();

  count(name: string, labels: MetricLabels = {}, by = 1): void {
    const key = [name, ...Object.values(labels)].join(" ");
    this.counts.set(key, (this.counts.get(key) ?? 0) + by);
  }

  gauge(): void {}

  observe(): void {}
}
