import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testKey } from "../../../test/oracle/signed-snapshots.ts";
import { ConfigMap, Secret } from "../../api/builtin.ts";
import { SnapshotReceiptReportSchema } from "../../api/gen/conductor/federation/v1alpha1/facts_pb.ts";
import { IdentityBinding } from "../../api/kinds/identity-binding.ts";
import { IdentityProvider } from "../../api/kinds/identity-provider.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { PermissionSnapshot } from "../../api/kinds/permission-snapshot.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile, type RBACProfileSpec } from "../../api/kinds/rbac-profile.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { unknownConditions } from "../../api/condition-vocabulary.ts";
import { findCondition } from "../../api/conditions.ts";
import { Guardian } from "../../api/kinds/guardian.ts";
import { signedSnapshotSecretName, tenantNamespace } from "../../api/names.ts";
import { type KubeObject, keyOf } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { silentLog } from "../../base/log.ts";
import { systemClock } from "../../base/clock.ts";
import { SeededRandom } from "../../base/random.ts";
import { ifPresent } from "../../cluster/if-present.ts";
import { parseContent } from "../../permissions/snapshot/parse-content.ts";
import { type SnapshotStatement, parseStatement } from "../../permissions/snapshot/statement.ts";
import { verifyStatement } from "../../permissions/snapshot/verify-statement.ts";
import { type SignedEnvelope, decodeEnvelope } from "../../trust/dsse.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../test/support/management-cluster.ts";
import { readItem } from "../index/desired-items.ts";
import { createHubFactStore } from "../../federation/hub/mirror/hub-fact-store.ts";
import { SNAPSHOT_LEDGER } from "./snapshot-ledger.ts";
import { type SnapshotSigning, type SnapshotSigningOptions, startSnapshotSigning } from "./start-snapshot-signing.ts";

/** A busy machine is no failure. */
const PATIENT = { timeout: 20_000, interval: 20 };
const key = testKey();
const home = tenantNamespace("tenant-1");
let management: TestManagementCluster;
let stop: AbortController;
let signing: SnapshotSigning;

async function start(more: Partial<SnapshotSigningOptions> = {}): Promise<void> {
  stop = new AbortController();
  signing = await startSnapshotSigning({
    cluster: management.cluster,
    signer: key.signer,
    keys: key.ring,
    managementCluster: "management-1",
    clock: systemClock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
    ...more,
  });
  await signing.ready;
}

async function secretOf(tenant: string) {
  return ifPresent(
    management.cluster.get(Secret, {
      namespace: tenantNamespace(tenant),
      name: signedSnapshotSecretName(tenant),
    }),
  );
}

/** What the Secret says, believed or not. */
async function rawStatementOf(tenant: string): Promise<SnapshotStatement | undefined> {
  const envelope = await envelopeOf(tenant);
  return envelope && parseStatement(envelope.body);
}

async function envelopeOf(tenant: string): Promise<SignedEnvelope | undefined> {
  const secret = await secretOf(tenant);
  return decodeEnvelope(Buffer.from(secret?.data?.["envelope"] ?? "", "base64"));
}

async function statementOf(tenant: string): Promise<SnapshotStatement | undefined> {
  const envelope = await envelopeOf(tenant);
  if (envelope === undefined) return undefined;
  const checks = { cluster: tenant, keys: key.ring, floor: { minimumSequence: 0 }, nowMs: systemClock.now() };
  return verifyStatement(envelope, checks).statement;
}

async function contentOf(tenant: string) {
  const secret = await secretOf(tenant);
  return parseContent(Buffer.from(secret?.data?.["content"] ?? "", "base64"));
}

async function subjectsOf(tenant: string) {
  return (await contentOf(tenant)).subjects;
}

async function sequenceOf(tenant: string): Promise<number | undefined> {
  return (await statementOf(tenant))?.sequence;
}

async function permissionSet(name: string, verbs: readonly string[], namespace = home): Promise<void> {
  await management.cluster.create(PermissionSet, {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "PermissionSet",
    metadata: { name, namespace },
    spec: { permissions: [{ apiGroups: [""], resources: ["pods"], verbs }] },
  });
}

