import { create } from "@bufbuild/protobuf";
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openManagementCluster, type TestManagementCluster } from "../../../../test/support/management-cluster.ts";
import { ConfigMap, Secret } from "../../../api/builtin.ts";
import { findCondition } from "../../../api/conditions.ts";
import {
  type ItemReport,
  ItemReportSchema,
  ItemReport_Level as Level,
  Nack_Class as NackClass,
} from "../../../api/gen/conductor/federation/v1alpha1/desired_pb.ts";
import {
  CapabilityDeclarationSchema,
  type PackReceiptReport,
  PackReceiptReportSchema,
  SnapshotReceiptReportSchema,
  SurfaceDifferenceSchema,
} from "../../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { PackInstalled } from "../../../api/kinds/pack-installed.ts";
import { PackReceipt } from "../../../api/kinds/pack-receipt.ts";
import { PermissionSnapshot } from "../../../api/kinds/permission-snapshot.ts";
import { RunnerConfig } from "../../../api/kinds/runner-config.ts";
import { TalosCluster } from "../../../api/kinds/talos-cluster.ts";
import { LABELS, NAMESPACES, signedPackSecretName, tenantNamespace } from "../../../api/names.ts";
import { ManualClock } from "../../../base/clock.ts";
import { digestOf } from "../../../base/digest.ts";
import { silentLog } from "../../../base/log.ts";
import { encodePackManifest } from "../../../packs/manifest/pack-manifest.ts";
import { PAYLOAD_TYPES, ed25519Signer, encodeEnvelope, signEnvelope } from "../../../trust/dsse.ts";
import { OwnershipLost, type WriteFence } from "../ports.ts";
import { type HubFactStore, createHubFactStore } from "./hub-fact-store.ts";
import { ITEM_LEVELS_NAME } from "./item-level-store.ts";

const TENANT = "tenant-1";
const NAMESPACE = tenantNamespace(TENANT);
const signer = ed25519Signer(generateKeyPairSync("ed25519").privateKey);
const clock = new ManualClock();
let management: TestManagementCluster;
let store: HubFactStore;

beforeAll(async () => {
  management = await openManagementCluster();
  await management.addTenant(TENANT);
  store = createHubFactStore({ cluster: management.cluster, clock, log: silentLog, drift: async () => {} });
});
afterAll(() => management.close());

/** Signs a manifest of `pack` with `serial`, as the signer would; returns the digest of its envelope. */
async function sign(pack: string, serial: number): Promise<string> {
  const body = encodePackManifest({
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackInstalled",
    namespace: NAMESPACE,
    name: pack,
    uid: "u",
    clusterPackRef: "web",
    clusterPackNamespace: NAMESPACES.seam,
    version: `v${serial}`,
    targetClusterRef: TENANT,
    serial,
    issuedAt: "2026-01-01T00:00:00Z",
    artifact: {
      registryUrl: "packs/web",
      rbacDigest: digestOf("r"),
      workloadDigest: digestOf("w"),
      checksum: digestOf("c"),
    },
    deployedResources: [],
    lifecyclePolicies: {},
    tombstone: false,
  });
  const envelope = encodeEnvelope(signEnvelope(PAYLOAD_TYPES.packInstalled, body, signer));
  const name = signedPackSecretName(TENANT, pack);
  await management.cluster.patch(
    Secret,
    { namespace: NAMESPACE, name },
    {
      type: "apply",
      body: {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name, namespace: NAMESPACE },
        data: { envelope: Buffer.from(envelope).toString("base64") },
      },
    },
    { fieldManager: "test", force: true },
  );
  return digestOf(envelope);
}

async function install(pack: string): Promise<string> {
  const made = await management.cluster.create(PackInstalled, {
    apiVersion: "seam.ontai.dev/v1alpha1",
    kind: "PackInstalled",
    metadata: { name: pack, namespace: NAMESPACE },
    spec: { clusterPackRef: "web", version: "v1", targetClusterRef: TENANT },
  });
  return made.metadata.uid ?? "";
}

