import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ItemReport_Level as Level } from "../../../src/api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import { silentTrail } from "../../../src/api/audit-record.ts";
import { TalosCluster } from "../../../src/api/kinds/talos-cluster.ts";
import { NAMESPACES } from "../../../src/api/names.ts";
import { canonicalJson } from "../../../src/base/canonical-json.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { isStatus } from "../../../src/cluster/api-status-error.ts";
import { type GovernanceBody, encodeGovernance } from "../../../src/federation/governance/governance-body.ts";
import type { ItemContext, ItemHandler } from "../../../src/federation/spoke/ports.ts";
import { GovernanceHandler } from "../../../src/federation/spoke/items/governance/governance-handler.ts";
import { openGovernanceMirror } from "../../../src/federation/spoke/items/governance/governance-mirror.ts";
import { PAYLOAD_TYPES, encodeEnvelope, signEnvelope } from "../../../src/trust/dsse.ts";
import { FloorFile } from "../../../src/trust/floors/floor-file.ts";
import { FederationRig, RecordingHandler, until } from "../../support/federation-rig.ts";
import { type TestTenantCluster, openTenantCluster } from "../../support/tenant-cluster.ts";

const CLUSTER = "tenant-1";
const ITEM = `taloscluster-${CLUSTER}`;

let rig: FederationRig;
let tenant: TestTenantCluster;
let running: { stop(): Promise<void> } | undefined;
/** Phases the governance handler was asked for, over all agents. */
let asked: string[] = [];

beforeEach(async () => {
  asked = [];
  [rig, tenant] = await Promise.all([FederationRig.create([CLUSTER]), openTenantCluster({ nodes: false })]);
  await rig.hub();
});
afterEach(async () => {
  await running?.stop();
  await rig.close();
  await tenant.close();
});

/** An agent with the real governance handler on a real store, and a pack handler that takes everything. */
async function startAgent(): Promise<RecordingHandler> {
  const opened = new AbortController();
  const mirror = await openGovernanceMirror({
    clusterId: CLUSTER,
    cluster: tenant.cluster,
    path: join(tenant.directory, "governance.json"),
    trail: silentTrail,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    signal: opened.signal,
  });
  const floors = await FloorFile.open(join(tenant.directory, "floors.json"));
  const packs = new RecordingHandler();
  const governance = watched(new GovernanceHandler({ keys: rig.keys, floors, mirror }));
  const agent = await rig.spoke(CLUSTER, { handlers: [governance, packs] });
  running = {
    stop: async () => {
      running = undefined;
      await agent.stop();
      opened.abort();
      await mirror.closed;
    },
  };
  return packs;
}

function watched(handler: ItemHandler): ItemHandler {
  const at = (phase: "verify" | "apply" | "healthy" | "remove") => (context: ItemContext) => {
    asked.push(`${phase} ${context.item.name}@${context.item.version}`);
    return handler[phase](context);
  };
  return { kind: handler.kind, verify: at("verify"), apply: at("apply"), healthy: at("healthy"), remove: at("remove") };
}

function signed(more: Partial<GovernanceBody> & { readonly serial: number }): Uint8Array {
  const spec = { mode: "import", role: "tenant", talosVersion: "1.9.0" };
  const body: GovernanceBody = { cluster: CLUSTER, kind: "TalosCluster", name: CLUSTER, deleted: false, spec, ...more };
  return Buffer.from(encodeEnvelope(signEnvelope(PAYLOAD_TYPES.governance, encodeGovernance(body), rig.signer)));
}

const put = (serial: number, talosVersion: string): number =>
  rig.desired.put(
    CLUSTER,
    "Governance",
    ITEM,
    signed({ serial, spec: { mode: "import", role: "tenant", talosVersion } }),
  );
const putRefused = (serial: number): number =>
  rig.desired.put(CLUSTER, "Governance", ITEM, signed({ serial, spec: { mode: "no such mode", role: "tenant" } }));
const putPack = (text: string): number => rig.desired.put(CLUSTER, "PackInstalled", "web", Buffer.from(text));

const report = (kind = "Governance", name = ITEM) => rig.facts.item(CLUSTER, `${kind}/${name}`);
const healthy = (version: number, kind = "Governance", name = ITEM): Promise<void> =>
  until(
    () => report(kind, name)?.level === Level.HEALTHY && Number(report(kind, name)?.version) === version,
    `${kind}/${name} healthy at ${version}`,
    30_000,
  );
const refused = (reason: string, version: number, name = ITEM): Promise<void> =>
  until(
    () =>
      report("Governance", name)?.nack?.reason === reason && Number(report("Governance", name)?.version) === version,
    `${name} refused with ${reason}, is ${JSON.stringify(report("Governance", name)?.nack ?? null)}`,
    30_000,
  );

async function copy(): Promise<string> {
  try {
    const found = await tenant.cluster.get(TalosCluster, { namespace: NAMESPACES.ont, name: CLUSTER });
    return found.spec.talosVersion ?? "";
  } catch (error) {
    if (isStatus(error, "NotFound")) return "gone";
    throw error;
  }
}

