import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../../../test/support/management-cluster.ts";
import { Lease } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { type RunningSessionOwnership, ownershipLeaseName, startSessionOwnership } from "./session-ownership.ts";

let management: TestManagementCluster;
const lost: string[] = [];

beforeAll(async () => {
  management = await openManagementCluster();
});
afterAll(() => management.close());

const replica = (identity: string): Promise<RunningSessionOwnership> =>
  startSessionOwnership({
    cluster: management.cluster,
    identity,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    signal: management.signal,
    onLost: (cluster) => lost.push(`${identity} lost ${cluster}`),
  });

const versionOf = async (cluster: string): Promise<string | undefined> =>
  (await management.cluster.get(Lease, { namespace: NAMESPACES.ont, name: ownershipLeaseName(cluster) })).metadata
    .resourceVersion;

describe("session ownership (architecture §6.4)", () => {
  it("raises the term whenever ownership moves, tells the loser, and writes nothing while it stays", async () => {
    const [first, second] = await Promise.all([replica("hub-a"), replica("hub-b")]);
    expect(await first.acquire("tenant-1")).toBe(1n);
    const version = await versionOf("tenant-1");
    expect(await first.acquire("tenant-1")).toBe(1n);
    expect(await versionOf("tenant-1")).toBe(version);
    expect(await second.acquire("tenant-1")).toBe(2n);
    await vi.waitFor(() => expect(lost).toEqual(["hub-a lost tenant-1"]));
    expect(await first.acquire("tenant-1")).toBe(3n);
    await vi.waitFor(() => expect(second.owner("tenant-1")).toEqual({ holder: "hub-a", term: 3n }));
  });

  it("does not believe its own watch about what it owns", async () => {
    const first = await replica("hub-c");
    await first.acquire("tenant-2");
    await vi.waitFor(() => expect(first.owner("tenant-2")?.holder).toBe("hub-c"));
    const key = { namespace: NAMESPACES.ont, name: ownershipLeaseName("tenant-2") };
    const lease = await management.cluster.get(Lease, key);
    // Taken over between two words of the watch: the next acquire must see it and move on.
    await management.cluster.update(Lease, {
      ...lease,
      spec: { ...lease.spec, holderIdentity: "hub-d", leaseTransitions: 2 },
    });
    const term = await first.acquire("tenant-2");
    expect(term).toBe(3n);
  });

  it("gives every contender another term, whoever is faster", async () => {
    const replicas = await Promise.all(["r1", "r2", "r3", "r4"].map(replica));
    const terms = await Promise.all(replicas.map((each) => each.acquire("tenant-3")));
    expect(new Set(terms)).toEqual(new Set([1n, 2n, 3n, 4n]));
  });

  it("starts again from a restarted replica's new identity with a higher term", async () => {
    const before = await (await replica("hub-x/1")).acquire("tenant-4");
    expect(await (await replica("hub-x/2")).acquire("tenant-4")).toBe(before + 1n);
  });
});
