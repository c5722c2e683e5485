import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EventChain, batchOf } from "../../../../test/support/audit-events.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../../test/support/management-cluster.ts";
import { NO_POSTGRES, PostgresServer, postgresPrograms } from "../../../../test/support/postgres-server.ts";
import { ConfigMap } from "../../../api/builtin.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { silentMetrics } from "../../../base/metrics.ts";
import { systemRandom } from "../../../base/random.ts";
import type { HubAuditSink } from "../hub-audit-sink.ts";
import { openPostgresAuditSink } from "../postgres/postgres-audit-sink.ts";
import { STAGED_LABEL } from "./staged-object.ts";
import { stagingSink } from "./staging-sink.ts";

const EPOCH = 7n;
/** A server that was killed recovers its log first, on a busy machine. */
const PATIENT = { timeout: 60_000, interval: 50 };
const here = postgresPrograms() !== undefined;

describe.skipIf(!here)(`staging while PostgreSQL is away${here ? "" : `: ${NO_POSTGRES}`}`, () => {
  let server: PostgresServer;
  let management: TestManagementCluster;
  let store: HubAuditSink;
  const stop = new AbortController();
  let sink: ReturnType<typeof stagingSink>;

  beforeAll(async () => {
    [server, management] = await Promise.all([PostgresServer.start(), openManagementCluster()]);
    store = await openPostgresAuditSink({ target: await server.database("audit"), clock: systemClock });
    sink = stagingSink(store, {
      cluster: management.cluster,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: silentMetrics,
      signal: stop.signal,
    });
  });

  afterAll(async () => {
    stop.abort();
    await sink.closed;
    await store.close();
    await Promise.all([server.close(), management.close()]);
  });

  const staged = async () =>
    (
      await management.cluster.list(ConfigMap, { namespace: "seam-system", labelSelector: `${STAGED_LABEL}=true` })
    ).items.map(({ metadata }) => metadata.name);

  const stored = async (): Promise<readonly bigint[]> => {
    const { events } = await store.scan({ filter: {}, order: "oldest", position: undefined, limit: 500 });
    return events.map(({ sequence }) => sequence);
  };

  it.each(["SIGINT", "SIGQUIT"] as const)(
    "a server that is stopped by %s and started again has every event once, and nothing is left beside it",
    async (signal) => {
      const cluster = signal === "SIGINT" ? "t1" : "t2";
      const { events } = new EventChain().addMany(60);
      const append = (from: number, to: number) => sink.append(cluster, batchOf(EPOCH, events.slice(from - 1, to)));
      await sink.position(cluster, EPOCH);
      await append(1, 20);
      const before = (await stored()).length;
      await server.stop(signal);
      // Acknowledged while no server is there: the API server has them.
      expect((await append(21, 40)).contiguousThrough).toBe(40n);
      expect((await append(41, 50)).contiguousThrough).toBe(50n);
      expect((await staged()).length).toBeGreaterThan(0);
      await server.run();
      await expect.poll(staged, PATIENT).toEqual([]);
      expect((await append(51, 60)).contiguousThrough).toBe(60n);
      expect((await stored()).length).toBe(before + 40);
      const chain = (await store.chains(cluster))[0];
      if (chain === undefined) throw new Error("the chain is stored");
      const { state } = await store.verify(chain, stop.signal);
      expect(state).toMatchObject({ breaks: 0, verified: 60n, next: 61n });
    },
    120_000,
  );
});