function report(pack: string, serial: number, manifestDigest: string, more: object = {}): PackReceiptReport {
  return create(PackReceiptReportSchema, {
    receiptName: pack,
    clusterPackRef: "web",
    version: `v${serial}`,
    serial: BigInt(serial),
    manifestDigest,
    verified: true,
    driftStatus: "InSync",
    deliveryState: "Applied",
    deployedResources: [{ apiVersion: "v1", kind: "ConfigMap", namespace: "web", name: "settings" }],
    ...more,
  });
}

const mirror = (pack: string): Promise<PackReceipt> =>
  management.cluster.get(PackReceipt, { namespace: NAMESPACE, name: pack });

describe("receipt mirror (R-7.5, R-7.6)", () => {
  it("stores a report as an owned, labelled, acknowledged mirror, and writes nothing for the same report", async () => {
    const uid = await install("a-tenant-1");
    const digest = await sign("a-tenant-1", 3);
    await store.packReceipt(TENANT, report("a-tenant-1", 3, digest));
    const first = await mirror("a-tenant-1");
    expect(first.metadata.labels?.[LABELS.mirroredFrom]).toBe(TENANT);
    expect(first.metadata.ownerReferences).toMatchObject([{ kind: "PackInstalled", name: "a-tenant-1", uid }]);
    expect(first.spec).toMatchObject({ clusterPackRef: "web", serial: 3, manifestDigest: digest, version: "v3" });
    expect(first.status).toMatchObject({
      verified: true,
      acknowledged: true,
      degradedSecurityState: false,
      driftStatus: "InSync",
    });
    expect(findCondition(first.status?.conditions, "Verified")).toMatchObject({
      status: "True",
      reason: "SignatureVerified",
    });
    await clock.advance(120_000);
    await store.packReceipt(TENANT, report("a-tenant-1", 3, digest));
    expect((await mirror("a-tenant-1")).metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  it("is neither acknowledged nor degraded while the tenant is behind", async () => {
    await install("b-tenant-1");
    const old = await sign("b-tenant-1", 1);
    await sign("b-tenant-1", 2);
    await store.packReceipt(TENANT, report("b-tenant-1", 1, old));
    expect((await mirror("b-tenant-1")).status).toMatchObject({ acknowledged: false, degradedSecurityState: false });
  });

  it("is degraded when serial or digest were never signed", async () => {
    await install("c-tenant-1");
    await sign("c-tenant-1", 2);
    await store.packReceipt(TENANT, report("c-tenant-1", 2, digestOf("forged")));
    expect((await mirror("c-tenant-1")).status).toMatchObject({ acknowledged: false, degradedSecurityState: true });
    await store.packReceipt(TENANT, report("c-tenant-1", 9, digestOf("forged")));
    expect((await mirror("c-tenant-1")).status?.degradedReason).toContain("serial 9 was never signed");
  });

  it("mirrors a failed verification", async () => {
    await install("d-tenant-1");
    const digest = await sign("d-tenant-1", 1);
    await store.packReceipt(
      TENANT,
      report("d-tenant-1", 1, digest, { verified: false, verificationFailedReason: "SIGNATURE_INVALID" }),
    );
    const { status } = await mirror("d-tenant-1");
    expect(status).toMatchObject({ verified: false, verificationFailedReason: "SIGNATURE_INVALID" });
    expect(findCondition(status?.conditions, "Verified")).toMatchObject({
      status: "False",
      reason: "SignatureVerifyFailed",
    });
  });

  it("removes the mirror when the pack was removed, also when there is none", async () => {
    await install("e-tenant-1");
    await store.packReceipt(TENANT, report("e-tenant-1", 1, await sign("e-tenant-1", 1)));
    await store.packReceipt(TENANT, report("e-tenant-1", 1, "", { removed: true }));
    await expect(mirror("e-tenant-1")).rejects.toThrow(/not found/);
    await store.packReceipt(TENANT, report("e-tenant-1", 1, "", { removed: true }));
  });

  it("refuses for good what fails the schema, so that it does not hold back what follows", async () => {
    await expect(store.packReceipt(TENANT, report("NOT A NAME", 1, ""))).rejects.toMatchObject({
      name: "FactRefused",
      reason: "INVALID",
    });
    await expect(store.packReceipt(TENANT, report("f", 1, "", { clusterPackRef: "" }))).rejects.toMatchObject({
      reason: "INVALID",
    });
  });
});

const level = (name: string, at: Level, more: object = {}): ItemReport =>
  create(ItemReportSchema, {
    kind: "PackInstalled",
    name,
    version: 4n,
    digest: digestOf(name),
    level: at,
    atUnixMs: BigInt(clock.now()),
    ...more,
  });

describe("item levels", () => {
  it("are durable, one entry per item, newest wins, and read back as they were", async () => {
    await install("g-tenant-1");
    await store.items(TENANT, [level("g-tenant-1", Level.RECEIVED), level("h", Level.HEALTHY)]);
    const nack = { class: NackClass.UNTRUSTED, retryable: false, reason: "SIGNATURE_INVALID", detail: "no such key" };
    await store.items(TENANT, [level("g-tenant-1", Level.RECEIVED, { nack, nextRetryUnixMs: 5n, waitingFor: "w" })]);
    const levels = await store.itemLevels(TENANT);
    expect(levels.map(({ name, level: at }) => [name, at])).toEqual([
      ["g-tenant-1", Level.RECEIVED],
      ["h", Level.HEALTHY],
    ]);
    expect(levels[0]).toMatchObject({ nack, nextRetryUnixMs: 5n, waitingFor: "w", version: 4n });
  });

  it("show on the pack's mirror, which appears with the first level and keeps it beside receipts", async () => {
    expect((await mirror("g-tenant-1")).status?.delivery).toMatchObject({
      level: "Received",
      nack: { class: "Untrusted", retryable: false, reason: "SIGNATURE_INVALID" },
    });
    await store.packReceipt(TENANT, report("g-tenant-1", 1, await sign("g-tenant-1", 1)));
    await store.items(TENANT, [level("g-tenant-1", Level.HEALTHY)]);
    const { status } = await mirror("g-tenant-1");
    expect(status?.delivery).toMatchObject({ level: "Healthy", version: 4 });
    expect(status?.delivery?.nack).toBeUndefined();
    expect(status?.verified).toBe(true);
    await expect(mirror("h")).rejects.toThrow(/not found/);
  });

  it("share writes: a burst of reports costs few versions of the ConfigMap, and every caller waits for its own", async () => {
    const key = { namespace: NAMESPACE, name: ITEM_LEVELS_NAME };
    const seen = new Set<string | undefined>();
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        await store.items(TENANT, [level(`burst-${i}`, Level.APPLIED)]);
        const held = await management.cluster.get(ConfigMap, key);
        seen.add(held.metadata.resourceVersion);
        expect(held.data?.["items"]).toContain(`"burst-${i}"`);
      }),
    );
    expect(seen.size).toBeLessThan(10);
  });

  it("are forgotten when they are out of date, unless more was said since", async () => {
    const named = async () =>
      (await store.itemLevels(TENANT)).map(({ name }) => name).filter((name) => name.startsWith("old-"));
    const said = ["old-gone", "old-newer", "old-stays"].map((name) => level(name, Level.HEALTHY));
    await store.items(TENANT, said);
    const forget = ({ kind, name, version, digest }: (typeof said)[number], older = 0) => ({
      kind,
      name,
      version: Number(version) - older,
      digest,
    });
    const [gone, newer] = said;
    if (gone === undefined || newer === undefined) throw new Error("there are three");
    await store.forgetItems(TENANT, [forget(gone), forget(newer, 1), { ...forget(gone), name: "old-never-there" }]);
    expect(await named()).toEqual(["old-newer", "old-stays"]);
  });

  it("are empty for a tenant that never reported", async () => {
    expect(await store.itemLevels("tenant-9")).toEqual([]);
  });
});

