import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunnerConfig } from "../../../src/api/kinds/runner-config.ts";
import { TalosCluster } from "../../../src/api/kinds/talos-cluster.ts";
import { NAMESPACES, tenantNamespace } from "../../../src/api/names.ts";
import { ifPresent } from "../../../src/cluster/if-present.ts";
import { freeOffset } from "../../e2e/run-seamctl.ts";
import { MeshProcess, until } from "../../support/mesh-process.ts";

const TENANT = "tenant-1";
const COPY = { namespace: NAMESPACES.ont, name: TENANT };

describe("governance objects of a running mesh (conductor §8)", () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-governance-"));
  let mesh: MeshProcess;

  beforeAll(async () => {
    mesh = new MeshProcess({
      directory: join(directory, "mesh"),
      tenants: 1,
      portOffset: await freeOffset(),
      example: false,
    });
    mesh.start();
    await mesh.ready();
  }, 90_000);
  afterAll(async () => {
    await mesh.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const copy = async (): Promise<TalosCluster | undefined> => {
    return ifPresent(mesh.tenant(TENANT).get(TalosCluster, COPY));
  };
  const condition = async (): Promise<string> => {
    const { status } = await mesh.tenant(TENANT).get(RunnerConfig, COPY);
    const found = status?.conditions?.find(({ type }) => type === "FederationChannelDegraded");
    return `${found?.status} ${found?.reason}`;
  };

  it("mirrors, follows changes, puts local edits back, and removes what is gone", async () => {
    await until("the copies", 30_000, async () => ((await copy()) === undefined ? "no TalosCluster" : undefined));
    const own = { namespace: tenantNamespace(TENANT), name: TENANT };
    const source = await mesh.management.get(TalosCluster, own);
    await mesh.management.update(TalosCluster, { ...source, spec: { ...source.spec, kubernetesVersion: "1.31.0" } });
    await until("the change", 30_000, async () => {
      const found = (await copy())?.spec.kubernetesVersion;
      return found === "1.31.0" ? undefined : `version ${found}`;
    });
    const held = await copy();
    if (held === undefined) throw new Error("the copy is gone");
    await mesh.tenant(TENANT).update(TalosCluster, { ...held, spec: { ...held.spec, kubernetesVersion: "1.0.0" } });
    await until("the local edit put back", 30_000, async () => {
      const found = (await copy())?.spec.kubernetesVersion;
      return found === "1.31.0" ? undefined : `version ${found}`;
    });
    await mesh.tenant(TENANT).delete(TalosCluster, COPY);
    await until("the deleted copy put back", 30_000, async () => ((await copy()) === undefined ? "gone" : undefined));
    expect(mesh.log(TENANT)).toContain("was changed here and is put back");
  }, 120_000);

  it("says on the tenant itself how its channel is, and what the agent can do", async () => {
    await until("a good channel", 30_000, async () => {
      const found = await condition();
      return found === "False Recovered" ? undefined : found;
    });
    const { status } = await mesh.tenant(TENANT).get(RunnerConfig, COPY);
    expect(status?.capabilities?.map(({ name }) => name)).toEqual([
      "drift-detection",
      "pack-apply",
      "permission-service",
    ]);
    mesh.signal("management", "SIGSTOP");
    mesh.signal("management", "SIGKILL");
    await until("a degraded channel, or one that is back already", 30_000, async () =>
      mesh.log(TENANT).includes('"degraded":true') ? undefined : "connected",
    );
    await until("a good channel again", 60_000, async () => {
      const found = await condition();
      return found === "False Recovered" ? undefined : found;
    });
  }, 120_000);
});
