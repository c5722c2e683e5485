import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigMap, Namespace, ServiceAccount } from "../../../api/builtin.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { type EmbeddedCluster, openEmbeddedCluster } from "../embedded-cluster.ts";

describe("every namespace", () => {
  let directory: string;
  let cluster: EmbeddedCluster;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "seam-defaults-"));
    const parts = { clock: systemClock, random: systemRandom, log: silentLog };
    cluster = await openEmbeddedCluster({ directory, ...parts, rootCa: "PEM of the CA" });
  });
  afterAll(async () => {
    await cluster.close();
    await rm(directory, { recursive: true });
  });

  it("has a default ServiceAccount and the root CA, also after somebody took them away", async () => {
    const namespace = "fresh";
    await cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const account = { namespace, name: "default" };
    const ca = { namespace, name: "kube-root-ca.crt" };
    const settled = async () => {
      await expect.poll(() => cluster.get(ServiceAccount, account).catch(() => undefined)).toBeDefined();
      await expect
        .poll(async () => (await cluster.get(ConfigMap, ca).catch(() => undefined))?.data)
        .toEqual({ "ca.crt": "PEM of the CA" });
    };
    await settled();
    for (const old of ["default", "kube-system", "kube-public", "kube-node-lease"]) {
      await expect
        .poll(() => cluster.get(ServiceAccount, { ...account, namespace: old }).catch(() => undefined))
        .toBeDefined();
    }
    await cluster.delete(ServiceAccount, account);
    await cluster.patch(ConfigMap, ca, { type: "merge", body: { data: { "ca.crt": "forged" } } });
    await settled();
    await cluster.delete(ConfigMap, ca);
    await settled();
    await cluster.delete(Namespace, { name: namespace });
    await expect.poll(() => cluster.get(Namespace, { name: namespace }).catch(() => "gone")).toBe("gone");
  });
});
