import type { Clock } from "../../base/clock.ts";
import type { FleetQueries } from "../fleet/fleet-queries.ts";
import { isTerminal } from "../fleet/drift-row.ts";
import { isDone } from "../fleet/explain.ts";
import { type RevocationQueries, createdMs } from "../revocations/revocation-queries.ts";
import type { FleetSources } from "../fleet/fleet-sources.ts";
import type { PrometheusMetrics } from "./prometheus-metrics.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const LEVELS = ["desired", "received", "verified", "applied", "healthy"] as const;
/** Gauges with a cluster label: those that operators alert on, and no others (lessons §12.2). */
const PER_CLUSTER = [
  "federation_degraded",
  "federation_certificate_days_left",
  "wal_unacked_events",
  "audit_acked_seq",
  "snapshot_age_seconds",
  "drift_signals",
] as const;

/** Sets the fleet's gauges before each scrape. */
export function collectFleetMetrics(
  metrics: PrometheusMetrics,
  sources: FleetSources,
  queries: FleetQueries,
  revocations: RevocationQueries,
  clock: Clock,
): void {
  metrics.beforeScrape(() => {
    // A cluster that is gone must not leave its last value behind.
    for (const name of PER_CLUSTER) metrics.clear(name);
    const now = clock.now();
    const totals = { desired: 0, received: 0, verified: 0, applied: 0, healthy: 0, quarantined: 0 };
    let streams = 0;
    let queued = 0;
    let resync = 0;
    let oldestMs = 0;
    for (const agent of queries.agents([])) {
      const { cluster, items } = agent;
      const view = sources.view.agent(cluster);
      if (view?.connected === true) streams += 1;
      queued += view?.queuedBytes ?? 0;
      if (view?.needsResync === true) resync += 1;
      metrics.gauge("federation_degraded", agent.degradedReason === "" ? 0 : 1, { cluster });
      metrics.gauge("wal_unacked_events", Number(agent.auditBacklog), { cluster });
      metrics.gauge("audit_acked_seq", Number(agent.auditStoredThrough), { cluster });
      if (view?.certificateNotAfterMs !== undefined)
        metrics.gauge("federation_certificate_days_left", (view.certificateNotAfterMs - now) / DAY_MS, { cluster });
      for (const key of [...LEVELS, "quarantined"] as const) totals[key] += items?.[key] ?? 0;
      oldestMs = Math.max(oldestMs, oldestUnacknowledgedMs(sources, queries, cluster, now));
    }
    metrics.gauge("federation_streams", streams);
    metrics.gauge("federation_queue_bytes", queued);
    metrics.gauge("federation_needs_resync", resync);
    for (const level of LEVELS) metrics.gauge("federation_items", totals[level], { level });
    metrics.gauge("federation_quarantined_items", totals.quarantined);
    metrics.gauge("federation_oldest_unacknowledged_seconds", oldestMs / 1000, { class: "item" });
    const open = revocations.list().filter(({ complete }) => !complete);
    metrics.gauge("federation_revocations_incomplete", open.length);
    const oldest = Math.min(now, ...open.map(createdMs));
    metrics.gauge("federation_oldest_unacknowledged_seconds", (now - oldest) / 1000, { class: "revocation" });
    for (const { spec } of sources.snapshots.list()) {
      const generatedMs = Date.parse(spec.snapshotTimestamp ?? spec.generatedAt ?? "");
      if (Number.isFinite(generatedMs))
        metrics.gauge("snapshot_age_seconds", (now - generatedMs) / 1000, { cluster: spec.targetCluster });
    }
    driftSignals(metrics, sources);
  });
}

function driftSignals(metrics: PrometheusMetrics, sources: FleetSources): void {
  const counts = new Map<string, { readonly class: string; readonly state: string; count: number }>();
  for (const signal of sources.driftSignals.list()) {
    const driftClass = signal.spec.driftClass ?? "PackResources";
    const state = isTerminal(signal) ? "terminal" : signal.spec.state;
    const key = `${driftClass}/${state}`;
    const entry = counts.get(key) ?? { class: driftClass, state, count: 0 };
    entry.count += 1;
    counts.set(key, entry);
  }
  for (const { class: driftClass, state, count } of counts.values())
    metrics.gauge("drift_signals", count, { class: driftClass, state });
}

/** Age of the index whose items are not all done; the progress signal of lessons §5.5. */
function oldestUnacknowledgedMs(sources: FleetSources, queries: FleetQueries, cluster: string, now: number): number {
  const index = sources.desired.current(cluster);
  if (index === undefined || queries.progress(cluster).every(isDone)) return 0;
  return Math.max(0, now - Date.parse(index.document.issuedAt));
}
