import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTenantCluster, type TestTenantCluster } from "../../../../../test/support/tenant-cluster.ts";
import { TenantPacksRig } from "../../../../../test/support/tenant-packs.ts";
import { ConfigMap, Namespace } from "../../../../api/builtin.ts";
import { findCondition } from "../../../../api/conditions.ts";
import { isStatus } from "../../../../cluster/api-status-error.ts";
import { ed25519Signer } from "../../../../trust/dsse.ts";

const config = (namespace: string, name: string, value: string) =>
  `---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: ${namespace} }\ndata: { value: "${value}" }\n`;

describe("PackHandler", () => {
  let tenant: TestTenantCluster;
  let rig: TenantPacksRig;
  let count = 0;
  const fresh = () => `pack${++count}`;
  const value = async (namespace: string, name = "a") => {
    try {
      return (await tenant.cluster.get(ConfigMap, { namespace, name })).data?.["value"];
    } catch (error) {
      if (isStatus(error, "NotFound")) return "none";
      throw error;
    }
  };

  beforeAll(async () => {
    tenant = await openTenantCluster();
    rig = await TenantPacksRig.open(tenant);
  });
  afterAll(() => tenant.close());

  it("verifies, applies and reports healthy, with the receipt in ont-system", async () => {
    const name = fresh();
    expect(await rig.deliver(await rig.pack(name, 1, config(name, "a", "1")))).toBe("healthy");
    const receipt = await rig.parts.receipts.get(name);
    expect(receipt?.spec).toMatchObject({
      clusterPackRef: `${name}-v1`,
      packInstanceRef: name,
      serial: 1,
      version: "v1",
      targetClusterRef: "east",
    });
    expect(receipt?.spec.deployedResources?.map((ref) => `${ref.kind} ${ref.name} ${ref.created}`)).toEqual([
      `Namespace ${name} true`,
      "ConfigMap a true",
    ]);
    expect(receipt?.status).toMatchObject({ verified: true, deliveryState: "Healthy" });
    expect(rig.facts.receipts.at(-1)).toMatchObject({
      receiptName: name,
      serial: 1n,
      verified: true,
      deliveryState: "Healthy",
    });
    const managers = receipt?.metadata.managedFields?.map((entry) => `${entry.manager} ${entry.subresource ?? "spec"}`);
    expect(managers?.sort()).toEqual(["conductor-agent status", "conductor-pack-deploy spec"]);
  });

  it("upgrades, prunes what left, and writes nothing when delivered again", async () => {
    const name = fresh();
    await rig.deliver(await rig.pack(name, 1, config(name, "a", "1") + config(name, "b", "1")));
    const second = await rig.pack(name, 2, config(name, "a", "2"));
    expect(await rig.deliver(second)).toBe("healthy");
    expect([await value(name, "a"), await value(name, "b")]).toEqual(["2", "none"]);
    const before = await rig.parts.receipts.get(name);
    expect(before?.spec.deployedResources?.map((ref) => ref.name)).toEqual([name, "a"]);
    expect(await rig.packs.apply(rig.context(second))).toEqual({ ok: true });
    expect((await rig.parts.receipts.get(name))?.metadata.generation).toBe(before?.metadata.generation);
  });

  it("refuses by name, keeps the last good, and recovers with the next good one", async () => {
    const name = fresh();
    await rig.deliver(await rig.pack(name, 2, config(name, "a", "good")));
    const evil = ed25519Signer(generateKeyPairSync("ed25519").privateKey);
    const bad = config(name, "a", "bad");
    const altered = await rig.pack(name, 3, config(name, "a", "altered"));
    rig.alter(altered.refs?.at(-1)?.digest ?? "");
    const cases: readonly (readonly [string, string])[] = [
      ["verify UNKNOWN_KEY", await rig.deliver(await rig.pack(name, 3, bad, undefined, evil))],
      [
        "verify WRONG_CLUSTER",
        await rig.deliver(await rig.pack(name, 3, bad, (m) => ({ ...m, targetClusterRef: "west" }))),
      ],
      ["verify WRONG_ITEM", await rig.deliver({ ...(await rig.pack("other", 3, bad)), name })],
      ["verify ROLLBACK_REJECTED", await rig.deliver(await rig.pack(name, 1, bad))],
      ["verify EQUIVOCATION", await rig.deliver(await rig.pack(name, 2, bad))],
      ["verify DigestMismatch", await rig.deliver(altered)],
      [
        "verify ChecksumMismatch",
        await rig.deliver(
          await rig.pack(name, 3, bad, (m) => ({
            ...m,
            artifact: { ...m.artifact, checksum: `sha256:${"0".repeat(64)}` },
          })),
        ),
      ],
      [
        "verify ContentMismatch",
        await rig.deliver(
          await rig.pack(name, 3, bad, (m) => ({ ...m, deployedResources: m.deployedResources.slice(1) })),
        ),
      ],
      ["verify MALFORMED", await rig.deliver({ ...altered, digest: "sha256:none" } as typeof altered)],
    ];
    for (const [expected, found] of cases) expect(found).toBe(expected);
    expect(await value(name)).toBe("good");
    const receipt = await rig.parts.receipts.get(name);
    expect(receipt?.spec).toMatchObject({ serial: 2, version: "v2" });
    expect(receipt?.status).toMatchObject({ verified: false, verificationFailedReason: "MALFORMED" });
    expect(findCondition(receipt?.status?.conditions, "Verified")).toMatchObject({
      status: "False",
      reason: "SignatureVerifyFailed",
    });
    expect(rig.facts.receipts.at(-1)).toMatchObject({ verified: false, verificationFailedReason: "MALFORMED" });
    expect(await rig.deliver(await rig.pack(name, 3, config(name, "a", "better")))).toBe("healthy");
    expect((await rig.parts.receipts.get(name))?.status).toMatchObject({ verified: true });
    expect((await rig.parts.receipts.get(name))?.status?.verificationFailedReason).toBeUndefined();
  });

  it("remembers floors over a restart, and goes on where it was", async () => {
    const name = fresh();
    const item = await rig.pack(name, 5, config(name, "a", "5"));
    expect(await rig.packs.verify(rig.context(item))).toEqual({ ok: true });
    const again = await rig.restarted(tenant);
    expect(await again.packs.apply(again.context(item))).toEqual({ ok: true });
    expect(await again.packs.healthy(again.context(item))).toEqual({ ok: true });
    expect(await value(name)).toBe("5");
    expect(await again.deliver(await again.pack(name, 4, config(name, "a", "4")))).toBe("verify ROLLBACK_REJECTED");
  });

  it("says what forbids it, with nothing applied", async () => {
    const name = fresh();
    await tenant.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    await tenant.cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", namespace: name },
      data: { value: "theirs" },
    });
    expect(await rig.deliver(await rig.pack(name, 1, config(name, "a", "1") + config(name, "b", "1")))).toBe(
      "apply AdoptionRefused",
    );
    expect([await value(name, "a"), await value(name, "b")]).toEqual(["theirs", "none"]);
    expect(rig.facts.receipts.at(-1)?.deliveryState).toContain("exists and is not this pack's");
  });

  it("removes only for a signed tombstone of the same object with a higher serial", async () => {
    const name = fresh();
    await rig.deliver(await rig.pack(name, 3, config(name, "a", "1")));
    const unsigned = { ...rig.tombstone(name, 4), digest: "", size: 0 } as const;
    expect(await rig.deliver(unsigned)).toBe("remove MALFORMED");
    expect(await rig.deliver(rig.tombstone(name, 4, { cluster: "west" }))).toBe("remove WRONG_CLUSTER");
    expect(await rig.deliver(rig.tombstone(name, 4, { uid: "another" }))).toBe("remove WRONG_UID");
    expect(await rig.deliver(rig.tombstone(name, 2))).toBe("remove ROLLBACK_REJECTED");
    expect(await rig.deliver({ ...(await rig.pack(name, 4, config(name, "a", "1"))), deleted: true })).toBe(
      "remove MALFORMED",
    );
    expect(await value(name)).toBe("1");
    const tombstone = rig.tombstone(name, 4);
    expect(await rig.deliver(tombstone)).toBe("removed");
    expect(await value(name)).toBe("none");
    expect(await rig.parts.receipts.get(name)).toBeUndefined();
    expect(rig.facts.receipts.at(-1)).toMatchObject({ receiptName: name, removed: true });
    // A crash before the level was recorded repeats the phase; an old manifest stays refused.
    expect(await rig.deliver(tombstone)).toBe("removed");
    expect(await rig.deliver(await rig.pack(name, 3, config(name, "a", "1")))).toBe("verify ROLLBACK_REJECTED");
    expect(await rig.deliver(await rig.pack(name, 5, config(name, "a", "back")))).toBe("healthy");
  });
});