describe("snapshot acknowledgement (R-6.4)", () => {
  const key = { namespace: NAMESPACES.seam, name: `snapshot-${TENANT}` };
  const acknowledged = async (): Promise<unknown> => {
    const { status } = await management.cluster.get(PermissionSnapshot, key);
    const condition = findCondition(status?.conditions, "Acknowledged");
    return [status?.lastAckedVersion, status?.drift, condition?.status, condition?.reason];
  };
  const send = (more: object): Promise<void> =>
    store.snapshotReceipt(TENANT, create(SnapshotReceiptReportSchema, { syncStatus: "InSync", ...more }));

  it("refuses a receipt for a snapshot that does not exist", async () => {
    await expect(send({})).rejects.toMatchObject({ name: "FactRefused", reason: "SNAPSHOT_UNKNOWN" });
  });

  it("advances only for the current version with the signed content", async () => {
    const contentHash = digestOf("content");
    const version = "e1.s2.0123456789ab";
    await management.cluster.create(PermissionSnapshot, {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "PermissionSnapshot",
      metadata: key,
      spec: { targetCluster: TENANT, version, epoch: 1, sequence: 2, contentHash },
    });
    await send({ snapshotVersion: "e1.s1.000000000000", contentHash: digestOf("older") });
    expect(await acknowledged()).toEqual([undefined, true, "False", "AwaitingAck"]);
    await send({ snapshotVersion: version, contentHash: digestOf("forged") });
    expect(await acknowledged()).toEqual([undefined, true, "False", "Rejected"]);
    await send({ snapshotVersion: version, contentHash });
    expect(await acknowledged()).toEqual([version, false, "True", "Acked"]);
    await send({
      snapshotVersion: version,
      contentHash,
      syncStatus: "DegradedSecurityState",
      degradedReason: "SIGNATURE_INVALID",
      lastRejected: { version: "e1.s3.0", reasonCode: "SIGNATURE_INVALID" },
    });
    expect(await acknowledged()).toEqual([version, false, "False", "Rejected"]);
  });

  it("W10: Compliant follows what the tenant compared, never its acknowledgement, and no tenant decides how large it gets", async () => {
    const compliant = async () =>
      findCondition((await management.cluster.get(PermissionSnapshot, key)).status?.conditions, "Compliant");
    expect(await compliant()).toBeUndefined();
    const surfaceHash = digestOf("surface");
    const difference = {
      subject: "User ada",
      where: "cluster-wide",
      rule: "delete nodes in *",
      binding: "ClusterRoleBinding x",
    };
    const excess = Array.from({ length: 60 }, () => create(SurfaceDifferenceSchema, difference));
    await send({ surfaceHash, excess, excessTotal: 60 });
    expect(await compliant()).toMatchObject({
      status: "False",
      reason: "DriftDetected",
      message: expect.stringContaining(
        "60 rights beyond the snapshot, 0 missing; beyond: User ada: delete nodes in * cluster-wide by ClusterRoleBinding x",
      ),
    });
    const { status } = await management.cluster.get(PermissionSnapshot, key);
    expect(status).toMatchObject({ driftDetected: true, surfaceHash, excessTotal: 60 });
    expect(status?.excess).toHaveLength(50);
    await send({ surfaceHash: digestOf("other"), provisioningStatus: "2 roles and bindings stand" });
    expect(await compliant()).toMatchObject({ status: "True", reason: "DriftAbsent" });
    expect((await management.cluster.get(PermissionSnapshot, key)).status).toMatchObject({
      driftDetected: false,
      excess: [],
      localProvisioningStatus: "2 roles and bindings stand",
    });
  });

  it("does not write for being seen again within a minute", async () => {
    const contentHash = digestOf("content");
    await send({ snapshotVersion: "e1.s2.0123456789ab", contentHash });
    const first = await management.cluster.get(PermissionSnapshot, key);
    await clock.advance(10_000);
    await send({ snapshotVersion: "e1.s2.0123456789ab", contentHash });
    const second = await management.cluster.get(PermissionSnapshot, key);
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });
});

