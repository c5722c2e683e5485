import { afterEach, beforeEach, expect, it } from "vitest";
import { MemoryDirectory } from "../../../../test/support/federation-ports.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../../test/support/management-cluster.ts";
import { Lease } from "../../../api/builtin.ts";
import { NAMESPACES } from "../../../api/names.ts";
import type { Cluster } from "../../../cluster/cluster.ts";
import { silentLog } from "../../../base/log.ts";
import { type OwnershipSweepParts, sweepOwnerships } from "./sweep-ownerships.ts";

let management: TestManagementCluster;
beforeEach(async () => {
  management = await openManagementCluster();
  await management.addTenant("alive");
  for (const name of [
    "federation-alive",
    "federation-gone",
    "federation-busy",
    "hub-replica-hub-0",
    "conductor-management",
  ])
    await management.cluster.create(Lease, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace: NAMESPACES.ont },
      spec: { holderIdentity: "hub-0/1", leaseTransitions: 7 },
    });
});
afterEach(() => management.close());

function parts(more: Partial<OwnershipSweepParts> = {}): OwnershipSweepParts {
  // A watch that has not heard of anybody: what is read decides.
  const directory = new MemoryDirectory([]);
  return { cluster: management.cluster, directory, assertFenced: () => {}, log: silentLog, ...more };
}

async function leases(): Promise<readonly string[]> {
  const { items } = await management.cluster.list(Lease, { namespace: NAMESPACES.ont });
  return items.map(({ metadata }) => metadata.name).toSorted();
}

it("removes the Lease of a tenant that is gone at two looks, and nobody else's", async () => {
  const all = await leases();
  const first = await sweepOwnerships(parts(), new Set());
  expect(first).toEqual(new Set(["gone", "busy"]));
  expect(await leases()).toEqual(all);
  expect(await sweepOwnerships(parts(), new Set(["gone"]))).toEqual(new Set(["gone", "busy"]));
  expect(await leases()).toEqual(all.filter((name) => name !== "federation-gone"));
});

it("leaves a Lease that is taken over while it looks, and removes nothing when it does not lead any more", async () => {
  const gone = new Set(["gone", "busy"]);
  const deposed = (): void => {
    throw new Error("another replica leads");
  };
  await expect(sweepOwnerships(parts({ assertFenced: deposed }), gone)).rejects.toThrow("another replica leads");
  const all = await leases();
  const key = { namespace: NAMESPACES.ont, name: "federation-busy" };
  const held = await management.cluster.get(Lease, key);
  // In the last moment the tenant is back and a replica takes its session.
  const takeOver = async (): Promise<void> => {
    await management.cluster.update(Lease, { ...held, spec: { ...held.spec, holderIdentity: "hub-1/1" } });
  };
  const cluster: Pick<Cluster, "get" | "list" | "delete"> = {
    get: (...args) => management.cluster.get(...args),
    list: (...args) => management.cluster.list(...args),
    delete: async (type, object, options) => {
      if (object.name === key.name) await takeOver();
      return management.cluster.delete(type, object, options);
    },
  };
  await sweepOwnerships(parts({ cluster }), gone);
  expect(await leases()).toEqual(all.filter((name) => name !== "federation-gone"));
});
