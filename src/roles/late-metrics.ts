import type { MetricLabels, Metrics } from "../base/metrics.ts";

/** Most samples that are kept until there is a registry; what is beyond is lost, which a counter of a process's first second may be. */
const MAX_KEPT = 4_096;

type Sample = (metrics: Metrics) => void;

/**
 * The metrics of a process before its registry is loaded: that takes longer than a first answer may. Counters are summed and gauges kept
 * until {@link LateMetrics.open}, so nothing is lost in between.
 */
export class LateMetrics implements Metrics {
  #registry: Metrics | undefined;
  readonly #counts = new Map<string, { readonly name: string; readonly labels: MetricLabels; by: number }>();
  readonly #gauges = new Map<string, Sample>();
  readonly #observations: Sample[] = [];

  open(registry: Metrics): void {
    this.#registry = registry;
    for (const { name, labels, by } of this.#counts.values()) registry.count(name, labels, by);
    for (const sample of [...this.#gauges.values(), ...this.#observations]) sample(registry);
    this.#counts.clear();
    this.#gauges.clear();
    this.#observations.length = 0;
  }

  count(name: string, labels: MetricLabels = {}, by = 1): void {
    if (this.#registry !== undefined) {
      this.#registry.count(name, labels, by);
      return;
    }
    const key = keyOf(name, labels);
    const held = this.#counts.get(key);
    if (held !== undefined) held.by += by;
    else if (this.#counts.size < MAX_KEPT) this.#counts.set(key, { name, labels, by });
  }

  gauge(name: string, value: number, labels: MetricLabels = {}): void {
    if (this.#registry !== undefined) this.#registry.gauge(name, value, labels);
    else if (this.#gauges.size < MAX_KEPT)
      this.#gauges.set(keyOf(name, labels), (metrics) => metrics.gauge(name, value, labels));
  }

  observe(name: string, value: number, labels: MetricLabels = {}): void {
    if (this.#registry !== undefined) this.#registry.observe(name, value, labels);
    else if (this.#observations.length < MAX_KEPT)
      this.#observations.push((metrics) => metrics.observe(name, value, labels));
  }
}

function keyOf(name: string, labels: MetricLabels): string {
  return JSON.stringify([name, labels]);
}
