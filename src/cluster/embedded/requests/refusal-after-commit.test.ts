import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTenantCluster, type TestTenantCluster } from "../../../../test/support/tenant-cluster.ts";
import { ConfigMap, type ConfigMapObject } from "../../../api/builtin.ts";
import { isStatus } from "../../api-status-error.ts";

const KEY = { namespace: "default", name: "counter" };

describe("a refused write", () => {
  let tenant: TestTenantCluster;
  beforeAll(async () => {
    tenant = await openTenantCluster({ nodes: false });
  });
  afterAll(() => tenant.close());

  const count = (object: ConfigMapObject): number => Number(object.data?.["n"] ?? "0");

  it("is answered when what it conflicts with can be read, so that reading again and retrying ends", async () => {
    const first = await tenant.cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: KEY,
      data: { n: "0" },
    });
    const winner = tenant.cluster.update(ConfigMap, { ...first, data: { n: "1" } });
    let refused = 0;
    await tenant.cluster.update(ConfigMap, { ...first, data: { n: "2" } }).catch((error: unknown) => {
      if (!isStatus(error, "Conflict")) throw error;
      refused++;
    });
    expect(refused).toBe(1);
    expect(count(await tenant.cluster.get(ConfigMap, KEY))).toBe(1);
    await winner;
  });

  it("lets many writers count together without losing one", async () => {
    const start = count(await tenant.cluster.get(ConfigMap, KEY));
    const increment = async (): Promise<number> => {
      for (let tries = 1; ; tries++) {
        const current = await tenant.cluster.get(ConfigMap, KEY);
        try {
          await tenant.cluster.update(ConfigMap, { ...current, data: { n: String(count(current) + 1) } });
          return tries;
        } catch (error) {
          if (!isStatus(error, "Conflict")) throw error;
        }
      }
    };
    const tries = await Promise.all(Array.from({ length: 20 }, increment));
    expect(count(await tenant.cluster.get(ConfigMap, KEY))).toBe(start + 20);
    expect(Math.max(...tries)).toBeLessThanOrEqual(20);
  });
});
