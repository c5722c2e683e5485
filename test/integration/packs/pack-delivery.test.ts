import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findCondition, isTrue } from "../../../src/api/conditions.ts";
import { PackDelivery } from "../../../src/api/kinds/pack-delivery.ts";
import { PackExecution } from "../../../src/api/kinds/pack-execution.ts";
import { PackInstalled } from "../../../src/api/kinds/pack-installed.ts";
import { PackLog } from "../../../src/api/kinds/pack-log.ts";
import { NAMESPACES, tenantNamespace } from "../../../src/api/names.ts";
import { PackMesh } from "../../support/pack-mesh.ts";

const TENANT = "edge";
const HOME = tenantNamespace(TENANT);
const INSTALLED = { namespace: HOME, name: "hello-edge" };

let mesh: PackMesh;
beforeEach(async () => {
  mesh = await PackMesh.open([TENANT]);
});
afterEach(async () => {
  await mesh.close();
});

async function deliver(version: string, revision: number): Promise<void> {
  await mesh.publish("hello", version, { targetClusters: [TENANT] });
  await mesh.until(
    PackInstalled,
    INSTALLED,
    ({ spec, status }) =>
      spec.version === version && status?.signedFor !== undefined && (status.serial ?? 0) >= revision,
  );
  const manifest = await mesh.manifest(TENANT, "hello-edge");
  await mesh.untilIndex(TENANT, ({ items }) =>
    items.some(({ name, refs }) => name === "hello-edge" && refs !== undefined),
  );
  expect(manifest.version).toBe(version);
  await settle(manifest.serial);
  await mesh.report(TENANT, "hello-edge", { level: "Healthy", version: 1 });
  await mesh.until(
    PackExecution,
    { namespace: HOME, name: `hello-${version}-edge` },
    ({ status }) => status?.phase === "Succeeded",
  );
}

/** The index names exactly what is signed now. */
async function settle(serial: number): Promise<void> {
  const installed = await mesh.until(PackInstalled, INSTALLED, ({ status }) => status?.serial === serial);
  await mesh.untilIndex(TENANT, ({ items }) => items.some(({ digest }) => digest === installed.status?.manifestDigest));
}

