import { RememberingTrail } from "../../../../test/support/remembering-trail.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ruleSetOf } from "../../../../test/oracle/permission-worlds.ts";
import { signedSnapshot, testKey } from "../../../../test/oracle/signed-snapshots.ts";
import { type TestTenantCluster, openTenantCluster } from "../../../../test/support/tenant-cluster.ts";
import { ClusterRole, ClusterRoleBinding, Namespace, Role, RoleBinding } from "../../../api/builtin.ts";
import { PermissionSnapshotReceipt } from "../../../api/kinds/permission-snapshot-receipt.ts";
import type { KubeObject } from "../../../api/object.ts";
import type { ResourceType } from "../../../api/resource-type.ts";
import { systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { systemRandom } from "../../../base/random.ts";
import { isMaterialised, materialisedKey } from "../../../permissions/materialise/materialised.ts";
import { ruleOf } from "../../../permissions/rules/rule.ts";
import type { SnapshotBinding, SnapshotContent } from "../../../permissions/snapshot/content.ts";
import { type SnapshotStore, openSnapshotStore } from "../../../permissions/store/snapshot-store.ts";
import { acknowledge } from "../items/snapshot/snapshot-receipt.ts";
import type { FactOutbox } from "../ports.ts";
import { SurfaceFacts } from "./surface-facts.ts";
import { type TenantRbac, startTenantRbac } from "./tenant-rbac.ts";

type Report = Parameters<FactOutbox["snapshotReceipt"]>[0];

const PATIENT = { timeout: 20_000, interval: 20 };
const RBAC = "rbac.authorization.k8s.io";
const key = testKey();
const reports: Report[] = [];
let tenant: TestTenantCluster;
let directory: string;
let store: SnapshotStore;
let stop: AbortController;
let loop: TenantRbac;
let sequence = 0;

const set = (verbs: readonly string[]) => ruleSetOf([ruleOf({ verbs, apiGroups: [""], resources: ["pods"] })]);

function content(verbs: readonly string[], ...bindings: readonly Partial<SnapshotBinding>[]): SnapshotContent {
  const rules = set(verbs);
  const source = {
    profileNamespace: "seam-tenant-tenant-1",
    profileName: "web",
    declaration: 0,
    permissionSet: "s",
    policy: "q",
  };
  const grant = { ruleSet: rules.id, scope: "cluster" as const, namespaces: [], expiresAt: "", source };
  return {
    schemaVersion: 2,
    targetCluster: "tenant-1",
    ceilings: {},
    ruleSets: [rules],
    subjects:
      bindings.length === 0
        ? []
        : [
            {
              kind: "ServiceAccount",
              namespace: "hello",
              name: "web",
              principalRef: "system:serviceaccount:hello:web",
              bindings: bindings.map((binding) => Object.assign({}, grant, binding)),
            },
          ],
    profiles: [
      {
        namespace: "seam-tenant-tenant-1",
        name: "web",
        principalRef: "system:serviceaccount:hello:web",
        generation: 1,
        provisioned: true,
      },
    ],
    suspendedPrincipals: [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}

const facts = {
  snapshotReceipt: (report: Report) => {
    reports.push(report);
    return Promise.resolve();
  },
};

const trail = new RememberingTrail();
const surface = new SurfaceFacts();
const parts = () => ({
  clusterId: "tenant-1",
  cluster: tenant.cluster,
  store,
  facts,
  trail,
  surface,
  clock: systemClock,
  log: silentLog,
});

async function activate(next: SnapshotContent): Promise<void> {
  sequence++;
  const signed = signedSnapshot(next, key, { sequence, issuedAtMs: systemClock.now() });
  await store.activate(await store.prepare(signed.envelope, () => Promise.resolve(signed.content)));
  await acknowledge(parts());
}

function start(): void {
  stop = new AbortController();
  loop = startTenantRbac({ ...parts(), materialise: true, random: systemRandom, signal: stop.signal });
}

async function ours(): Promise<readonly string[]> {
  const objects: KubeObject[] = [];
  for (const type of [ClusterRole, ClusterRoleBinding, RoleBinding] as readonly ResourceType<KubeObject>[])
    objects.push(...(await tenant.cluster.list(type)).items);
  return objects
    .filter(isMaterialised)
    .map((object) => materialisedKey(object).replace(/:[0-9a-f]{8}$/, ""))
    .sort();
}

const receipt = () =>
  tenant.cluster.get(PermissionSnapshotReceipt, { namespace: "ont-system", name: "receipt-tenant-1" });
const ROLE = "ClusterRole seam:seam-tenant-tenant-1:web";

beforeAll(async () => {
  tenant = await openTenantCluster({ nodes: false });
  for (const name of ["hello", "other"])
    await tenant.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  directory = await mkdtemp(join(tmpdir(), "tenant-rbac-"));
  store = await openSnapshotStore({
    directory,
    cluster: "tenant-1",
    keys: key.ring,
    clock: systemClock,
    log: silentLog,
    signal: tenant.signal,
  });
  start();
});

afterAll(async () => {
  stop.abort();
  await loop.closed;
  await tenant.close();
  await store.closed;
  await rm(directory, { recursive: true });
});

describe("RBAC of a tenant", () => {
  it("W22: roles and bindings come from the verified snapshot, and go when the grant goes", async () => {
    await activate(content(["get"], { scope: "namespaced", namespaces: ["hello"] }, { scope: "cluster" }));
    await expect
      .poll(ours, PATIENT)
      .toEqual([
        ROLE,
        "ClusterRoleBinding seam:seam-tenant-tenant-1:web",
        "RoleBinding hello/seam:seam-tenant-tenant-1:web",
      ]);
    await activate(content(["get"], { scope: "namespaced", namespaces: ["hello"] }));
    await expect.poll(ours, PATIENT).toEqual([ROLE, "RoleBinding hello/seam:seam-tenant-tenant-1:web"]);
    await expect
      .poll(async () => (await receipt()).status, PATIENT)
      .toMatchObject({
        localProvisioningStatus: "2 roles and bindings stand",
        excess: [],
        missing: [],
        syncStatus: "InSync",
      });
    await expect.poll(async () => (await receipt()).status?.localArtifacts, PATIENT).toHaveLength(2);
    const { status } = await receipt();
    expect(status?.conditions).toMatchObject([{ type: "Compliant", status: "True", reason: "DriftAbsent" }]);
    expect(status?.surfaceHash).toMatch(/^sha256:[0-9a-f]{64}$/);
    const [binding] = (await tenant.cluster.list(RoleBinding, { namespace: "hello" })).items;
    expect(binding?.metadata.managedFields?.map(({ manager, operation }) => [manager, operation])).toEqual([
      ["guardian-rbac", "Apply"],
    ]);
  });

  it("puts back what somebody deleted or widened, and follows namespaces", async () => {
    const role = (await tenant.cluster.list(ClusterRole)).items.find(isMaterialised);
    if (role === undefined) throw new Error("no role");
    await tenant.cluster.delete(ClusterRole, { name: role.metadata.name });
    await expect.poll(ours, PATIENT).toContain(ROLE);
    await tenant.cluster.patch(
      ClusterRole,
      { name: role.metadata.name },
      { type: "merge", body: { rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }] } },
    );
    await expect
      .poll(async () => (await tenant.cluster.get(ClusterRole, { name: role.metadata.name })).rules, PATIENT)
      .toEqual([{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]);
    await activate(content(["get"], { scope: "namespaced" }));
    await expect.poll(ours, PATIENT).toContain("RoleBinding other/seam:seam-tenant-tenant-1:web");
    await tenant.cluster.create(Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: "later" } });
    await expect.poll(ours, PATIENT).toContain("RoleBinding later/seam:seam-tenant-tenant-1:web");
  });

  it("invariant 10: reports what others bind beyond the snapshot, in receipt and report, and touches none of it", async () => {
    await tenant.cluster.create(Role, {
      apiVersion: `${RBAC}/v1`,
      kind: "Role",
      metadata: { name: "secrets", namespace: "hello", annotations: { "ontai.dev/rbac-owner": "guardian" } },
      rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }],
    });
    await tenant.cluster.create(RoleBinding, {
      apiVersion: `${RBAC}/v1`,
      kind: "RoleBinding",
      metadata: { name: "secrets", namespace: "hello", annotations: { "ontai.dev/rbac-owner": "guardian" } },
      roleRef: { apiGroup: RBAC, kind: "Role", name: "secrets" },
      subjects: [{ kind: "ServiceAccount", namespace: "hello", name: "web" }],
    });
    const excess = {
      subject: "ServiceAccount hello/web",
      where: "in hello",
      rule: 'get secrets in ""',
      binding: "RoleBinding hello/secrets",
    };
    await expect.poll(async () => (await receipt()).status?.excess, PATIENT).toEqual([excess]);
    expect((await receipt()).status?.conditions).toMatchObject([
      {
        type: "Compliant",
        status: "False",
        reason: "DriftDetected",
        message: "1 rights beyond the snapshot, 0 missing",
      },
    ]);
    await expect
      .poll(() => reports.at(-1), PATIENT)
      .toMatchObject({ excessTotal: 1, missingTotal: 0, excess: [excess] });
    await tenant.cluster.delete(RoleBinding, { namespace: "hello", name: "secrets" });
    await expect.poll(async () => (await receipt()).status?.excess, PATIENT).toEqual([]);
    await expect.poll(() => reports.at(-1)?.excessTotal, PATIENT).toBe(0);
    expect((await tenant.cluster.get(Role, { namespace: "hello", name: "secrets" })).rules).toHaveLength(1);
  });

  it("leaves a foreign object of a wanted name alone and says so", async () => {
    const role = (await tenant.cluster.list(ClusterRole)).items.find(isMaterialised);
    const name = role?.metadata.name ?? "";
    await activate(content(["get"]));
    await expect.poll(ours, PATIENT).toEqual([]);
    await tenant.cluster.create(ClusterRole, {
      apiVersion: `${RBAC}/v1`,
      kind: "ClusterRole",
      metadata: { name },
      rules: [],
    });
    await activate(content(["get"], { scope: "namespaced" }));
    await expect
      .poll(async () => (await receipt()).status?.localProvisioningStatus, PATIENT)
      .toContain(`ClusterRole ${name} belongs to somebody else and is left alone`);
    expect((await tenant.cluster.get(ClusterRole, { name })).rules).toEqual([]);
    await tenant.cluster.delete(ClusterRole, { name });
    await expect.poll(ours, PATIENT).toContain(ROLE);
  });

  it("takes a time-bound grant away when it ends, with nobody asking", async () => {
    await activate(content(["get"], { expiresAt: new Date(systemClock.now() + 2_000).toISOString() }));
    await expect.poll(ours, PATIENT).toContain("ClusterRoleBinding seam:seam-tenant-tenant-1:web");
    await expect.poll(ours, PATIENT).toEqual([]);
  });

  it("goes on after a restart where it was, and takes everything away when the snapshot is revoked", async () => {
    await activate(content(["get"], { scope: "cluster" }));
    await expect.poll(ours, PATIENT).toHaveLength(2);
    stop.abort();
    await loop.closed;
    await tenant.cluster.delete(ClusterRoleBinding, {
      name: (await tenant.cluster.list(ClusterRoleBinding)).items.find(isMaterialised)?.metadata.name ?? "",
    });
    start();
    await expect.poll(ours, PATIENT).toHaveLength(2);
    await store.revokeBelow(sequence + 1);
    await expect.poll(ours, PATIENT).toEqual([]);
  });
});
