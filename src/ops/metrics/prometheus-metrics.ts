import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { MetricLabels, Metrics } from "../../base/metrics.ts";
import { METRICS } from "./catalog.ts";

/** Most metrics of one process. */
export const MAX_METRICS = 300;
/** Most label combinations of one metric; later ones are counted under `other` (lessons §12.2). */
export const MAX_SERIES = 2000;
/** Value of every label of a series beyond the bound. */
const OTHER = "other";

/** {@link Metrics} with its text form. */
export interface PrometheusMetrics extends Metrics {
  /** Adds work done before each scrape: gauges that are read from state rather than kept up to date. */
  beforeScrape(collect: () => void): void;
  /** Removes all series of a gauge, before its current ones are set. */
  clear(name: string): void;
  /** Prometheus text exposition. */
  scrape(): Promise<string>;
  readonly contentType: string;
}

interface Entry {
  readonly metric: Counter | Gauge | Histogram;
  readonly labelNames: readonly string[];
  readonly series: Set<string>;
}

/** A registry of its own: nothing is global, so tests and several roles in one process do not meet. */
export function createPrometheusMetrics(): PrometheusMetrics {
  const registry = new Registry();
  const entries = new Map<string, Entry>();
  const collectors: (() => void)[] = [];

  const entryOf = (
    name: string,
    labels: MetricLabels,
    make: (labelNames: string[]) => Entry["metric"],
  ): Entry | undefined => {
    const held = entries.get(name);
    if (held !== undefined) return held;
    if (entries.size >= MAX_METRICS) return undefined;
    const labelNames = Object.keys(labels).sort();
    const entry = { metric: make(labelNames), labelNames, series: new Set<string>() };
    entries.set(name, entry);
    return entry;
  };
  const definition = (
    name: string,
    labelNames: string[],
  ): { name: string; help: string; labelNames: string[]; registers: Registry[] } => ({
    name,
    help: METRICS.get(name)?.help ?? name,
    labelNames,
    registers: [registry],
  });

  return {
    contentType: registry.contentType,
    count: (name, labels = {}, by = 1) => {
      const entry = entryOf(name, labels, (labelNames) => new Counter(definition(name, labelNames)));
      if (entry?.metric instanceof Counter) entry.metric.inc(bounded(entry, labels), by);
    },
    gauge: (name, value, labels = {}) => {
      const entry = entryOf(name, labels, (labelNames) => new Gauge(definition(name, labelNames)));
      if (entry?.metric instanceof Gauge) entry.metric.set(bounded(entry, labels), value);
    },
    observe: (name, value, labels = {}) => {
      const buckets = METRICS.get(name)?.buckets;
      const entry = entryOf(
        name,
        labels,
        (labelNames) =>
          new Histogram({
            ...definition(name, labelNames),
            ...(buckets === undefined ? {} : { buckets: [...buckets] }),
          }),
      );
      if (entry?.metric instanceof Histogram) entry.metric.observe(bounded(entry, labels), value);
    },
    beforeScrape: (collect) => {
      collectors.push(collect);
    },
    clear: (name) => {
      const entry = entries.get(name);
      entry?.metric.reset();
      entry?.series.clear();
    },
    scrape: () => {
      for (const collect of collectors) collect();
      return registry.metrics();
    },
  };
}

/** Exactly the metric's label names, and never more than {@link MAX_SERIES} combinations. */
function bounded(entry: Entry, labels: MetricLabels): Record<string, string> {
  const values = Object.fromEntries(entry.labelNames.map((name) => [name, labels[name] ?? ""]));
  const series = entry.labelNames.map((name) => values[name]).join("\0");
  if (entry.series.has(series)) return values;
  if (entry.series.size >= MAX_SERIES) return Object.fromEntries(entry.labelNames.map((name) => [name, OTHER]));
  entry.series.add(series);
  return values;
}