async function becomes(version: string): Promise<void> {
  const limit = performance.now() + 30_000;
  while ((await copy()) !== version) {
    if (performance.now() > limit) throw new Error(`the copy is ${await copy()}, not ${version}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("the governance lane", { timeout: 90_000 }, () => {
  it("quarantines an object that the tenant's API server refuses, keeps the copy before and guards it, and holds no pack up", async () => {
    const packs = await startAgent();
    await healthy(put(1, "1.9.0"));
    const bad = putRefused(2);
    await refused("OBJECT_REFUSED", bad);
    expect(report()).toMatchObject({ level: Level.VERIFIED, nack: { retryable: false } });
    expect(report()?.nack?.detail).toContain("no such mode");
    expect(await copy()).toBe("1.9.0");
    // The last good copy is still put back.
    const found = await tenant.cluster.get(TalosCluster, { namespace: NAMESPACES.ont, name: CLUSTER });
    await tenant.cluster.update(TalosCluster, { ...found, spec: { ...found.spec, talosVersion: "0.0.1" } });
    await becomes("1.9.0");
    // Neither other changes nor a new stream are a reason to try it again; packs go their way.
    for (const text of ["one", "two"]) await healthy(putPack(text), "PackInstalled", "web");
    expect(asked.filter((call) => call === `apply ${ITEM}@${bad}`)).toHaveLength(1);
    expect(packs.calls.filter((call) => call.startsWith("apply"))).toHaveLength(2);
    // An operator's retry is one more try, and newer content the end of it.
    const digest = report()?.digest ?? "";
    rig.retries.order(CLUSTER, { id: "o1", kind: "Governance", name: ITEM, digest, orderedAtMs: Date.now() });
    await until(() => rig.retries.over.length === 1, "the order is over");
    await until(() => asked.filter((call) => call === `apply ${ITEM}@${bad}`).length === 2, "it is tried once more");
    await refused("OBJECT_REFUSED", bad);
    await healthy(put(3, "1.9.3"));
    expect(await copy()).toBe("1.9.3");
  });

  it("refuses a kind that is not mirrored, whoever signed it, beside objects that are taken", async () => {
    await startAgent();
    const body = {
      _type: "GovernanceObject/v1",
      cluster: CLUSTER,
      kind: "Secret",
      name: "x",
      serial: 1,
      deleted: false,
      spec: {},
    };
    const envelope = signEnvelope(PAYLOAD_TYPES.governance, Buffer.from(canonicalJson(body)), rig.signer);
    const version = rig.desired.put(CLUSTER, "Governance", "secret-x", Buffer.from(encodeEnvelope(envelope)));
    await healthy(put(1, "1.9.0"));
    await refused("BodyInvalid", version, "secret-x");
    expect(report("Governance", "secret-x")?.nack?.detail).toBe(
      "governance object: kind: is one of RBACPolicy, RBACProfile, RunnerConfig, TalosCluster",
    );
  });

  it("removes a copy for a signed removal, and not for a tombstone that nobody signed or one that is older", async () => {
    await startAgent();
    await healthy(put(5, "1.9.5"));
    rig.desired.remove(CLUSTER, "Governance", ITEM);
    await until(() => report()?.nack !== undefined, "the tombstone without a body is refused", 30_000);
    expect(report()?.nack).toMatchObject({ retryable: false, reason: "MALFORMED" });
    expect(await copy()).toBe("1.9.5");
    await refused(
      "ROLLBACK_REJECTED",
      rig.desired.remove(CLUSTER, "Governance", ITEM, signed({ serial: 4, deleted: true, spec: {} })),
    );
    expect(await copy()).toBe("1.9.5");
    await healthy(rig.desired.remove(CLUSTER, "Governance", ITEM, signed({ serial: 6, deleted: true, spec: {} })));
    expect(await copy()).toBe("gone");
  });

  it("goes on after a restart: what changed meanwhile is applied once, what was refused stays refused, packs beside it", async () => {
    await startAgent();
    await healthy(put(1, "1.9.0"));
    const bad = putRefused(2);
    await refused("OBJECT_REFUSED", bad);
    await running?.stop();
    await tenant.cluster.delete(TalosCluster, { namespace: NAMESPACES.ont, name: CLUSTER });
    const packs = await startAgent();
    // What was held before is written again at the start; the refused one is not tried by the same build.
    await becomes("1.9.0");
    await healthy(putPack("one"), "PackInstalled", "web");
    expect(packs.calls).toContain(`apply web@${Number(report("PackInstalled", "web")?.version)}`);
    expect(asked.filter((call) => call === `apply ${ITEM}@${bad}`)).toHaveLength(1);
    await running?.stop();
    const good = put(3, "1.9.3");
    await startAgent();
    await healthy(good);
    expect(await copy()).toBe("1.9.3");
    expect(asked.filter((call) => call === `apply ${ITEM}@${good}`)).toHaveLength(1);
  });
});
