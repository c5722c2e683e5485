import { RememberingTrail } from "../../../../../test/support/remembering-trail.ts";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openTenantCluster, type TestTenantCluster } from "../../../../../test/support/tenant-cluster.ts";
import { TalosCluster } from "../../../../api/kinds/talos-cluster.ts";
import { NAMESPACES } from "../../../../api/names.ts";
import { systemClock } from "../../../../base/clock.ts";
import { silentLog } from "../../../../base/log.ts";
import { systemRandom } from "../../../../base/random.ts";
import { isStatus } from "../../../../cluster/api-status-error.ts";
import { PAYLOAD_TYPES, ed25519Signer, encodeEnvelope, signEnvelope } from "../../../../trust/dsse.ts";
import { FloorFile } from "../../../../trust/floors/floor-file.ts";
import { KeyRing } from "../../../../trust/keyring/key-ring.ts";
import { type GovernanceBody, encodeGovernance, governanceItemName } from "../../../governance/governance-body.ts";
import type { ItemContext, ItemOutcome } from "../../ports.ts";
import { GovernanceHandler } from "./governance-handler.ts";
import { openGovernanceMirror } from "./governance-mirror.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const body = (more: Partial<GovernanceBody> = {}): GovernanceBody => ({
  cluster: "east",
  kind: "TalosCluster",
  name: "east",
  serial: 1,
  deleted: false,
  spec: { mode: "import", role: "tenant", talosVersion: "1.9.0" },
  ...more,
});

describe("governance objects on a tenant", () => {
  let tenant: TestTenantCluster;
  const trail = new RememberingTrail();
  let opened = new AbortController();
  let closed: Promise<void> = Promise.resolve();

  /** As after a restart: the agent before is gone. */
  const open = async (): Promise<GovernanceHandler> => {
    opened.abort();
    await closed;
    opened = new AbortController();
    const mirror = await openGovernanceMirror({
      clusterId: "east",
      cluster: tenant.cluster,
      path: join(tenant.directory, "governance.json"),
      trail,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      signal: opened.signal,
    });
    closed = mirror.closed;
    const floors = await FloorFile.open(join(tenant.directory, "governance-floors.json"));
    return new GovernanceHandler({ keys: new KeyRing([publicKey]), floors, mirror });
  };
  const context = (of: GovernanceBody, key = privateKey, item = governanceItemName(of)): ItemContext => ({
    cluster: "east",
    item: { kind: "Governance", name: item, version: 1, digest: `sha256:${"0".repeat(64)}`, size: 1 },
    body: encodeEnvelope(signEnvelope(PAYLOAD_TYPES.governance, encodeGovernance(of), ed25519Signer(key))),
    blobs: { read: () => Promise.reject(new Error("no refs")) },
    signal: opened.signal,
    waitingFor: () => {},
  });
  const reason = (outcome: ItemOutcome): string => (outcome.ok ? "ok" : outcome.nack.reason);
  const version = async (): Promise<string> => {
    try {
      const found = await tenant.cluster.get(TalosCluster, { namespace: NAMESPACES.ont, name: "east" });
      return found.spec.talosVersion ?? "none";
    } catch (error) {
      if (isStatus(error, "NotFound")) return "gone";
      throw error;
    }
  };
  const deliver = async (handler: GovernanceHandler, of: GovernanceBody): Promise<void> => {
    expect(reason(await handler.verify(context(of)))).toBe("ok");
    expect(reason(await handler.apply(context(of)))).toBe("ok");
  };

  beforeAll(async () => {
    tenant = await openTenantCluster();
  });
  afterAll(async () => {
    opened.abort();
    await closed;
    await tenant.close();
  });

  it("holds what was signed for it, and refuses everything else by name", async () => {
    const handler = await open();
    await deliver(handler, body({ serial: 2 }));
    expect(await version()).toBe("1.9.0");
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const cases: readonly (readonly [string, ItemOutcome])[] = [
      ["UNKNOWN_KEY", await handler.verify(context(body({ serial: 3 }), stranger))],
      ["WRONG_CLUSTER", await handler.verify(context(body({ serial: 3, cluster: "west" })))],
      ["WRONG_ITEM", await handler.verify(context(body({ serial: 3 }), privateKey, "taloscluster-west"))],
      ["WRONG_ITEM", await handler.verify(context(body({ serial: 3, deleted: true })))],
      ["WRONG_ITEM", await handler.remove(context(body({ serial: 3 })))],
      ["ROLLBACK_REJECTED", await handler.verify(context(body({ serial: 1 })))],
      ["EQUIVOCATION", await handler.verify(context(body({ serial: 2, spec: { mode: "bootstrap" } })))],
    ];
    for (const [expected, outcome] of cases) expect(reason(outcome)).toBe(expected);
    expect(await version()).toBe("1.9.0");
  });

  it("puts back what somebody changes here, says so, and remembers it over a restart", async () => {
    const handler = await open();
    await deliver(handler, body({ serial: 4, spec: { mode: "import", role: "tenant", talosVersion: "1.9.4" } }));
    trail.records.length = 0;
    const held = await tenant.cluster.get(TalosCluster, { namespace: NAMESPACES.ont, name: "east" });
    await tenant.cluster.update(TalosCluster, { ...held, spec: { ...held.spec, talosVersion: "1.0.0" } });
    await vi.waitFor(async () => expect(await version()).toBe("1.9.4"));
    await vi.waitFor(() =>
      expect(trail.records[0]).toMatchObject({ action: "governance.reverted", details: { serial: 4 } }),
    );
    await tenant.cluster.delete(TalosCluster, { namespace: NAMESPACES.ont, name: "east" });
    await vi.waitFor(async () => expect(await version()).toBe("1.9.4"));
  });

  it("removes its copy for a signed removal only, and not what a tenant wrote itself", async () => {
    const handler = await open();
    expect(reason(await handler.remove(context(body({ serial: 5, deleted: true, spec: {} }))))).toBe("ok");
    await vi.waitFor(async () => expect(await version()).toBe("gone"));
    await tenant.cluster.create(TalosCluster, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "TalosCluster",
      metadata: { namespace: NAMESPACES.ont, name: "east" },
      spec: { mode: "import", role: "tenant", talosVersion: "0.1.0" },
    });
    expect(reason(await handler.remove(context(body({ serial: 6, deleted: true, spec: {} }))))).toBe("ok");
    expect(await version()).toBe("0.1.0");
  });
});