describe("CorrectionHandler", () => {
  let tenant: TestTenantCluster;
  let rig: TenantPacksRig;
  beforeAll(async () => {
    tenant = await openTenantCluster();
    rig = await TenantPacksRig.open(tenant);
  });
  afterAll(() => tenant.close());

  it("applies the held pack again and remembers the outcome", async () => {
    await rig.deliver(await rig.pack("c", 2, config("c", "a", "1")));
    await tenant.cluster.delete(ConfigMap, { namespace: "c", name: "a" });
    expect(await rig.deliver(rig.correction({ packInstalled: "c", serial: 2, attempt: 1 }))).toBe("healthy");
    expect((await tenant.cluster.get(ConfigMap, { namespace: "c", name: "a" })).data).toEqual({ value: "1" });
    const receipt = await rig.parts.receipts.get("c");
    expect(JSON.parse(receipt?.metadata.annotations?.["seam.ontai.dev/last-correction"] ?? "{}")).toEqual({
      id: "c-1/1",
      applied: true,
      error: "",
    });
  });

  it("refuses corrections of other clusters, versions and packs that are not held", async () => {
    await rig.deliver(await rig.pack("d", 2, config("d", "a", "1")));
    expect(await rig.deliver(rig.correction({ packInstalled: "d", serial: 2, attempt: 1, cluster: "west" }))).toBe(
      "verify WRONG_CLUSTER",
    );
    expect(await rig.deliver(rig.correction({ packInstalled: "d", serial: 1, attempt: 1 }))).toBe("verify SUPERSEDED");
    const receipt = await rig.parts.receipts.get("d");
    expect(JSON.parse(receipt?.metadata.annotations?.["seam.ontai.dev/last-correction"] ?? "{}")).toMatchObject({
      id: "c-1/1",
      applied: false,
    });
    expect(await rig.deliver(rig.correction({ packInstalled: "d", serial: 3, attempt: 1 }))).toBe(
      "verify PACK_NOT_HELD (retryable)",
    );
    expect(await rig.deliver(rig.correction({ packInstalled: "e", serial: 1, attempt: 1 }))).toBe(
      "verify PACK_NOT_HELD (retryable)",
    );
  });

  it("ends as failed when it cannot apply", async () => {
    await rig.deliver(await rig.pack("f", 1, config("f", "a", "1")));
    await tenant.cluster.delete(ConfigMap, { namespace: "f", name: "a" });
    await tenant.cluster.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a", namespace: "f" },
    });
    expect(await rig.deliver(rig.correction({ packInstalled: "f", serial: 1, attempt: 1 }))).toBe(
      "apply AdoptionRefused",
    );
    const receipt = await rig.parts.receipts.get("f");
    expect(JSON.parse(receipt?.metadata.annotations?.["seam.ontai.dev/last-correction"] ?? "{}")).toMatchObject({
      id: "c-1/1",
      applied: false,
    });
  });
});
