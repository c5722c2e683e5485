import type { AuditTrail } from "../../api/audit-record.ts";
import type { Clock } from "../../base/clock.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { AuditAppendResult } from "../hub/ports.ts";
import type { HubAuditSink } from "./hub-audit-sink.ts";

/** Refusals of one cluster within this time are one record, milliseconds: a tenant's nonsense must not flood the hub's own log. */
const GATHER_MS = 60_000;
/** Clusters whose refusals are gathered at a time; beyond it a refusal is told at once. */
const MAX_GATHERING = 10_000;

/** What {@link tellConflicts} needs. */
export interface ConflictTrailParts {
  readonly trail: AuditTrail;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

interface Gathered {
  count: number;
  first: bigint;
  last: bigint;
  readonly codes: Map<string, number>;
}

/**
 * A sink whose refusals - a second event of a number, a wrong hash - are told in the hub's own log as `audit.conflict`, and counted: the
 * first of a cluster at once, those of the next minute together.
 */
export function tellConflicts(sink: HubAuditSink, parts: ConflictTrailParts): HubAuditSink {
  const { trail, metrics, clock, signal } = parts;
  /** Clusters of which a first refusal was told, with what came since. */
  const gathering = new Map<string, Gathered | undefined>();
  const tell = (cluster: string, { count, first, last, codes }: Gathered): void => {
    void trail.record({
      action: "audit.conflict",
      decision: "deny",
      subject: `cluster:${cluster}`,
      resource: `audit log of ${cluster}`,
      code: codes.keys().next().value ?? "",
      details: { count, first: String(first), last: String(last), codes: Object.fromEntries(codes) },
    });
  };
  const gather = async (cluster: string): Promise<void> => {
    for (;;) {
      await clock.sleep(GATHER_MS, signal).catch(() => {
        // the process stops: what was gathered is told
      });
      const since = gathering.get(cluster);
      gathering.set(cluster, undefined);
      if (since !== undefined) tell(cluster, since);
      if (since === undefined || signal.aborted) break;
    }
    gathering.delete(cluster);
  };
  const note = (cluster: string, rejected: AuditAppendResult["rejected"]): void => {
    const news: Gathered = { count: 0, first: rejected[0]?.sequence ?? 0n, last: 0n, codes: new Map() };
    const into = gathering.get(cluster) ?? news;
    for (const { sequence, code } of rejected) {
      metrics.count("audit_conflicts_total", { code });
      into.count += 1;
      if (sequence < into.first) into.first = sequence;
      if (sequence > into.last) into.last = sequence;
      into.codes.set(code, (into.codes.get(code) ?? 0) + 1);
    }
    if (gathering.has(cluster)) gathering.set(cluster, into);
    else {
      tell(cluster, into);
      if (gathering.size >= MAX_GATHERING || signal.aborted) return;
      gathering.set(cluster, undefined);
      void gather(cluster);
    }
  };
  return {
    ...sink,
    async append(cluster, batch) {
      const result = await sink.append(cluster, batch);
      if (result.rejected.length > 0) note(cluster, result.rejected);
      return result;
    },
  };
}
