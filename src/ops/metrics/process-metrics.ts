import { monitorEventLoopDelay } from "node:perf_hooks";
import type { PrometheusMetrics } from "./prometheus-metrics.ts";

/** Sampling interval of the event loop, milliseconds. */
const RESOLUTION_MS = 20;
const QUANTILES = [50, 99, 100] as const;

/** Memory, CPU and event-loop delay of this process, read at each scrape. Samples until `signal` aborts. */
export function collectProcessMetrics(metrics: PrometheusMetrics, signal: AbortSignal): void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  signal.addEventListener("abort", () => delay.disable(), { once: true });
  let countedCpu = 0;
  metrics.gauge("process_start_time_seconds", Math.round(Date.now() / 1000 - process.uptime()));
  metrics.beforeScrape(() => {
    for (const quantile of QUANTILES) {
      // The histogram counts the sampling interval itself as delay.
      const seconds = Math.max(0, delay.percentile(quantile) / 1e9 - RESOLUTION_MS / 1000);
      metrics.gauge("event_loop_delay_seconds", seconds, { quantile: String(quantile / 100) });
    }
    delay.reset();
    const memory = process.memoryUsage();
    metrics.gauge("process_resident_memory_bytes", memory.rss);
    metrics.gauge("process_heap_bytes", memory.heapUsed);
    const { user, system } = process.cpuUsage();
    const cpu = (user + system) / 1e6;
    metrics.count("process_cpu_seconds_total", {}, cpu - countedCpu);
    countedCpu = cpu;
  });
}
