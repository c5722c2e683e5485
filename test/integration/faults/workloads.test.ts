import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap, Deployment } from "../../../src/api/builtin.ts";
import { findCondition } from "../../../src/api/conditions.ts";
import { PackDelivery } from "../../../src/api/kinds/pack-delivery.ts";
import { PackExecution } from "../../../src/api/kinds/pack-execution.ts";
import { PackInstalled } from "../../../src/api/kinds/pack-installed.ts";
import { PackReceipt } from "../../../src/api/kinds/pack-receipt.ts";
import { NAMESPACES, tenantNamespace } from "../../../src/api/names.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { ifPresent } from "../../../src/cluster/if-present.ts";
import { openOciLayout } from "../../../src/packs/store/oci-layout.ts";
import { publishPack } from "../../../src/roles/publish-pack.ts";
import { MeshProcess, until } from "../../support/mesh-process.ts";

const TENANT = "tenant-1";
const HOME = tenantNamespace(TENANT);
const SETTINGS = { namespace: "work", name: "settings" };

describe("workloads that do not do what they should, on a running mesh", () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-workloads-"));
  const mesh = new MeshProcess({ directory: join(directory, "mesh"), tenants: 1, portOffset: 5600 });

  beforeAll(async () => {
    mesh.start();
    await mesh.ready();
  }, 90_000);
  afterAll(async () => {
    await mesh.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function publish(version: string, outcome: "ready" | "hang" | "fail"): Promise<void> {
    const source = join(directory, version);
    mkdirSync(source);
    writeFileSync(
      join(source, "work.yaml"),
      `apiVersion: v1
kind: Namespace
metadata: { name: work }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: work }
data: { mode: ${JSON.stringify(version)} }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: work }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web }, annotations: { simulated.seam.ontai.dev/outcome: ${outcome} } }
    spec: { containers: [{ name: main, image: "registry.example.net/web:${version}" }] }
`,
    );
    const store = await openOciLayout(mesh.layout.packs, systemClock);
    await publishPack({ directory: source, name: "work", version, to: [TENANT] }, store, mesh.management);
  }

  const explain = () => mesh.fleet.explainItem({ cluster: TENANT, kind: "", name: "work" });
  const step = async (name: string) => (await explain()).steps.find((each) => each.name === name)?.state;
  const reading = async <T>(read: Promise<T>): Promise<T | undefined> => {
    return ifPresent(read);
  };
  const settings = () => reading(mesh.tenant(TENANT).get(ConfigMap, SETTINGS));
  const driftState = async () => (await mesh.drift()).find(({ name }) => name === "drift-work-tenant-1")?.state;

  it("stays applied while a workload hangs, and says everywhere what it waits for", async () => {
    await publish("v1.0.0", "hang");
    await until("level applied", 20_000, async () => ((await step("applied")) === "done" ? undefined : "not applied"));
    const text = "Deployment work/web: 0 of 2 replicas are available";
    await until("what it waits for", 20_000, async () => {
      const { blockingReason } = await explain();
      return blockingReason.includes(text) ? undefined : blockingReason;
    });
    expect(await step("healthy")).toBe("pending");
    await until("conditions", 20_000, async () => {
      const installed = await mesh.management.get(PackInstalled, { namespace: HOME, name: "work-tenant-1" });
      const execution = await mesh.management.get(PackExecution, { namespace: HOME, name: "work-v1.0.0-tenant-1" });
      const said = [
        findCondition(installed.status?.conditions, "Ready")?.message,
        findCondition(execution.status?.conditions, "Running")?.message,
      ];
      return said.every((message) => message?.includes(text)) ? undefined : said.join(" | ");
    });
  });

  it("says why when one fails, and a fixed version heals it", async () => {
    await publish("v2.0.0", "fail");
    await until("the failure", 30_000, async () => {
      const { lastError } = await explain();
      return /WorkloadFailed: .*Deployment work\/web: .*timed out progressing/.test(lastError) ? undefined : lastError;
    });
    await publish("v3.0.0", "ready");
    await until("health", 30_000, async () => ((await step("healthy")) === "done" ? undefined : "not healthy"));
    await until("Ready", 10_000, async () => {
      const installed = await mesh.management.get(PackInstalled, { namespace: HOME, name: "work-tenant-1" });
      const ready = findCondition(installed.status?.conditions, "Ready");
      return ready?.status === "True" ? undefined : ready?.reason;
    });
  });

  it("heals an owned field that a hand changed, and leaves fields that are not the pack's alone", async () => {
    const tenant = mesh.tenant(TENANT);
    const by = { fieldManager: "kubectl-edit" };
    await tenant.patch(
      ConfigMap,
      SETTINGS,
      { type: "merge", body: { data: { theirs: "stays", mode: "by hand" } } },
      by,
    );
    await until("the healed field", 30_000, async () => {
      const mode = (await settings())?.data?.["mode"];
      return mode === "v3.0.0" ? undefined : mode;
    });
    expect((await settings())?.data?.["theirs"]).toBe("stays");
    await until("a confirmed signal", 30_000, async () => {
      const state = await driftState();
      return state === "confirmed" ? undefined : state;
    });
    expect(mesh.log(TENANT)).toMatch(/"signal":"drift-work-tenant-1","state":"confirmed".*"drift signal moved"/);
  });

  it("keeps drift that happens while the hub is away, moves no counter, and heals it afterwards", async () => {
    writeFileSync(mesh.layout.hold("management"), "");
    await until("the hub away", 15_000, async () => {
      try {
        await mesh.agents();
      } catch {
        return undefined;
      }
      return "it answers";
    });
    await mesh.tenant(TENANT).delete(Deployment, { namespace: "work", name: "web" });
    // Two checks of the tenant: it is sure before anybody can hear of it.
    await until("the tenant sure", 20_000, async () => {
      const receipt = await mesh.tenant(TENANT).get(PackReceipt, { namespace: NAMESPACES.ont, name: "work-tenant-1" });
      return receipt.status?.driftStatus === "Drifted" ? undefined : receipt.status?.driftStatus;
    });
    rmSync(mesh.layout.hold("management"));
    await mesh.ready(60_000);
    await until("the Deployment back and the signal confirmed", 60_000, async () => {
      const back = await reading(mesh.tenant(TENANT).get(Deployment, { namespace: "work", name: "web" }));
      const signal = (await mesh.drift()).find(({ name }) => name === "drift-work-tenant-1");
      if (signal !== undefined && signal.escalations > 0) return `${signal.escalations} failed corrections`;
      return back !== undefined && signal?.state === "confirmed" ? undefined : (signal?.state ?? "no signal");
    });
  });

  it("removes by tombstone what it applied and nothing else, and the same version can be published again", async () => {
    const tenant = mesh.tenant(TENANT);
    const foreign = { namespace: "work", name: "foreign" };
    await tenant.create(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata: foreign, data: { a: "b" } });
    for (const version of ["v1.0.0", "v2.0.0", "v3.0.0"])
      await mesh.management.delete(PackDelivery, { namespace: NAMESPACES.seam, name: `work-${version}` });
    await until("the deliveries and workloads gone", 60_000, async () => {
      const { items } = await mesh.management.list(PackDelivery, { namespace: NAMESPACES.seam });
      const left = items
        .filter(({ metadata }) => metadata.name.startsWith("work-"))
        .map(({ metadata }) => metadata.name);
      if ((await settings()) !== undefined) left.push("ConfigMap settings");
      if ((await tenant.list(Deployment, { namespace: "work" })).items.length > 0) left.push("Deployment web");
      return left.length === 0 ? undefined : left.join();
    });
    expect((await tenant.get(ConfigMap, foreign)).data).toEqual({ a: "b" });
    const store = await openOciLayout(mesh.layout.packs, systemClock);
    const again = { directory: join(directory, "v3.0.0"), name: "work", version: "v3.0.0", to: [TENANT] };
    expect((await publishPack(again, store, mesh.management)).created).toBe(true);
    // The removal was healthy too: only the object tells the second publication from it.
    await until("the object back", 30_000, async () => {
      const mode = (await settings())?.data?.["mode"];
      return mode === "v3.0.0" ? undefined : `mode ${mode ?? "absent"}`;
    });
    await until("health again", 30_000, async () => ((await step("healthy")) === "done" ? undefined : "not healthy"));
  });
});
