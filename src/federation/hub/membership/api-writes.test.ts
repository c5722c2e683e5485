import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type TestManagementCluster, openManagementCluster } from "../../../../test/support/management-cluster.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { type MetricLabels, type Metrics } from "../../../base/metrics.ts";
import { systemRandom } from "../../../base/random.ts";
import { countedCluster } from "../../../cluster/counted-cluster.ts";
import { startSessionOwnership } from "../ownership/session-ownership.ts";
import type { MembershipTimes } from "./membership-times.ts";
import { startReplicaMembership } from "./replica-membership.ts";

const TIMES: MembershipTimes = { renewMs: 50, requestMs: 2_000, serveMs: 8_000, durationMs: 10_000, forgetMs: 60_000 };
/** Renewals over which writes are counted. */
const RENEWALS = 12;

/** Counters by name, and writes by resource. */
class Counts implements Metrics {
  readonly totals = new Map<string, number>();

  count(name: string, labels: MetricLabels = {}, by = 1): void {
    const key = [name, labels["resource"], labels["verb"]].filter((part) => part !== undefined).join(" ");
    this.totals.set(key, (this.totals.get(key) ?? 0) + by);
  }
  gauge(): void {}
  observe(): void {}

  of(name: string): number {
    return this.totals.get(name) ?? 0;
  }
}

let management: TestManagementCluster;
beforeAll(async () => {
  management = await openManagementCluster();
});
afterAll(() => management.close());

/** Runs replicas that own sessions of `tenants` and returns, per replica, the writes for one renewal while nothing moves, and those of all moves. */
async function writes(replicas: number, tenants: number): Promise<readonly { perRenewal: number; moves: number }[]> {
  const stop = new AbortController();
  const running = await Promise.all(
    Array.from({ length: replicas }, async (_, at) => {
      const metrics = new Counts();
      const parts = {
        cluster: countedCluster(management.cluster, metrics),
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        metrics,
        signal: stop.signal,
      };
      const membership = await startReplicaMembership({
        ...parts,
        replica: `writer-${replicas}-${tenants}-${at}`,
        process: "p",
        facts: () => ({ endpoint: "", internalEndpoint: "", sessions: tenants, auditSink: "" }),
        times: TIMES,
      });
      const ownership = await startSessionOwnership({ ...parts, owner: membership });
      const ids = Array.from({ length: tenants }, (__, tenant) => `t-${replicas}-${tenants}-${tenant}`);
      const own = ids.filter((___, tenant) => tenant % replicas === at);
      await Promise.all(own.map((id) => ownership.acquire(id, 0n)));
      return { metrics, membership, own: own.length };
    }),
  );
  const measured = await Promise.all(
    running.map(async ({ metrics, own }) => {
      const all = (): number =>
        [...metrics.totals].reduce((sum, [name, n]) => sum + (name.startsWith("apiserver_writes_total") ? n : 0), 0);
      const before = { writes: all(), renewals: metrics.of("federation_membership_writes_total") };
      await vi.waitFor(
        () =>
          expect(metrics.of("federation_membership_writes_total")).toBeGreaterThanOrEqual(before.renewals + RENEWALS),
        { timeout: 20_000, interval: 5 },
      );
      const renewals = metrics.of("federation_membership_writes_total") - before.renewals;
      expect(metrics.of("federation_ownership_moves_total")).toBe(own);
      return { perRenewal: (all() - before.writes) / renewals, moves: own };
    }),
  );
  stop.abort();
  await Promise.all(running.map(({ membership }) => membership.closed));
  return measured;
}

describe("writes to the API server (architecture §6.4)", () => {
  it("grow with replicas and not with tenants: one per renewal of a membership, whatever it carries", async () => {
    for (const [replicas, tenants] of [
      [1, 3],
      [1, 150],
      [3, 150],
    ] as const)
      for (const { perRenewal } of await writes(replicas, tenants)) {
        // A renewal may be under way at either end.
        expect(perRenewal).toBeGreaterThan(0.8);
        expect(perRenewal).toBeLessThan(1.2);
      }
  });
});
