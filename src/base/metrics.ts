/** Label values of one sample. Cardinality is the caller's duty: per-cluster labels only on gauges that operators alert on. */
export type MetricLabels = Readonly<Record<string, string>>;

/** Metrics as a parameter; the registry behind it lives in ops/. Names are those of conductor §20. */
export interface Metrics {
  /** Adds to a counter (`…_total`). */
  count(name: string, labels?: MetricLabels, by?: number): void;
  /** Sets a gauge. */
  gauge(name: string, value: number, labels?: MetricLabels): void;
  /** Adds an observation to a histogram; seconds for `…_seconds`. */
  observe(name: string, value: number, labels?: MetricLabels): void;
}

/** Drops everything; for tests and benches. */
export const silentMetrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };
