import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../../../test/support/management-cluster.ts";
import { ConfigMap } from "../../../api/builtin.ts";
import { TalosCluster } from "../../../api/kinds/talos-cluster.ts";
import { NAMESPACES, tenantNamespace } from "../../../api/names.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { DENY_LIST_NAME, readDenyList, withDenied } from "./deny-list.ts";
import { type RunningTenantDirectory, startTenantDirectory } from "./tenant-directory.ts";

let management: TestManagementCluster;
let directory: RunningTenantDirectory;

beforeAll(async () => {
  management = await openManagementCluster();
  await management.addTenant("tenant-1");
  directory = await startTenantDirectory({
    cluster: management.cluster,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    signal: management.signal,
  });
});
afterAll(async () => {
  await management.close();
  await directory.closed;
});

const verdict = (cluster: string, serial = "01"): string => {
  const answer = directory.check(cluster, serial);
  return answer.ok ? "ok" : answer.reason;
};

async function talosCluster(name: string, namespace: string, role: "tenant" | "management", more = {}): Promise<void> {
  await management.cluster.create(TalosCluster, {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "TalosCluster",
    metadata: { name, namespace, ...more },
    spec: { mode: "import", role },
  });
}

describe("tenant directory (R-4.3)", () => {
  it("knows tenants in their own namespace and in seam-system, and no other role", async () => {
    await talosCluster("edge", NAMESPACES.seam, "tenant");
    await talosCluster("home", NAMESPACES.seam, "management");
    await talosCluster("stray", tenantNamespace("tenant-1"), "tenant");
    await vi.waitFor(() => expect(verdict("home")).toBe("NotATenant"));
    expect([verdict("tenant-1"), verdict("edge"), verdict("unknown"), verdict("Not/A/Name")]).toEqual([
      "ok",
      "ok",
      "UnknownCluster",
      "UnknownCluster",
    ]);
    await vi.waitFor(() => expect(directory.clusters()).toContain("stray"));
    // A TalosCluster in somebody else's namespace gives nobody an identity.
    expect(verdict("stray")).toBe("UnknownCluster");
  });

  it("refuses a cluster that is being deleted, and says that its verdict changed", async () => {
    await talosCluster("leaving", NAMESPACES.seam, "tenant", { finalizers: ["seam.ontai.dev/test"] });
    await vi.waitFor(() => expect(verdict("leaving")).toBe("ok"));
    const changed: string[] = [];
    const stop = directory.subscribe((cluster) => changed.push(cluster));
    await management.cluster.delete(TalosCluster, { namespace: NAMESPACES.seam, name: "leaving" });
    await vi.waitFor(() => expect(verdict("leaving")).toBe("ClusterDeleting"));
    expect(changed).toContain("leaving");
    stop();
  });

  it("denies serials and clusters while the deny list names them", async () => {
    const key = { namespace: NAMESPACES.ont, name: DENY_LIST_NAME };
    const changed: string[] = [];
    const stop = directory.subscribe((cluster) => changed.push(cluster));
    await management.cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: key,
      data: { serials: "0a:bc # lost laptop\n", clusters: "edge\n" },
    });
    await vi.waitFor(() => expect(verdict("edge")).toBe("ClusterRevoked"));
    expect([verdict("tenant-1", "ABC"), verdict("tenant-1", "ABD")]).toEqual(["CertificateRevoked", "ok"]);
    expect(changed).toContain("tenant-1");
    await management.cluster.delete(ConfigMap, key);
    await vi.waitFor(() => expect([verdict("edge"), verdict("tenant-1", "ABC")]).toEqual(["ok", "ok"]));
    stop();
  });
});

describe("deny list text", () => {
  it("grows by one line per entry, keeps what people wrote, and takes no line break from a remark", () => {
    const first = withDenied("# kept\nedge", "tenant-1", "r-1: stolen\nserials");
    expect(first).toBe("# kept\nedge\ntenant-1 # r-1: stolen serials\n");
    expect(withDenied(first, "tenant-1", "again")).toBe(first);
    expect(readDenyList(undefined).clusters.size).toBe(0);
  });
});
