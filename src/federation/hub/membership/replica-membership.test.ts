import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type TestManagementCluster, openManagementCluster } from "../../../../test/support/management-cluster.ts";
import { Lease } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import { type Clock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { silentMetrics } from "../../../base/metrics.ts";
import { systemRandom } from "../../../base/random.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import type { MembershipTimes } from "./membership-times.ts";
import { type ReplicaDirectory, startReplicaDirectory } from "./replica-directory.ts";
import { type ReplicaMembership, startReplicaMembership } from "./replica-membership.ts";
import { membershipLeaseName } from "./replica-record.ts";

const TIMES: MembershipTimes = { renewMs: 40, requestMs: 100, serveMs: 400, durationMs: 1_000, forgetMs: 1_500 };
let management: TestManagementCluster;
beforeAll(async () => {
  management = await openManagementCluster();
});
afterAll(() => management.close());

/** A clock that jumps when a test says so. */
class JumpingClock implements Clock {
  monotonicOffsetMs = 0;
  wallOffsetMs = 0;

  now(): number {
    return systemClock.now() + this.wallOffsetMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.monotonicOffsetMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal);
  }
}

/** The cluster behind a cable that can be pulled: requests then hang, as they do in a partition. */
function cable(cluster: Cluster): { readonly cluster: Cluster; pulled: boolean; readonly written: string[] } {
  const state = { cluster, pulled: false, written: [] as string[] };
  const cut = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
    return (...args: A): Promise<R> => (state.pulled ? new Promise<R>(() => {}) : call(...args));
  };
  const through: Cluster = {
    get: cut((type, key) => cluster.get(type, key)) as Cluster["get"],
    list: (type, options) => cluster.list(type, options),
    watch: (type, options, signal) => cluster.watch(type, options, signal),
    create: cut((type, object, options) => {
      state.written.push(object.metadata.name ?? "");
      return cluster.create(type, object, options);
    }) as Cluster["create"],
    update: cut((type, object, options) => {
      state.written.push(object.metadata.name);
      return cluster.update(type, object, options);
    }) as Cluster["update"],
    updateStatus: (type, object, options) => cluster.updateStatus(type, object, options),
    patch: (type, key, patch, options) => cluster.patch(type, key, patch, options),
    delete: cut((type, key, options) => cluster.delete(type, key, options)) as Cluster["delete"],
    discover: () => cluster.discover(),
  };
  return Object.assign(state, { cluster: through });
}

interface Member {
  readonly membership: ReplicaMembership;
  readonly heard: boolean[];
  readonly clock: JumpingClock;
  readonly line: ReturnType<typeof cable>;
  stop(): Promise<void>;
}

async function join(replica: string, process = "p1", more: { readonly sessions?: number } = {}): Promise<Member> {
  const stop = new AbortController();
  const clock = new JumpingClock();
  const line = cable(management.cluster);
  const membership = await startReplicaMembership({
    cluster: line.cluster,
    replica,
    process,
    facts: () => ({
      endpoint: `${replica}:9443`,
      internalEndpoint: "",
      sessions: more.sessions ?? 0,
      auditSink: "shared",
    }),
    times: TIMES,
    clock,
    random: systemRandom,
    log: silentLog,
    metrics: silentMetrics,
    signal: stop.signal,
  });
  const heard: boolean[] = [];
  membership.subscribe((valid) => heard.push(valid));
  return {
    membership,
    heard,
    clock,
    line,
    stop: async () => {
      stop.abort();
      await membership.closed;
    },
  };
}

function directory(replica: string, signal: AbortSignal): Promise<ReplicaDirectory> {
  return startReplicaDirectory({
    cluster: management.cluster,
    replica,
    times: TIMES,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    signal,
  });
}

function leaseOf(replica: string) {
  return management.cluster.get(Lease, { namespace: NAMESPACES.ont, name: membershipLeaseName(replica) });
}

