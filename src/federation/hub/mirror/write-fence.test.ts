import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../../../test/support/management-cluster.ts";
import {
  type ItemReport,
  ItemReportSchema,
  ItemReport_Level as Level,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  CapabilityDeclarationSchema,
  type PackReceiptReport,
  PackReceiptReportSchema,
  SnapshotReceiptReportSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { PackReceipt } from "../../../api/kinds/pack-receipt.ts";
import { PermissionSnapshot } from "../../../api/kinds/permission-snapshot.ts";
import { RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { NAMESPACES, snapshotName, tenantNamespace } from "../../../api/names.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { silentMetrics } from "../../../base/metrics.ts";
import { systemRandom } from "../../../base/random.ts";
import { startSessionOwnership } from "../ownership/session-ownership.ts";
import { NO_FENCE, type WriteFence } from "../ports.ts";
import { type HubFactStore, createHubFactStore } from "./hub-fact-store.ts";

const TENANT = "tenant-1";
let management: TestManagementCluster;

beforeAll(async () => {
  management = await openManagementCluster();
  await management.addTenant(TENANT);
  await management.cluster.create(PermissionSnapshot, {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "PermissionSnapshot",
    metadata: { name: snapshotName(TENANT), namespace: NAMESPACES.seam },
    spec: { targetCluster: TENANT, version: "e1.s1.a", principalPermissions: [] },
  });
});
afterAll(() => management.close());

interface Replica {
  readonly store: HubFactStore;
  acquire(): Promise<void>;
  readonly fence: WriteFence;
}

/** One replica's store and ownership. `pause` runs where the process may be stopped: after the fence was asked, before the write. */
async function replica(identity: string, pause: () => Promise<void> = async () => {}): Promise<Replica> {
  const parts = { cluster: management.cluster, clock: systemClock, random: systemRandom, log: silentLog };
  const ownership = await startSessionOwnership({
    ...parts,
    owner: { identity, valid: () => true },
    metrics: silentMetrics,
    signal: management.signal,
  });
  let term = 0n;
  return {
    store: createHubFactStore({ ...parts, drift: async () => {} }),
    acquire: async () => {
      term = await ownership.acquire(TENANT, 0n);
    },
    fence: {
      hold: async () => {
        await ownership.hold(TENANT, term);
        await pause();
      },
    },
  };
}

const level = (of: Level): ItemReport =>
  create(ItemReportSchema, {
    kind: "PermissionSnapshot",
    name: "x",
    version: 1n,
    digest: "sha256:a",
    level: of,
    atUnixMs: 1n,
  });
const receipt = (driftStatus: string): PackReceiptReport =>
  create(PackReceiptReportSchema, {
    receiptName: "web",
    clusterPackRef: "web",
    version: "v1",
    serial: 1n,
    manifestDigest: "sha256:a",
    driftStatus,
    deliveryState: "Applied",
  });

/** Every kind of fact: how the former owner stores its old one, the new owner its newer one, and what must stand in the end. */
const facts: readonly {
  readonly name: string;
  store(store: HubFactStore, newer: boolean, fence: WriteFence): Promise<void>;
  read(): Promise<unknown>;
  readonly newer: unknown;
}[] = [
  {
    name: "item levels",
    store: (store, newer, fence) => store.items(TENANT, [level(newer ? Level.HEALTHY : Level.RECEIVED)], fence),
    read: async () => (await createdStore().itemLevels(TENANT)).map((report) => report.level),
    newer: [Level.HEALTHY],
  },
  {
    name: "a pack receipt",
    store: (store, newer, fence) => store.packReceipt(TENANT, receipt(newer ? "Drifted" : "InSync"), fence),
    read: async () =>
      (await management.cluster.get(PackReceipt, { namespace: tenantNamespace(TENANT), name: "web" })).status
        ?.driftStatus,
    newer: "Drifted",
  },
  {
    name: "a snapshot receipt",
    store: (store, newer, fence) =>
      store.snapshotReceipt(
        TENANT,
        create(SnapshotReceiptReportSchema, {
          snapshotVersion: newer ? "e1.s0.new" : "e1.s0.old",
          syncStatus: "OutOfSync",
        }),
        fence,
      ),
    read: async () =>
      (
        await management.cluster.get(PermissionSnapshot, { namespace: NAMESPACES.seam, name: snapshotName(TENANT) })
      ).status?.conditions?.find(({ type }) => type === "Acknowledged")?.message,
    newer: "the tenant holds e1.s0.new",
  },
  {
    name: "a declaration",
    store: (store, newer, fence) =>
      store.capability(
        TENANT,
        create(CapabilityDeclarationSchema, { agentVersion: newer ? "2.0.0" : "1.0.0", agentLeader: "a" }),
        fence,
      ),
    read: async () =>
      (await management.cluster.get(RunnerConfig, { namespace: NAMESPACES.ont, name: TENANT })).status?.federation
        ?.tenantAgent?.version,
    newer: "2.0.0",
  },
];

function createdStore(): HubFactStore {
  return createHubFactStore({
    cluster: management.cluster,
    clock: systemClock,
    log: silentLog,
    drift: async () => {},
  });
}

describe("a former owner that wakes up (lessons §11.1)", () => {
  it.each(facts)("cannot store $name any more", async ({ store, read, newer }) => {
    const former = await replica("former");
    const successor = await replica("successor");
    await former.acquire();
    await successor.acquire();
    await store(successor.store, true, successor.fence);
    await expect(store(former.store, false, former.fence)).rejects.toMatchObject({ name: "OwnershipLost" });
    expect(await read()).toEqual(newer);
  });

  it.each(facts)("does not overwrite $name when it was stopped between its question and its write", async (fact) => {
    const successor = await replica("successor-2");
    let stopped = false;
    const former = await replica("former-2", async () => {
      if (stopped) return;
      stopped = true;
      await successor.acquire();
      // Twice, so that something is written: what says nothing new is not sent.
      await fact.store(successor.store, false, successor.fence);
      await fact.store(successor.store, true, successor.fence);
    });
    await former.acquire();
    await fact.store(createdStore(), true, NO_FENCE);
    await expect(fact.store(former.store, false, former.fence)).rejects.toMatchObject({ name: "OwnershipLost" });
    expect(stopped).toBe(true);
    expect(await fact.read()).toEqual(fact.newer);
  });
});
