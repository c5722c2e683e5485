import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../../../test/support/management-cluster.ts";
import { Lease } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { silentMetrics } from "../../../base/metrics.ts";
import { systemRandom } from "../../../base/random.ts";
import { type RunningSessionOwnership, ownershipLeaseName, startSessionOwnership } from "./session-ownership.ts";

let management: TestManagementCluster;
const lost: string[] = [];

beforeAll(async () => {
  management = await openManagementCluster();
});
afterAll(() => management.close());

interface Replica extends RunningSessionOwnership {
  readonly owner_: { identity: string; member: boolean };
}

async function replica(identity: string): Promise<Replica> {
  const owner = { identity, member: true, valid: () => owner.member };
  const ownership = await startSessionOwnership({
    cluster: management.cluster,
    owner,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    metrics: silentMetrics,
    signal: management.signal,
  });
  ownership.onLost((cluster, newOwner) => lost.push(`${identity} lost ${cluster} to ${newOwner}`));
  return {
    acquire: (cluster, above) => ownership.acquire(cluster, above),
    hold: (cluster, term) => ownership.hold(cluster, term),
    wentBack: (cluster) => ownership.wentBack(cluster),
    owner: (cluster) => ownership.owner(cluster),
    onLost: (listener) => ownership.onLost(listener),
    closed: ownership.closed,
    owner_: owner,
  };
}

const keyOf = (cluster: string) => ({ namespace: NAMESPACES.ont, name: ownershipLeaseName(cluster) });
const versionOf = async (cluster: string): Promise<string | undefined> =>
  (await management.cluster.get(Lease, keyOf(cluster))).metadata.resourceVersion;

describe("session ownership (architecture §6.4)", () => {
  it("raises the term whenever ownership moves, tells the loser, and writes nothing while it stays", async () => {
    const [first, second] = await Promise.all([replica("hub-a"), replica("hub-b")]);
    expect(await first.acquire("tenant-1", 0n)).toBe(1n);
    const version = await versionOf("tenant-1");
    expect(await first.acquire("tenant-1", 1n)).toBe(1n);
    expect(await versionOf("tenant-1")).toBe(version);
    expect(await second.acquire("tenant-1", 1n)).toBe(2n);
    await vi.waitFor(() => expect(lost).toEqual(["hub-a lost tenant-1 to hub-b"]));
    expect(await first.acquire("tenant-1", 2n)).toBe(3n);
    await vi.waitFor(() => expect(second.owner("tenant-1")).toEqual({ holder: "hub-a", term: 3n }));
  });

  it("does not believe its own watch about what it owns", async () => {
    const first = await replica("hub-c");
    await first.acquire("tenant-2", 0n);
    await vi.waitFor(() => expect(first.owner("tenant-2")?.holder).toBe("hub-c"));
    const lease = await management.cluster.get(Lease, keyOf("tenant-2"));
    // Taken over between two words of the watch: the next acquire must see it and move on.
    await management.cluster.update(Lease, {
      ...lease,
      spec: { ...lease.spec, holderIdentity: "hub-d", leaseTransitions: 2 },
    });
    const term = await first.acquire("tenant-2", 0n);
    expect(term).toBe(3n);
  });

  it("gives every contender another term, whoever is faster", async () => {
    const replicas = await Promise.all(["r1", "r2", "r3", "r4"].map(replica));
    const terms = await Promise.all(replicas.map((each) => each.acquire("tenant-3", 0n)));
    expect(new Set(terms)).toEqual(new Set([1n, 2n, 3n, 4n]));
  });

  it("starts again from a restarted replica's new identity with a higher term", async () => {
    const before = await (await replica("hub-x/1")).acquire("tenant-4", 0n);
    expect(await (await replica("hub-x/2")).acquire("tenant-4", 0n)).toBe(before + 1n);
  });

  it("never gives a term twice after the cluster was restored from a backup", async () => {
    const hub = await replica("hub-restored");
    expect(hub.wentBack("tenant-5")).toBe(false);
    expect(await hub.acquire("tenant-5", 41n)).toBe(42n);
    expect(hub.wentBack("tenant-5")).toBe(true);
    expect(await hub.acquire("tenant-5", 42n)).toBe(42n);
    expect(hub.wentBack("tenant-5")).toBe(false);
    expect(await hub.acquire("tenant-5", 50n)).toBe(51n);
    expect(hub.wentBack("tenant-5")).toBe(true);
    await expect(hub.acquire("tenant-5", 2n ** 40n)).rejects.toMatchObject({ name: "OwnershipLost" });
  });

  it("owns nothing without a membership, and what it owned before is another owner's", async () => {
    const hub = await replica("hub-m/1");
    expect(await hub.acquire("tenant-6", 0n)).toBe(1n);
    await hub.hold("tenant-6", 1n);
    hub.owner_.member = false;
    await expect(hub.hold("tenant-6", 1n)).rejects.toThrow("no member of the hub");
    await expect(hub.acquire("tenant-6", 1n)).rejects.toThrow("no member of the hub");
    hub.owner_.member = true;
    hub.owner_.identity = "hub-m/2";
    await expect(hub.hold("tenant-6", 1n)).rejects.toThrow("does not own term 1 any more");
    expect(await hub.acquire("tenant-6", 1n)).toBe(2n);
  });

  it("asks the API server, not the watch, before an effect", async () => {
    const hub = await replica("hub-w");
    const term = await hub.acquire("tenant-7", 0n);
    const lease = await management.cluster.get(Lease, keyOf("tenant-7"));
    await management.cluster.update(Lease, {
      ...lease,
      spec: { ...lease.spec, holderIdentity: "hub-v", leaseTransitions: 2 },
    });
    // In the same turn: no watch has told it yet.
    await expect(hub.hold("tenant-7", term)).rejects.toThrow("owned by hub-v now");
    expect(lost).toContain("hub-w lost tenant-7 to hub-v");
  });
});