describe("membership of a replica (architecture §6.4)", () => {
  it("is seen by the others with what the replica says of itself, and is given back at the end", async () => {
    const others = await directory("watcher", management.signal);
    const a = await join("hub-a", "p1", { sessions: 7 });
    await vi.waitFor(() =>
      expect(others.peers().find(({ replica }) => replica === "hub-a")).toMatchObject({
        endpoint: "hub-a:9443",
        sessions: 7,
        draining: false,
        identity: a.membership.identity,
      }),
    );
    expect(others.byIdentity("hub-a/p1.1")?.replica).toBe("hub-a");
    await a.membership.drain();
    await vi.waitFor(() => expect(others.peers().map(({ replica }) => replica)).not.toContain("hub-a"));
    expect(others.alive().map(({ replica }) => replica)).toContain("hub-a");
    await a.stop();
    await vi.waitFor(() => expect(others.byIdentity("hub-a/p1.1")).toBeUndefined());
    await expect(leaseOf("hub-a")).rejects.toMatchObject({ reason: "NotFound" });
  });

  it("ends at the first question after a pause, before any timer ran, and comes back under another identity", async () => {
    const a = await join("hub-paused");
    expect(a.membership.valid()).toBe(true);
    a.clock.monotonicOffsetMs += TIMES.serveMs; // SIGSTOP and SIGCONT: no line of this process ran in between
    expect(a.membership.valid()).toBe(false);
    expect(a.heard).toEqual([false]);
    expect(a.membership.identity).toBe("hub-paused/p1.2");
    await vi.waitFor(() => expect(a.membership.valid()).toBe(true));
    expect(a.heard).toEqual([false, true]);
    expect((await leaseOf("hub-paused")).spec?.holderIdentity).toBe("hub-paused/p1.2");
    await a.stop();
  });

  it("ends by itself when the API server cannot be reached, and the others see the end later than the replica does", async () => {
    const others = await directory("watcher", management.signal);
    const a = await join("hub-cut");
    await vi.waitFor(() => expect(others.byIdentity("hub-cut/p1.1")).toBeDefined());
    a.line.pulled = true;
    await vi.waitFor(() => expect(a.heard).toEqual([false]), { timeout: 5_000 });
    expect(others.byIdentity("hub-cut/p1.1")).toBeDefined();
    await vi.waitFor(() => expect(others.byIdentity("hub-cut/p1.1")).toBeUndefined(), { timeout: 5_000 });
    a.line.pulled = false;
    await vi.waitFor(() => expect(a.membership.valid()).toBe(true), { timeout: 5_000 });
    await vi.waitFor(() => expect(others.byIdentity(a.membership.identity)).toBeDefined());
    await a.stop();
  });

  it("does not mind a wall clock that jumps", async () => {
    const others = await directory("watcher", management.signal);
    const a = await join("hub-clock");
    for (const jumpMs of [-86_400_000, 172_800_000]) {
      a.clock.wallOffsetMs += jumpMs;
      const { resourceVersion } = (await leaseOf("hub-clock")).metadata;
      await vi.waitFor(async () =>
        expect((await leaseOf("hub-clock")).metadata.resourceVersion).not.toBe(resourceVersion),
      );
      expect(a.membership.valid()).toBe(true);
      expect(others.byIdentity("hub-clock/p1.1")).toBeDefined();
    }
    expect(a.heard).toEqual([]);
    await a.stop();
  });

  it("goes to the newer of two processes with one name, and the older one waits while it lives", async () => {
    const older = await join("hub-twice", "old");
    const newer = await join("hub-twice", "new");
    await vi.waitFor(() => expect(older.heard).toEqual([false]));
    const { resourceVersion } = (await leaseOf("hub-twice")).metadata;
    await vi.waitFor(async () => {
      const lease = await leaseOf("hub-twice");
      expect(Number(lease.metadata.resourceVersion)).toBeGreaterThan(Number(resourceVersion) + 10);
      expect(lease.spec?.holderIdentity).toBe("hub-twice/new.1");
    });
    expect(newer.heard).toEqual([]);
    await newer.stop();
    await vi.waitFor(() => expect(older.membership.valid()).toBe(true), { timeout: 5_000 });
    await older.stop();
  });

  it("is forgotten when its replica never comes back", async () => {
    const stop = new AbortController();
    await directory("sweeper", stop.signal);
    await management.cluster.create(Lease, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: "hub-replica-gone",
        namespace: NAMESPACES.ont,
        labels: { "seam.ontai.dev/federation-replica": "true" },
      },
      spec: { holderIdentity: "gone/p.1", leaseDurationSeconds: 1 },
    });
    await vi.waitFor(() => expect(leaseOf("gone")).rejects.toMatchObject({ reason: "NotFound" }), { timeout: 10_000 });
    stop.abort();
  });
});
