import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testKey } from "../../../test/oracle/signed-snapshots.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../test/support/management-cluster.ts";
import { ClusterRole, ClusterRoleBinding, RoleBinding, ServiceAccount } from "../../api/builtin.ts";
import { findCondition } from "../../api/conditions.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile, type RBACProfileSpec } from "../../api/kinds/rbac-profile.ts";
import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { isMaterialised, materialisedKey } from "../../permissions/materialise/materialised.ts";
import { type SnapshotSigning, startSnapshotSigning } from "../snapshots/start-snapshot-signing.ts";

const PATIENT = { timeout: 20_000, interval: 20 };
const API = "guardian.ontai.dev/v1alpha1" as const;
const seam = (name: string) => ({ namespace: "seam-system", name });
const key = testKey();
const stop = new AbortController();
let management: TestManagementCluster;
let signing: SnapshotSigning;

async function ours(): Promise<readonly string[]> {
  const objects: KubeObject[] = [];
  for (const type of [ClusterRole, ClusterRoleBinding, RoleBinding] as readonly ResourceType<KubeObject>[])
    objects.push(...(await management.cluster.list(type)).items);
  return objects
    .filter(isMaterialised)
    .map((object) => materialisedKey(object).replace(/:[0-9a-f]{8}$/, ""))
    .sort();
}

async function set(name: string, verbs: readonly string[]): Promise<void> {
  await management.cluster.create(PermissionSet, {
    apiVersion: API,
    kind: "PermissionSet",
    metadata: seam(name),
    spec: { permissions: [{ apiGroups: [""], resources: ["pods"], verbs }] },
  });
}

async function profile(name: string, spec: Partial<RBACProfileSpec> = {}): Promise<void> {
  await management.cluster.create(RBACProfile, {
    apiVersion: API,
    kind: "RBACProfile",
    metadata: seam(name),
    spec: {
      principalRef: `system:serviceaccount:seam-system:${name}`,
      targetClusters: ["management"],
      rbacPolicyRef: "management-policy",
      permissionDeclarations: [{ permissionSetRef: "claims", scope: "cluster" }],
      ...spec,
    },
  });
}

async function provisioned(name: string) {
  const { status } = await management.cluster.get(RBACProfile, seam(name));
  const condition = findCondition(status?.conditions, "Provisioned");
  return [status?.provisioned, condition?.reason, condition?.message];
}

beforeAll(async () => {
  management = await openManagementCluster();
  await set("management-maximum", ["get", "list"]);
  await set("claims", ["get", "delete"]);
  await management.cluster.create(RBACPolicy, {
    apiVersion: API,
    kind: "RBACPolicy",
    metadata: seam("management-policy"),
    spec: { subjectScope: "platform", maximumPermissionSetRef: "management-maximum", enforcementMode: "audit" },
  });
  signing = await startSnapshotSigning({
    cluster: management.cluster,
    signer: key.signer,
    keys: key.ring,
    managementCluster: "management-1",
    clock: systemClock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
  });
  await signing.ready;
});

afterAll(async () => {
  stop.abort();
  await signing.closed;
  await management.close();
});

describe("RBAC of the management cluster", () => {
  it("W7: materialises effective rules, never declared ones, with the account", async () => {
    await profile("dispatcher");
    await expect
      .poll(ours, PATIENT)
      .toEqual(["ClusterRole seam:seam-system:dispatcher", "ClusterRoleBinding seam:seam-system:dispatcher"]);
    const role = (await management.cluster.list(ClusterRole)).items.find(isMaterialised);
    expect(role?.rules).toEqual([{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]);
    const account = await management.cluster.get(ServiceAccount, seam("dispatcher"));
    expect(account.metadata.annotations?.["ontai.dev/rbac-owner"]).toBe("guardian");
    await expect
      .poll(() => provisioned("dispatcher"), PATIENT)
      .toEqual([true, "ProvisioningComplete", "every check passed"]);
  });

  it("a suspended profile keeps its account and loses its rights; a deleted one loses both", async () => {
    const { uid } = (await management.cluster.get(ServiceAccount, seam("dispatcher"))).metadata;
    const suspend = (value: boolean) =>
      management.cluster.patch(RBACProfile, seam("dispatcher"), { type: "merge", body: { spec: { suspend: value } } });
    await suspend(true);
    await expect.poll(ours, PATIENT).toEqual([]);
    await suspend(false);
    await expect.poll(ours, PATIENT).toHaveLength(2);
    expect((await management.cluster.get(ServiceAccount, seam("dispatcher"))).metadata.uid).toBe(uid);
    await management.cluster.delete(RBACProfile, seam("dispatcher"));
    await expect.poll(ours, PATIENT).toEqual([]);
    await expect
      .poll(
        async () =>
          (await management.cluster.list(ServiceAccount, { namespace: "seam-system" })).items.map(
            ({ metadata }) => metadata.name,
          ),
        PATIENT,
      )
      .not.toContain("dispatcher");
  });

  it("an account that was there stays when the profile goes", async () => {
    await management.cluster.create(ServiceAccount, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: seam("platform"),
    });
    await profile("platform");
    await expect.poll(ours, PATIENT).toHaveLength(2);
    await management.cluster.delete(RBACProfile, seam("platform"));
    await expect.poll(ours, PATIENT).toEqual([]);
    expect((await management.cluster.get(ServiceAccount, seam("platform"))).metadata.labels).toBeUndefined();
  });

  it("regresses a profile whose RBAC cannot stand, says why, and heals by itself", async () => {
    await profile("conductor", { principalRef: "system:serviceaccount:ont-system:conductor" });
    await expect.poll(ours, PATIENT).toHaveLength(2);
    const role = (await management.cluster.list(ClusterRole)).items.find(isMaterialised);
    const name = role?.metadata.name ?? "";
    await management.cluster.patch(
      ClusterRole,
      { name },
      { type: "merge", body: { metadata: { labels: { "ontai.dev/managed-by": "me" } } } },
    );
    await expect
      .poll(() => provisioned("conductor"), PATIENT)
      .toEqual([
        false,
        "RBACMaterializationFailed",
        `RBACMaterialized: RBACProfile seam-system/conductor: spec: its roles and bindings on the management cluster, found: ClusterRole ${name} belongs to somebody else and is left alone; rename or delete it; it is tried again every 30 s`,
      ]);
    await management.cluster.delete(ClusterRole, { name });
    await expect
      .poll(() => provisioned("conductor"), PATIENT)
      .toEqual([true, "ProvisioningComplete", "every check passed"]);
    await expect.poll(ours, PATIENT).toHaveLength(2);
  });
});
