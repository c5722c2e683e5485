import type { Log } from "../base/log.ts";
import { type HttpHandler, startOpsHttpServer } from "./http/ops-http-server.ts";
import type { ReadinessCheck } from "./http/readiness.ts";
import { collectProcessMetrics } from "./metrics/process-metrics.ts";
import type { PrometheusMetrics } from "./metrics/prometheus-metrics.ts";
import type { ListenOn } from "./start-ops.ts";

/** Options of {@link startTenantOps}. */
export interface TenantOpsOptions {
  /** 8080: health and metrics. */
  readonly http: ListenOn;
  /** The process's registry, which its other parts write to as well. */
  readonly metrics: PrometheusMetrics;
  /** Conditions of `/readyz`. */
  readonly readiness: readonly ReadinessCheck[];
  /** What else this port answers. */
  readonly handlers?: readonly HttpHandler[];
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Health and metrics of a tenant's agent, running. */
export interface TenantOps {
  readonly httpPort: number;
  /** Resolves when the listener is closed. */
  readonly closed: Promise<void>;
}

/** Serves `/healthz`, `/readyz` and `/metrics`. @throws SeamError `ListenFailed` */
export async function startTenantOps(options: TenantOpsOptions): Promise<TenantOps> {
  collectProcessMetrics(options.metrics, options.signal);
  const { metrics, readiness, handlers = [], log, signal } = options;
  const http = await startOpsHttpServer({ ...options.http, metrics, readiness, handlers, log, signal });
  return { httpPort: http.port, closed: http.closed };
}