async function profile(name: string, spec: Partial<RBACProfileSpec> = {}): Promise<void> {
  await management.cluster.create(RBACProfile, {
    apiVersion: "guardian.ontai.dev/v1alpha1",
    kind: "RBACProfile",
    metadata: { name, namespace: home },
    spec: {
      principalRef: `system:serviceaccount:${name}:${name}`,
      targetClusters: ["tenant-1"],
      permissionDeclarations: [{ permissionSetRef: "reader", scope: "cluster" }],
      rbacPolicyRef: "cluster-policy",
      ...spec,
    },
  });
}

async function provisioned(name: string) {
  const { status } = await management.cluster.get(RBACProfile, { namespace: home, name });
  const condition = findCondition(status?.conditions, "Provisioned");
  return [status?.provisioned, condition?.reason, condition?.message];
}

beforeAll(async () => {
  management = await openManagementCluster();
  await management.addTenant("tenant-1");
  await start();
});

afterAll(async () => {
  stop.abort();
  await signing.closed;
  await management.close();
});

describe("snapshot signing", () => {
  it("signs an empty snapshot for a tenant without grants, as an item of its index", async () => {
    await expect.poll(() => sequenceOf("tenant-1"), PATIENT).toBe(1);
    expect(await contentOf("tenant-1")).toMatchObject({ targetCluster: "tenant-1", subjects: [], ruleSets: [] });
    const secret = await secretOf("tenant-1");
    if (secret === undefined) throw new Error("no Secret");
    const { contentHash } = (await statementOf("tenant-1")) ?? { contentHash: "" };
    expect(readItem(secret, "tenant-1")).toMatchObject({
      ok: true,
      item: { kind: "PermissionSnapshot", name: "snapshot-tenant-1", refs: [{ digest: contentHash }] },
    });
  });

  it("provisions what is valid and publishes it; status and object tell the version", async () => {
    await permissionSet("reader", ["get", "list"]);
    await permissionSet("management-maximum", ["get", "list", "watch"], "seam-system");
    const policyKey = { namespace: home, name: "cluster-policy" };
    await expect
      .poll(async () => (await subjectsOf("tenant-1")).map(({ name }) => name), PATIENT)
      .toEqual(["conductor"]);
    expect((await management.cluster.get(RBACPolicy, policyKey)).spec).toEqual({
      subjectScope: "tenant",
      allowedClusters: ["tenant-1"],
      maximumPermissionSetRef: "cluster-maximum",
      enforcementMode: "audit",
    });
    await management.cluster.patch(RBACPolicy, policyKey, {
      type: "merge",
      body: { spec: { enforcementMode: "strict" } },
    });
    await profile("web");
    await expect
      .poll(async () => (await subjectsOf("tenant-1")).map(({ name }) => name), PATIENT)
      .toEqual(["web", "conductor"]);
    await expect.poll(() => provisioned("web"), PATIENT).toEqual([true, "ProvisioningComplete", "every check passed"]);
    const statement = await statementOf("tenant-1");
    const snapshotKey = { namespace: "seam-system", name: "snapshot-tenant-1" };
    await expect
      .poll(async () => (await management.cluster.get(PermissionSnapshot, snapshotKey)).status?.signedVersion, PATIENT)
      .toBe(statement?.version);
    const { spec, status } = await management.cluster.get(PermissionSnapshot, snapshotKey);
    expect(spec).toMatchObject({ version: statement?.version, contentHash: statement?.contentHash });
    expect(spec.subjects?.[0]).toMatchObject({ subjectKind: "ServiceAccount", subjectName: "web", namespace: "web" });
    expect(status).toMatchObject({ signed: true, expectedVersion: statement?.version });
    expect(findCondition(status?.conditions, "Fresh")).toMatchObject({ status: "True", reason: "SnapshotFresh" });
    await expect
      .poll(
        async () => (await management.cluster.get(RBACProfile, { namespace: home, name: "web" })).status?.epgVersion,
        PATIENT,
      )
      .toBe(`tenant-1=${statement?.version}`);
    const set = await management.cluster.get(PermissionSet, { namespace: home, name: "reader" });
    expect(set.status?.rulesHash).toMatch(/^[0-9a-f]{64}$/);
    expect(findCondition(set.status?.conditions, "PermissionSetValid")?.status).toBe("True");
    await expect
      .poll(async () => {
        const { status } = await management.cluster.get(RBACProfile, { namespace: home, name: "web" });
        return findCondition(status?.conditions, "LineageSynced")?.reason;
      }, PATIENT)
      .toBe("LineageControllerAbsent");
  });

  it("says every failed check with object, field and remedy, and leaves the others alone", async () => {
    await profile("broken", {
      permissionDeclarations: [
        { permissionSetRef: "nowhere", scope: "cluster" },
        { permissionSetRef: "missing", scope: "cluster" },
      ],
    });
    await profile("stranger", { targetClusters: ["tenant-2"] });
    await expect
      .poll(() => provisioned("broken"), PATIENT)
      .toEqual([
        false,
        "PermissionSetMissing",
        [
          `PermissionSetExists[0]: RBACProfile ${home}/broken: spec.permissionDeclarations[0].permissionSetRef: PermissionSet ${home}/nowhere exists, found none; create it or name another`,
          `PermissionSetExists[1]: RBACProfile ${home}/broken: spec.permissionDeclarations[1].permissionSetRef: PermissionSet ${home}/missing exists, found none; create it or name another`,
        ].join("; "),
      ]);
    await expect
      .poll(() => provisioned("stranger"), PATIENT)
      .toEqual([
        false,
        "PolicyViolation",
        `ClusterAllowed[0]: RBACProfile ${home}/stranger: spec.targetClusters[0]: a cluster that RBACPolicy cluster-policy allows in this namespace, found tenant-2; remove it or change the policy`,
      ]);
    await expect
      .poll(async () => (await contentOf("tenant-1")).profiles.map((p) => [p.name, p.provisioned]), PATIENT)
      .toEqual([
        ["broken", false],
        ["conductor-tenant", true],
        ["web", true],
      ]);
    expect((await subjectsOf("tenant-1")).map(({ name }) => name)).toEqual(["web", "conductor"]);
  });

  it("takes a revoked set out at once and regresses the profile", async () => {
    const before = (await sequenceOf("tenant-1")) ?? 0;
    await management.cluster.delete(PermissionSet, { namespace: home, name: "reader" });
    await expect.poll(async () => (await subjectsOf("tenant-1")).length, PATIENT).toBe(1);
    await expect.poll(async () => (await provisioned("web"))[1], PATIENT).toBe("PermissionSetMissing");
    expect(await sequenceOf("tenant-1")).toBeGreaterThan(before);
    await permissionSet("reader", ["get"]);
    await expect.poll(async () => (await subjectsOf("tenant-1")).length, PATIENT).toBe(2);
    await expect.poll(async () => (await provisioned("web"))[0], PATIENT).toBe(true);
  });

  it("invariants 8 and 9: cluster-maximum follows the fleet's ceiling until it is pinned, and is put back when somebody takes it away", async () => {
    const fleet = { namespace: "seam-system", name: "management-maximum" };
    const maximum = { namespace: home, name: "cluster-maximum" };
    const tighten = (verbs: readonly string[], key = fleet) =>
      management.cluster.patch(PermissionSet, key, {
        type: "merge",
        body: { spec: { permissions: [{ apiGroups: [""], resources: ["pods"], verbs }] } },
      });
    const maximumVerbs = async () =>
      (await management.cluster.get(PermissionSet, maximum)).spec.permissions.map(({ verbs }) => verbs);
    await tighten(["get", "list"]);
    await expect.poll(maximumVerbs, PATIENT).toEqual([["get", "list"]]);
    await tighten(["get", "list", "delete"], maximum);
    await expect.poll(maximumVerbs, PATIENT).toEqual([["get", "list"]]);
    await management.cluster.delete(PermissionSet, maximum);
    await expect.poll(() => maximumVerbs().catch(() => "gone"), PATIENT).toEqual([["get", "list"]]);
    await management.cluster.patch(PermissionSet, maximum, {
      type: "merge",
      body: { metadata: { annotations: { "ontai.dev/ceiling-sync": "pinned" } } },
    });
    await tighten(["get"]);
    await expect
      .poll(async () => {
        const { status } = await management.cluster.get(PermissionSet, maximum);
        const condition = findCondition(status?.conditions, "PermissionSetValid");
        return [condition?.status, condition?.reason];
      }, PATIENT)
      .toEqual(["False", "CeilingExceeded"]);
    expect(await maximumVerbs()).toEqual([["get", "list"]]);
    // Pinned and too wide: what is granted is trimmed to the fleet's ceiling all the same.
    await expect
      .poll(async () => {
        const { subjects, ruleSets } = await contentOf("tenant-1");
        const bound = new Set(subjects.flatMap(({ bindings }) => bindings.map(({ ruleSet }) => ruleSet)));
        return ruleSets.filter(({ id }) => bound.has(id)).flatMap(({ rules }) => rules.flatMap(({ verbs }) => verbs));
      }, PATIENT)
      .toEqual(["get"]);
    const { ceilings, ruleSets } = await contentOf("tenant-1");
    const verbsOf = (id: string | undefined) => ruleSets.find((set) => set.id === id)?.rules[0]?.verbs;
    expect([verbsOf(ceilings.fleet), verbsOf(ceilings.cluster)]).toEqual([["get"], ["get", "list"]]);
  });

  it("makes subjects of bound identities, and says of providers what asking them gave", async () => {
    const issuerURL = "https://127.0.0.1:1";
    const provider = await management.cluster.create(IdentityProvider, {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "IdentityProvider",
      metadata: { name: "sso", namespace: home },
      spec: { type: "oidc", issuerURL, allowedAudiences: ["seam"] },
    });
    const binding = await management.cluster.create(IdentityBinding, {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "IdentityBinding",
      metadata: { name: "ada", namespace: home },
      spec: {
        identityType: "oidc",
        principalName: "system:serviceaccount:web:web",
        trustMethod: "token",
        tokenMaxTTLSeconds: 600,
        identityProviderRef: "sso",
        oidcConfig: { issuer: issuerURL, subject: "ada" },
      },
    });
    await expect
      .poll(async () => (await subjectsOf("tenant-1")).map(({ name }) => name), PATIENT)
      .toEqual(["web", `oidc:${issuerURL}#ada`]);
    const reasons = async () => {
      const now = await management.cluster.get(IdentityProvider, keyOf(provider));
      const bound = await management.cluster.get(IdentityBinding, keyOf(binding));
      return [
        findCondition(now.status?.conditions, "Valid")?.reason,
        findCondition(now.status?.conditions, "Reachable")?.reason,
        findCondition(bound.status?.conditions, "IdentityBindingValid")?.reason,
      ];
    };
    await expect.poll(reasons, PATIENT).toEqual(["Valid", "Unreachable", "TrustAnchorResolved"]);
    await management.cluster.delete(IdentityProvider, keyOf(provider));
    await expect.poll(async () => (await subjectsOf("tenant-1")).length, PATIENT).toBe(1);
    await management.cluster.delete(IdentityBinding, keyOf(binding));
  });

  it("Invariant 3: provisioned has one writer", async () => {
    const { metadata } = await management.cluster.get(RBACProfile, { namespace: home, name: "web" });
    const writers = (metadata.managedFields ?? [])
      .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1).includes('"f:provisioned"'))
      .map(({ manager, subresource }) => `${manager} ${subresource ?? ""}`);
    expect(writers).toEqual(["guardian-engine status"]);
  });

  it("W12, Invariant 7: what somebody writes into a snapshot is never signed, and put right at once", async () => {
    const snapshotKey = { namespace: "seam-system", name: "snapshot-tenant-1" };
    const before = await management.cluster.get(PermissionSnapshot, snapshotKey);
    const statement = await statementOf("tenant-1");
    const [ruleSet, ...others] = before.spec.ruleSets ?? [];
    if (ruleSet === undefined) throw new Error("no rule set");
    const wide = { ...ruleSet, rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }] };
    await management.cluster.update(PermissionSnapshot, {
      ...before,
      spec: { ...before.spec, ruleSets: [wide, ...others] },
    });
    await expect
      .poll(async () => (await management.cluster.get(PermissionSnapshot, snapshotKey)).spec.ruleSets, PATIENT)
      .toEqual(before.spec.ruleSets);
    expect((await statementOf("tenant-1"))?.version).toBe(statement?.version);
    expect(
      (await contentOf("tenant-1")).ruleSets.flatMap(({ rules }) => rules.flatMap(({ verbs }) => verbs)),
    ).not.toContain("*");
  });

  it("W16: conditions of several writers stand side by side", async () => {
    const snapshotKey = { namespace: "seam-system", name: "snapshot-tenant-1" };
    const facts = createHubFactStore({
      cluster: management.cluster,
      drift: async () => {},
      clock: systemClock,
      log: silentLog,
    });
    const { spec } = await management.cluster.get(PermissionSnapshot, snapshotKey);
    const report = { snapshotVersion: spec.version, contentHash: spec.contentHash ?? "", syncStatus: "InSync" };
    await facts.snapshotReceipt("tenant-1", create(SnapshotReceiptReportSchema, report));
    await expect
      .poll(async () => {
        const { status } = await management.cluster.get(PermissionSnapshot, snapshotKey);
        return (status?.conditions ?? []).map(({ type, status: holds }) => `${type}=${holds}`).sort();
      }, PATIENT)
      .toEqual(["Acknowledged=True", "Fresh=True", "OutOfSync=False"]);
  });

  it("replaces a forged or deleted Secret without a new version", async () => {
    const statement = await statementOf("tenant-1");
    const secret = await secretOf("tenant-1");
    if (secret === undefined) throw new Error("no Secret");
    const other = Buffer.from('{"payload":"","payloadType":"x","signatures":[]}').toString("base64");
    await management.cluster.update(Secret, { ...secret, data: { ...secret.data, envelope: other } });
    await expect.poll(async () => (await statementOf("tenant-1"))?.version, PATIENT).toBe(statement?.version);
    await management.cluster.delete(Secret, { namespace: home, name: signedSnapshotSecretName("tenant-1") });
    await expect.poll(async () => (await statementOf("tenant-1"))?.version, PATIENT).toBe(statement?.version);
  });

  it("goes on where it was after a restart, and begins a higher epoch when ledger and Secret are lost", async () => {
    const statement = await statementOf("tenant-1");
    stop.abort();
    await signing.closed;
    await start();
    await permissionSet("unused", ["get"]);
    await expect
      .poll(
        async () => (await management.cluster.get(PermissionSet, { namespace: home, name: "unused" })).status,
        PATIENT,
      )
      .toBeDefined();
    expect(await statementOf("tenant-1")).toEqual(statement);
    stop.abort();
    await signing.closed;
    await management.cluster.delete(ConfigMap, { namespace: home, name: SNAPSHOT_LEDGER });
    await management.cluster.delete(Secret, { namespace: home, name: signedSnapshotSecretName("tenant-1") });
    await start();
    await expect.poll(async () => (await statementOf("tenant-1"))?.sequence, PATIENT).toBe(1);
    expect((await statementOf("tenant-1"))?.epoch).toBeGreaterThan(statement?.epoch ?? 0);
  });

  it("begins a later epoch when the tenant holds more than this hub ever gave out: it came back from an older state", async () => {
    const before = await statementOf("tenant-1");
    const facts = createHubFactStore({
      cluster: management.cluster,
      drift: async () => {},
      clock: systemClock,
      log: silentLog,
    });
    const report = (sequence: number, contentHash: string = before?.contentHash ?? "") =>
      facts.snapshotReceipt(
        "tenant-1",
        create(SnapshotReceiptReportSchema, {
          epoch: BigInt(before?.epoch ?? 0),
          sequence: BigInt(sequence),
          contentHash,
          syncStatus: "DegradedSecurityState",
          degradedReason: "ROLLBACK_REJECTED",
        }),
      );
    await report(before?.sequence ?? 0);
    stop.abort();
    await signing.closed;
    await start();
    await expect.poll(() => statementOf("tenant-1"), PATIENT).toEqual(before);
    await report((before?.sequence ?? 0) + 50);
    stop.abort();
    await signing.closed;
    await start();
    await expect.poll(async () => (await statementOf("tenant-1"))?.epoch, PATIENT).toBeGreaterThan(before?.epoch ?? 0);
    const after = await statementOf("tenant-1");
    expect(after).toMatchObject({ sequence: 1, contentHash: before?.contentHash });
    stop.abort();
    await signing.closed;
    await start();
    expect(await statementOf("tenant-1")).toEqual(after);
  });

  it("begins a later epoch when the tenant holds another content under the number given out last: it was given out twice", async () => {
    const before = await statementOf("tenant-1");
    const facts = createHubFactStore({
      cluster: management.cluster,
      drift: async () => {},
      clock: systemClock,
      log: silentLog,
    });
    const report = create(SnapshotReceiptReportSchema, {
      epoch: BigInt(before?.epoch ?? 0),
      sequence: BigInt(before?.sequence ?? 0),
      contentHash: `sha256:${"0".repeat(64)}`,
      syncStatus: "DegradedSecurityState",
      degradedReason: "EQUIVOCATION",
    });
    // Epochs are seconds: the one before must have begun in an earlier one.
    await expect.poll(() => Math.floor(systemClock.now() / 1000), PATIENT).toBeGreaterThan(before?.epoch ?? 0);
    await facts.snapshotReceipt("tenant-1", report);
    stop.abort();
    await signing.closed;
    await start();
    await expect.poll(async () => (await statementOf("tenant-1"))?.epoch, PATIENT).toBeGreaterThan(before?.epoch ?? 0);
  });

  it("gives up an epoch that lies in the future: it was begun under a wrong clock, and no tenant takes it", async () => {
    const before = await statementOf("tenant-1");
    stop.abort();
    await signing.closed;
    const ahead = { ...systemClock, now: () => systemClock.now() + 3_600_000 };
    await management.cluster.delete(ConfigMap, { namespace: home, name: SNAPSHOT_LEDGER });
    await management.cluster.delete(Secret, { namespace: home, name: signedSnapshotSecretName("tenant-1") });
    await start({ clock: ahead });
    await expect
      .poll(async () => (await rawStatementOf("tenant-1"))?.epoch, PATIENT)
      .toBeGreaterThan((before?.epoch ?? 0) + 3_000);
    stop.abort();
    await signing.closed;
    await start();
    await expect
      .poll(async () => (await rawStatementOf("tenant-1"))?.epoch, PATIENT)
      .toBeLessThanOrEqual(Math.floor(systemClock.now() / 1000));
    expect((await statementOf("tenant-1"))?.contentHash).toBe(before?.contentHash);
  });

  it("W24: puts large content into chunks that the index still names as one blob", async () => {
    await management.addTenant("tenant-9");
    await expect.poll(() => sequenceOf("tenant-9"), PATIENT).toBe(1);
    const permissions = Array.from({ length: 20 }, (_, rule) => ({
      apiGroups: [""],
      resources: ["pods"],
      verbs: ["get"],
      resourceNames: Array.from({ length: 450 }, (_, i) => `${"n".repeat(60)}-${rule}-${i}`),
    }));
    await management.cluster.create(PermissionSet, {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "PermissionSet",
      metadata: { name: "huge", namespace: tenantNamespace("tenant-9") },
      spec: { permissions },
    });
    await management.cluster.create(RBACProfile, {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "RBACProfile",
      metadata: { name: "huge", namespace: tenantNamespace("tenant-9") },
      spec: {
        principalRef: "robot",
        targetClusters: ["tenant-9"],
        permissionDeclarations: [{ permissionSetRef: "huge", scope: "namespaced", namespaces: ["default"] }],
        rbacPolicyRef: "cluster-policy",
      },
    });
    await expect.poll(async () => (await secretOf("tenant-9"))?.data?.["chunks"], PATIENT).toBeDefined();
    const secret = await secretOf("tenant-9");
    if (secret === undefined) throw new Error("no Secret");
    const { contentHash } = (await statementOf("tenant-9")) ?? { contentHash: "" };
    expect(readItem(secret, "tenant-9")).toMatchObject({ ok: true, item: { refs: [{ digest: contentHash }] } });
    const snapshot = { namespace: "seam-system", name: "snapshot-tenant-9" };
    await expect
      .poll(
        async () => (await management.cluster.get(PermissionSnapshot, snapshot)).spec.contentRef?.chunks.length,
        PATIENT,
      )
      .toBe(2);
  });

  it("withdraws the snapshot of a cluster that is not governed any more", async () => {
    await management.cluster.delete(TalosCluster, { namespace: tenantNamespace("tenant-9"), name: "tenant-9" });
    await expect.poll(() => secretOf("tenant-9"), PATIENT).toBeUndefined();
    await expect
      .poll(async () => {
        const list = await management.cluster.list(TalosCluster, { namespace: tenantNamespace("tenant-9") });
        return list.items.length;
      }, PATIENT)
      .toBe(0);
    const layer = await Promise.all(
      [PermissionSet, RBACPolicy, RBACProfile].map(async (type: ResourceType<KubeObject>) => {
        const { items } = await management.cluster.list(type, { namespace: tenantNamespace("tenant-9") });
        return items.map(({ metadata }) => metadata.name);
      }),
    );
    expect(layer).toEqual([["huge"], [], ["huge"]]);
    const left = await management.cluster.list(Secret, { namespace: tenantNamespace("tenant-9") });
    expect(left.items.map(({ metadata }) => metadata.name)).toEqual([]);
  });

  it("renews the statement at half of the window, quietly, and jumps over a revocation floor", async () => {
    const before = await statementOf("tenant-1");
    stop.abort();
    await signing.closed;
    await start({ freshnessWindowSeconds: 2 });
    await expect.poll(() => sequenceOf("tenant-1"), PATIENT).toBe((before?.sequence ?? 0) + 1);
    const first = await statementOf("tenant-1");
    await expect
      .poll(async () => ((await statementOf("tenant-1"))?.issuedAtMs ?? 0) - (first?.issuedAtMs ?? 0), PATIENT)
      .toBeGreaterThan(0);
    const renewed = await statementOf("tenant-1");
    expect((renewed?.issuedAtMs ?? 0) - (first?.issuedAtMs ?? 0)).toBeLessThan(1_500);
    expect(renewed?.version).toBe(first?.version);
    stop.abort();
    await signing.closed;
    let floor = 0;
    const told: ((cluster: string) => void)[] = [];
    const revocations = {
      minSequence: (name: string) => (name === "tenant-1" ? floor : 0),
      subscribe: (listener: (cluster: string) => void) => {
        told.push(listener);
        return () => {};
      },
    };
    await start({ freshnessWindowSeconds: 2, revocations });
    floor = 40;
    for (const listener of told) listener("tenant-1");
    await expect.poll(async () => (await statementOf("tenant-1"))?.minSequence, PATIENT).toBe(40);
    expect(await statementOf("tenant-1")).toMatchObject({ sequence: 40, contentHash: renewed?.contentHash });
  });

  it("says nothing in a condition that the vocabulary does not know", async () => {
    const unknown: string[] = [];
    let said = 0;
    for (const type of [
      PermissionSet,
      RBACPolicy,
      RBACProfile,
      PermissionSnapshot,
      IdentityProvider,
      IdentityBinding,
      Guardian,
    ] as readonly ResourceType<KubeObject>[])
      for (const object of (await management.cluster.list(type)).items) {
        const { conditions = [] } = (object as RBACProfile).status ?? {};
        said += conditions.length;
        unknown.push(
          ...unknownConditions(object as RBACProfile).map((text) => `${object.kind} ${object.metadata.name} ${text}`),
        );
      }
    expect(unknown).toEqual([]);
    expect(said).toBeGreaterThan(20);
  });
});