describe("the tenant's RunnerConfig (R-4.22, R-10.3)", () => {
  const runnerConfig = (): Promise<RunnerConfig> =>
    management.cluster.get(RunnerConfig, { namespace: NAMESPACES.ont, name: TENANT });
  const declaration = create(CapabilityDeclarationSchema, {
    agentVersion: "0.1.0",
    agentLeader: "agent-0",
    capabilities: [
      { name: "b", version: "1" },
      { name: "a", version: "1" },
    ],
    simulatedNodes: true,
  });

  it("keeps what the agent declared and how the channel is beside each other", async () => {
    await Promise.all([
      store.capability(TENANT, declaration),
      store.channel(TENANT, {
        connected: true,
        reason: "Recovered",
        detail: "",
        sessionId: "s1",
        term: 3n,
        replica: "hub-0",
        lastSeenMs: clock.now(),
        rttMs: 3.2,
      }),
    ]);
    const { status } = await runnerConfig();
    expect(status?.federation).toMatchObject({
      connected: true,
      sessionId: "s1",
      lastRtt: "3ms",
      tenantAgent: { version: "0.1.0", simulatedNodes: true },
    });
    expect(status?.federation?.tenantAgent?.capabilities?.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(findCondition(status?.conditions, "FederationChannelDegraded")).toMatchObject({
      status: "False",
      reason: "Recovered",
    });
  });

  it("says why the channel is degraded, and keeps when the agent was last seen", async () => {
    const before = (await runnerConfig()).status?.federation?.lastSeen;
    const lost = {
      connected: false,
      reason: "HeartbeatMissed",
      detail: "no frame for 95 s",
      sessionId: "s1",
      term: 3n,
      replica: "hub-0",
    } as const;
    await store.channel(TENANT, lost);
    const { status } = await runnerConfig();
    expect(status?.federation).toMatchObject({ connected: false, lastSeen: before });
    expect(status?.federation?.tenantAgent?.version).toBe("0.1.0");
    expect(findCondition(status?.conditions, "FederationChannelDegraded")).toMatchObject({
      status: "True",
      reason: "HeartbeatMissed",
      message: "no frame for 95 s",
    });
    expect(findCondition(status?.conditions, "AgentConnected")).toMatchObject({
      status: "False",
      reason: "StreamLost",
    });
  });

  it("does not let a former owner say that the session it lost is gone", async () => {
    const at = (term: bigint, connected: boolean, replica: string) => ({
      connected,
      reason: connected ? ("Recovered" as const) : ("Disconnected" as const),
      detail: "",
      sessionId: `s${term}`,
      term,
      replica,
    });
    await store.channel(TENANT, at(5n, true, "hub-1"));
    await store.channel(TENANT, at(4n, false, "hub-0"));
    expect((await runnerConfig()).status?.federation).toMatchObject({
      connected: true,
      sessionId: "s5",
      term: 5,
      replica: "hub-1",
    });
    await store.channel(TENANT, at(5n, false, "hub-1"));
    expect((await runnerConfig()).status?.federation?.connected).toBe(false);
  });

  it("is corrected when the replica that carried it could not say that it is down, unless there is a later session", async () => {
    const live = { connected: true, reason: "Recovered", detail: "", replica: "hub-2" } as const;
    await store.channel(TENANT, { ...live, sessionId: "s8", term: 8n });
    await store.channelLost(TENANT, 7n, "not back since replica hub-2 is gone");
    expect((await runnerConfig()).status?.federation?.connected).toBe(true);
    await store.channelLost(TENANT, 8n, "not back since replica hub-2 is gone");
    const { status } = await runnerConfig();
    expect(status?.federation).toMatchObject({ connected: false, sessionId: "s8", term: 8, replica: "hub-2" });
    expect(findCondition(status?.conditions, "FederationChannelDegraded")).toMatchObject({
      status: "True",
      reason: "Disconnected",
      message: "not back since replica hub-2 is gone",
    });
    expect(findCondition(status?.conditions, "AgentConnected")).toMatchObject({ status: "False" });
    await store.channelLost("tenant-9", 1n, "a tenant without RunnerConfig has nowhere to say it");
  });

  it("refuses a declaration that has nowhere to stand, and shrugs at a channel that has not", async () => {
    await expect(store.capability("tenant-9", declaration)).rejects.toMatchObject({ reason: "RUNNER_CONFIG_MISSING" });
    await store.channel("tenant-9", {
      connected: false,
      reason: "Disconnected",
      detail: "",
      sessionId: "",
      term: 0n,
      replica: "hub-0",
    });
  });
});

describe("what a TalosCluster says of its agent", () => {
  const NAME = "told";
  const agent = async () =>
    (await management.cluster.get(TalosCluster, { namespace: tenantNamespace(NAME), name: NAME })).status?.agent;
  const greeted = (term: bigint, agentVersion: string, protocolVersion: number) =>
    store.channel(NAME, {
      connected: true,
      reason: "Recovered",
      detail: "",
      sessionId: `s${term}`,
      term,
      replica: "hub-0",
      agentVersion,
      protocolVersion,
    });
  const declared = (names: readonly string[], fence?: WriteFence) =>
    store.capability(
      NAME,
      create(CapabilityDeclarationSchema, {
        agentVersion: "1.1.0",
        agentLeader: "agent-0",
        capabilities: names.map((name) => ({ name, version: "1.1.0" })),
      }),
      fence,
    );
  const resourceVersion = async () =>
    (await management.cluster.get(TalosCluster, { namespace: tenantNamespace(NAME), name: NAME })).metadata
      .resourceVersion;

  it("is its version, protocol and capabilities: bounded, and written when they change, not when it comes and goes", async () => {
    await management.addTenant(NAME);
    await greeted(1n, "1.0.0", 1);
    expect(await agent()).toEqual({ version: "1.0.0", protocolVersion: 1, term: 1 });
    await declared(["pack-apply", "drift-detection", "pack-apply", "x".repeat(300), ...many(100)]);
    const held = await agent();
    expect(held).toMatchObject({ version: "1.1.0", protocolVersion: 1, leader: "agent-0", term: 1 });
    expect(held?.capabilities?.slice(0, 2)).toEqual(["drift-detection", "pack-apply"]);
    expect(held?.capabilities).toHaveLength(64);
    await declared(["pack-apply"]);
    const before = await resourceVersion();
    await greeted(2n, "1.1.0", 1);
    await greeted(3n, "1.1.0", 1);
    await declared(["pack-apply"]);
    expect(await resourceVersion()).toBe(before);
    await greeted(4n, "1.1.0", 3);
    expect(await agent()).toEqual({
      version: "1.1.0",
      protocolVersion: 3,
      leader: "agent-0",
      capabilities: ["pack-apply"],
      term: 4,
    });
  });

  it("is not what a former owner of the session says, and not what comes without the fence", async () => {
    await greeted(3n, "0.9.0", 1);
    expect(await agent()).toMatchObject({ version: "1.1.0", protocolVersion: 3 });
    const lost = new OwnershipLost("another replica owns the session");
    await expect(declared([], { hold: () => Promise.reject(lost) })).rejects.toBe(lost);
    expect((await agent())?.capabilities).toEqual(["pack-apply"]);
  });

  it("stands also where there is no RunnerConfig", async () => {
    await management.cluster.delete(RunnerConfig, { namespace: NAMESPACES.ont, name: NAME });
    await declared(["permission-service"]);
    expect((await agent())?.capabilities).toEqual(["permission-service"]);
  });
});

function many(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `z-${i}`);
}
