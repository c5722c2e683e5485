import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openTenantCluster, type TestTenantCluster } from "../../../../test/support/tenant-cluster.ts";
import { TenantPacksRig } from "../../../../test/support/tenant-packs.ts";
import { ConfigMap } from "../../../api/builtin.ts";
import { findCondition } from "../../../api/conditions.ts";
import type { RevocationBody } from "../../revocation/revocation-body.ts";
import { type TenantRevocations, startTenantRevocations } from "./tenant-revocations.ts";

const config = (namespace: string, value: string): string =>
  `---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: ${namespace} }\ndata: { value: "${value}" }\n`;

const packRevocation = (name: string, minSerial: number): RevocationBody => ({
  cluster: "east",
  target: "PackInstalled",
  name,
  namespace: "seam-tenant-east",
  revocationId: "r-1",
  serial: 1,
  reason: "CVE",
  minSequence: 0,
  minSerial,
  effectiveUnixMs: 0,
});

/** There are no other replicas to hand it to. */
const NO_ENVELOPE = new Uint8Array();

describe("revocations on a tenant", () => {
  let tenant: TestTenantCluster;
  let rig: TenantPacksRig;
  const snapshotFloors: number[] = [];
  const controller = new AbortController();
  let count = 0;

  const start = (of = rig): TenantRevocations =>
    startTenantRevocations({
      packs: of.parts,
      snapshots: {
        revoke: async (minSequence) => {
          snapshotFloors.push(minSequence);
          return { applied: true, detail: "" };
        },
      },
      trail: of.trail,
      signal: controller.signal,
    });
  const revokedOf = async (name: string) =>
    findCondition((await rig.parts.receipts.get(name))?.status?.conditions, "Revoked");
  const delivered = async (serial = 1): Promise<string> => {
    const name = `revoked${++count}`;
    expect(await rig.deliver(await rig.pack(name, serial, config(name, "good")))).toBe("healthy");
    return name;
  };

  beforeAll(async () => {
    tenant = await openTenantCluster();
    rig = await TenantPacksRig.open(tenant);
  });
  afterAll(async () => {
    controller.abort();
    await tenant.close();
  });

  it("has dropped the held pack and refuses its serials before it answers; workloads stay; the receipt follows", async () => {
    const name = await delivered();
    const revocations = start();
    expect(await revocations.revoke(packRevocation(name, 3), NO_ENVELOPE)).toEqual({ applied: true, detail: "" });
    expect(rig.trail.of("revocation.applied").at(-1)).toMatchObject({
      kind: "PackInstalled",
      resource: name,
      code: "Applied",
    });
    expect(await rig.parts.held.load(name, "accepted")).toBeUndefined();
    expect(await rig.parts.held.load(name, "applied")).toBeUndefined();
    expect(await rig.deliver(await rig.pack(name, 2, config(name, "bad")))).toBe("verify REVOKED");
    expect((await tenant.cluster.get(ConfigMap, { namespace: name, name: "a" })).data?.["value"]).toBe("good");
    await vi.waitFor(async () =>
      expect(await revokedOf(name)).toMatchObject({ status: "True", reason: "RevocationPushed" }),
    );
    expect(await rig.deliver(await rig.pack(name, 3, config(name, "better")))).toBe("healthy");
    expect(await revokedOf(name)).toMatchObject({ status: "False", reason: "NewerSerial" });
  });

  it("corrects nothing from a revoked pack, and says why", async () => {
    const name = await delivered();
    await start().revoke(packRevocation(name, 2), NO_ENVELOPE);
    expect(await rig.packs.apply(rig.context(await rig.pack(name, 1, config(name, "good"))))).toMatchObject({
      nack: { reason: "REVOKED", retryable: false, detail: expect.stringContaining("below the revocation floor 2") },
    });
    expect(
      await rig.corrections.verify(rig.context(rig.correction({ packInstalled: name, serial: 1, attempt: 1 }))),
    ).toMatchObject({
      nack: { reason: "REVOKED" },
    });
  });

  it("stops an attempt that runs, and answers after it is over", async () => {
    const name = await delivered();
    let over = false;
    const attempt = rig.parts.attempts.run(name, async (stopped) => {
      await new Promise((resolve) => stopped.addEventListener("abort", resolve, { once: true }));
      over = true;
    });
    await start().revoke(packRevocation(name, 2), NO_ENVELOPE);
    expect(over).toBe(true);
    await attempt;
  });

  it("keeps a newer accepted version when only the applied one is revoked", async () => {
    const name = await delivered();
    expect(await rig.packs.verify(rig.context(await rig.pack(name, 4, config(name, "newer"))))).toEqual({ ok: true });
    await start().revoke(packRevocation(name, 4), NO_ENVELOPE);
    expect((await rig.parts.held.load(name, "accepted"))?.manifest.serial).toBe(4);
    expect(await rig.parts.held.load(name, "applied")).toBeUndefined();
  });

  it("enforces the floors of an index like pushes, durably, and twice does no harm", async () => {
    const name = await delivered();
    const floors = [
      { target: "PackInstalled", name, floor: 2, serial: 1 },
      { target: "PermissionSnapshot", name: "snapshot-east", floor: 9, serial: 2 },
    ] as const;
    const revocations = start();
    await revocations.enforceFloors(floors, () => Promise.resolve(NO_ENVELOPE));
    await revocations.enforceFloors(floors, () => Promise.resolve(NO_ENVELOPE));
    expect(snapshotFloors).toEqual([9, 9]);
    const again = await rig.restarted(tenant);
    expect(await again.deliver(await again.pack(name, 1, config(name, "good")))).toBe("verify REVOKED");
  });

  it("writes at start what a crash left unsaid", async () => {
    const name = await delivered();
    await rig.parts.floors.revokeBelow(`PackInstalled/${name}`, 2);
    expect(await revokedOf(name)).toBeUndefined();
    start(await rig.restarted(tenant));
    await vi.waitFor(async () => expect(await revokedOf(name)).toMatchObject({ status: "True" }));
  });

  it("drops the snapshot of a cluster that is revoked as a whole", async () => {
    snapshotFloors.length = 0;
    await start().revoke({ ...packRevocation("east", 0), target: "Cluster", minSequence: 7 }, NO_ENVELOPE);
    expect(snapshotFloors).toEqual([7]);
  });
});