describe("the way of one pack (architecture §8)", () => {
  it("is signed, fanned out, put into the index, and done when the tenant says healthy", async () => {
    await mesh.start();
    await deliver("v1.0.0", 1);
    const delivery = await mesh.until(
      PackDelivery,
      { namespace: NAMESPACES.seam, name: "hello-v1.0.0" },
      ({ status }) => isTrue(status?.conditions, "Delivered"),
    );
    expect(delivery.status).toMatchObject({
      signed: true,
      deliveredSummary: "1/1",
      targets: [{ cluster: TENANT, phase: "Installed", installedVersion: "v1.0.0" }],
    });
    const installed = await mesh.until(PackInstalled, INSTALLED, ({ status }) => isTrue(status?.conditions, "Ready"));
    expect(installed.status).toMatchObject({
      upgradeDirection: "Initial",
      deliveredRevision: 1,
      serial: 1,
      deployedResources: [
        { kind: "Namespace", name: "apps" },
        { kind: "ConfigMap", name: "hello" },
      ],
    });
    expect(findCondition(installed.status?.conditions, "Acknowledged")?.status).toBe("True");
    const { items } = await mesh.cluster.list(PackLog, { namespace: HOME });
    expect(items.map(({ spec }) => [spec.revision, spec.status, spec.clusterPackVersion])).toEqual([
      [1, "Succeeded", "v1.0.0"],
    ]);
  });

  it("a newer version takes over in place, the older one is superseded and its log too", async () => {
    await mesh.start();
    await deliver("v1.0.0", 1);
    await deliver("v1.1.0", 2);
    const old = await mesh.until(PackDelivery, { namespace: NAMESPACES.seam, name: "hello-v1.0.0" }, ({ status }) =>
      isTrue(status?.conditions, "Superseded"),
    );
    expect(old.status?.targets).toMatchObject([{ phase: "Superseded" }]);
    const manifest = await mesh.manifest(TENANT, "hello-edge");
    expect(manifest).toMatchObject({ version: "v1.1.0", serial: 2, supersedes: { serial: 1, version: "v1.0.0" } });
    const logs = (await mesh.cluster.list(PackLog, { namespace: HOME })).items;
    expect(
      logs
        .toSorted((a, b) => a.spec.revision - b.spec.revision)
        .map(({ spec, metadata }) => [spec.revision, metadata.labels?.["seam.ontai.dev/superseded"]]),
    ).toEqual([
      [1, "true"],
      [2, undefined],
    ]);
    expect((await mesh.cluster.get(PackInstalled, INSTALLED)).status?.upgradeDirection).toBe("Upgrade");
  });

  it("a superseded version is not written again when yet newer ones come", async () => {
    await mesh.start();
    await deliver("v1.0.0", 1);
    await deliver("v1.1.0", 2);
    const key = { namespace: NAMESPACES.seam, name: "hello-v1.0.0" };
    const old = await mesh.until(PackDelivery, key, ({ status }) => isTrue(status?.conditions, "Superseded"));
    expect(old.status?.targets).toMatchObject([{ reason: "superseded by v1.1.0" }]);
    await deliver("v1.2.0", 3);
    await deliver("v1.3.0", 4);
    await mesh.until(PackDelivery, { ...key, name: "hello-v1.2.0" }, ({ status }) =>
      isTrue(status?.conditions, "Superseded"),
    );
    expect((await mesh.cluster.get(PackDelivery, key)).metadata.resourceVersion).toBe(old.metadata.resourceVersion);
  });

  it("a refusal by the tenant fails the execution with its reason, and success after all mends it", async () => {
    await mesh.start();
    await mesh.publish("hello", "v1.0.0", { targetClusters: [TENANT] });
    const { status } = await mesh.until(PackInstalled, INSTALLED, (object) => object.status?.serial === 1);
    expect(status?.manifestDigest).toMatch(/^sha256:/);
    await settle(1);
    const nack = { class: "Untrusted", retryable: false, reason: "DigestMismatch", detail: "layer altered" } as const;
    await mesh.report(TENANT, "hello-edge", { level: "Received", version: 1, nack });
    const key = { namespace: HOME, name: "hello-v1.0.0-edge" };
    const failed = await mesh.until(PackExecution, key, (object) => object.status?.phase === "Failed");
    expect(failed.status?.lastFailure).toEqual({
      category: "ValidationFailure",
      reason: "DigestMismatch: layer altered",
      failedStep: "verify",
      retryable: false,
    });
    await mesh.until(
      PackDelivery,
      { namespace: NAMESPACES.seam, name: "hello-v1.0.0" },
      (object) => findCondition(object.status?.conditions, "Delivered")?.reason === "SomeTargetsFailed",
    );
    await mesh.report(TENANT, "hello-edge", { level: "Healthy", version: 1 });
    const mended = await mesh.until(PackExecution, key, (object) => object.status?.phase === "Succeeded");
    expect(mended.status?.lastFailure).toBeUndefined();
    expect(findCondition(mended.status?.conditions, "Failed")?.status).toBe("False");
  });

  it("is removed by a signed tombstone, and the objects go once the tenant carried it out", async () => {
    await mesh.start();
    await deliver("v1.0.0", 1);
    const key = { namespace: NAMESPACES.seam, name: "hello-v1.0.0" };
    await mesh.cluster.delete(PackDelivery, key);
    const index = await mesh.untilIndex(TENANT, ({ items }) => items.some((item) => item.deleted === true));
    expect(index.items).toMatchObject([{ kind: "PackInstalled", name: "hello-edge", deleted: true }]);
    expect((await mesh.cluster.get(PackInstalled, INSTALLED)).metadata.deletionTimestamp).toBeDefined();
    await mesh.report(TENANT, "hello-edge", { level: "Applied", version: index.items[0]?.version ?? 0 });
    await mesh.gone(PackInstalled, INSTALLED);
    await mesh.gone(PackExecution, { namespace: HOME, name: "hello-v1.0.0-edge" });
    await mesh.gone(PackDelivery, key);
    expect((await mesh.index(TENANT)).items).toMatchObject([{ deleted: true }]);
  });

  it("starts a new attempt with a new serial when a person asks for it", async () => {
    await mesh.start();
    await deliver("v1.0.0", 1);
    const key = { namespace: NAMESPACES.seam, name: "hello-v1.0.0" };
    await mesh.cluster.patch(PackDelivery, key, {
      type: "merge",
      body: { metadata: { annotations: { "seam.ontai.dev/redeploy": "again" } } },
    });
    await mesh.until(PackInstalled, INSTALLED, ({ status }) => status?.serial === 2);
    const execution = await mesh.cluster.get(PackExecution, { namespace: HOME, name: "hello-v1.0.0-edge" });
    expect(execution.status).toMatchObject({
      phase: "Running",
      attempts: 2,
      trigger: { kind: "Manual", nonce: "again" },
    });
    await settle(2);
    await mesh.report(TENANT, "hello-edge", { level: "Healthy", version: 2 });
    await mesh.until(
      PackExecution,
      { namespace: HOME, name: "hello-v1.0.0-edge" },
      ({ status }) => status?.phase === "Succeeded",
    );
  });

  it("goes on after a restart without signing anything twice", async () => {
    await mesh.start();
    await deliver("v1.0.0", 1);
    const before = await mesh.index(TENANT);
    await mesh.stop();
    await mesh.start();
    await mesh.publish("other", "v1.0.0", { targetClusters: [TENANT] });
    const after = await mesh.untilIndex(TENANT, ({ items }) => items.length === 2);
    expect(after.items[0]).toEqual(before.items[0]);
    expect(after).toMatchObject({ epoch: before.epoch, sequence: before.sequence + 1 });
  });
});
