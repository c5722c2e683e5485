import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type TestManagementCluster, openManagementCluster } from "../../../../test/support/management-cluster.ts";
import { ConfigMap } from "../../../api/builtin.ts";
import { tenantNamespace } from "../../../api/names.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { MAX_PENDING_RETRIES } from "../../session/limits.ts";
import { type RunningRetryOrders, startRetryOrders } from "./retry-orders.ts";

const TENANT = "tenant-1";
const ITEM = { kind: "PackInstalled", name: "web", digest: "sha256:a" };

let management: TestManagementCluster;
/** Wall clock of the orders. */
let nowMs = 1_000_000;
beforeEach(async () => {
  management = await openManagementCluster();
  await management.addTenant(TENANT);
});
afterEach(() => management.close());

function replica(): Promise<RunningRetryOrders> {
  const clock = { ...systemClock, now: () => nowMs };
  const { cluster, signal } = management;
  return startRetryOrders({ cluster, clock, random: systemRandom, log: silentLog, signal });
}

describe("orders for retries", () => {
  it("are the same at every replica, outlive the one that took them, and are over everywhere", async () => {
    const [taker, carrier] = await Promise.all([replica(), replica()]);
    const heard: string[] = [];
    carrier.subscribe((cluster) => heard.push(cluster));
    const order = await taker.order(TENANT, ITEM);
    expect(order).toMatchObject({ ...ITEM, orderedAtMs: nowMs });
    await vi.waitFor(() => expect(carrier.pending(TENANT)).toEqual([order]));
    expect(heard).toContain(TENANT);
    const later = await replica();
    expect(later.pending(TENANT)).toEqual([order]);
    await carrier.settled(TENANT, order.id);
    await carrier.settled(TENANT, order.id);
    await vi.waitFor(() => expect(taker.pending(TENANT)).toEqual([]));
  });

  it("are one per item: asked twice is asked once, and a later one takes the place of an earlier one", async () => {
    const orders = await replica();
    const first = await orders.order(TENANT, ITEM);
    nowMs += 59_000;
    expect(await orders.order(TENANT, ITEM)).toEqual(first);
    nowMs += 2_000;
    const second = await orders.order(TENANT, ITEM);
    expect(second.id).not.toBe(first.id);
    const other = await orders.order(TENANT, { ...ITEM, digest: "sha256:b" });
    const beside = await orders.order(TENANT, { ...ITEM, name: "db" });
    await vi.waitFor(() => expect(orders.pending(TENANT)).toEqual([other, beside]));
  });

  it("are bounded for each agent", async () => {
    const orders = await replica();
    const lines = Array.from({ length: MAX_PENDING_RETRIES }, (_, at) =>
      JSON.stringify({ ...ITEM, name: `web-${at}`, id: String(at), orderedAtMs: 1 }),
    );
    const metadata = { name: "federation-retries", namespace: tenantNamespace(TENANT) };
    const data = { orders: lines.join("\n") };
    await management.cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data });
    await expect(orders.order(TENANT, ITEM)).rejects.toThrow(
      "PackInstalled/web on tenant-1: at most 256 retries that wait for one agent; wait until the agent is back and has carried them out, or change the content of the item",
    );
  });

  it("are read past what somebody else wrote between them", async () => {
    const orders = await replica();
    const good = { ...ITEM, id: "1", orderedAtMs: 1 };
    const metadata = { name: "federation-retries", namespace: tenantNamespace(TENANT) };
    const data = { orders: `nonsense\n{"id":7}\n${JSON.stringify(good)}\n` };
    await management.cluster.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data });
    await vi.waitFor(() => expect(orders.pending(TENANT)).toEqual([good]));
  });
});
