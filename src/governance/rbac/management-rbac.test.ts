import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type PermissionPlane,
  PLANE_PATIENCE,
  inSeam,
  openPermissionPlane,
} from "../../../test/support/permission-plane.ts";
import { ClusterRole, ClusterRoleBinding, RoleBinding, ServiceAccount } from "../../api/builtin.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile, type RBACProfileSpec } from "../../api/kinds/rbac-profile.ts";
import type { KubeObject } from "../../api/object.ts";
import type { ResourceType } from "../../api/resource-type.ts";
import { isMaterialised, materialisedKey } from "../../permissions/materialise/materialised.ts";

let plane: PermissionPlane;

async function ours(): Promise<readonly string[]> {
  const objects: KubeObject[] = [];
  for (const type of [ClusterRole, ClusterRoleBinding, RoleBinding] as readonly ResourceType<KubeObject>[])
    objects.push(...(await plane.cluster.list(type)).items);
  return objects
    .filter(isMaterialised)
    .map((object) => materialisedKey(object).replace(/:[0-9a-f]{8}$/, ""))
    .sort();
}

const profile = (name: string, spec: Partial<RBACProfileSpec> = {}): Promise<void> =>
  plane.profile(name, {
    principalRef: `system:serviceaccount:seam-system:${name}`,
    targetClusters: ["management"],
    rbacPolicyRef: "management-policy",
    permissionDeclarations: [{ permissionSetRef: "claims", scope: "cluster" }],
    ...spec,
  });

beforeAll(async () => {
  plane = await openPermissionPlane({
    before: async ({ cluster, permissionSet }) => {
      await permissionSet("management-maximum", ["get", "list"]);
      await permissionSet("claims", ["get", "delete"]);
      await cluster.create(RBACPolicy, {
        apiVersion: "guardian.ontai.dev/v1alpha1",
        kind: "RBACPolicy",
        metadata: inSeam("management-policy"),
        spec: { subjectScope: "platform", maximumPermissionSetRef: "management-maximum", enforcementMode: "audit" },
      });
    },
  });
});

afterAll(() => plane.close());

describe("RBAC of the management cluster", () => {
  it("W7: materialises effective rules, never declared ones, with the account", async () => {
    await profile("dispatcher");
    await expect
      .poll(ours, PLANE_PATIENCE)
      .toEqual(["ClusterRole seam:seam-system:dispatcher", "ClusterRoleBinding seam:seam-system:dispatcher"]);
    const role = (await plane.cluster.list(ClusterRole)).items.find(isMaterialised);
    expect(role?.rules).toEqual([{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]);
    const account = await plane.cluster.get(ServiceAccount, inSeam("dispatcher"));
    expect(account.metadata.annotations?.["ontai.dev/rbac-owner"]).toBe("guardian");
    await expect
      .poll(() => plane.provisioned("dispatcher"), PLANE_PATIENCE)
      .toEqual([true, "ProvisioningComplete", "every check passed"]);
  });

  it("a suspended profile keeps its account and loses its rights; a deleted one loses both", async () => {
    const { uid } = (await plane.cluster.get(ServiceAccount, inSeam("dispatcher"))).metadata;
    const suspend = (value: boolean) =>
      plane.cluster.patch(RBACProfile, inSeam("dispatcher"), { type: "merge", body: { spec: { suspend: value } } });
    await suspend(true);
    await expect.poll(ours, PLANE_PATIENCE).toEqual([]);
    await suspend(false);
    await expect.poll(ours, PLANE_PATIENCE).toHaveLength(2);
    expect((await plane.cluster.get(ServiceAccount, inSeam("dispatcher"))).metadata.uid).toBe(uid);
    await plane.cluster.delete(RBACProfile, inSeam("dispatcher"));
    await expect.poll(ours, PLANE_PATIENCE).toEqual([]);
    await expect
      .poll(
        async () =>
          (await plane.cluster.list(ServiceAccount, { namespace: "seam-system" })).items.map(
            ({ metadata }) => metadata.name,
          ),
        PLANE_PATIENCE,
      )
      .not.toContain("dispatcher");
  });

  it("an account that was there stays when the profile goes", async () => {
    await plane.cluster.create(ServiceAccount, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: inSeam("platform"),
    });
    await profile("platform");
    await expect.poll(ours, PLANE_PATIENCE).toHaveLength(2);
    await plane.cluster.delete(RBACProfile, inSeam("platform"));
    await expect.poll(ours, PLANE_PATIENCE).toEqual([]);
    expect((await plane.cluster.get(ServiceAccount, inSeam("platform"))).metadata.labels).toBeUndefined();
  });

  it("regresses a profile whose RBAC cannot stand, says why, and heals by itself", async () => {
    await profile("conductor", { principalRef: "system:serviceaccount:ont-system:conductor" });
    await expect.poll(ours, PLANE_PATIENCE).toHaveLength(2);
    const role = (await plane.cluster.list(ClusterRole)).items.find(isMaterialised);
    const name = role?.metadata.name ?? "";
    await plane.cluster.patch(
      ClusterRole,
      { name },
      { type: "merge", body: { metadata: { labels: { "ontai.dev/managed-by": "me" } } } },
    );
    await expect
      .poll(() => plane.provisioned("conductor"), PLANE_PATIENCE)
      .toEqual([
        false,
        "RBACMaterializationFailed",
        `RBACMaterialized: RBACProfile seam-system/conductor: spec: its roles and bindings on the management cluster, found: ClusterRole ${name} belongs to somebody else and is left alone; rename or delete it; it is tried again every 30 s`,
      ]);
    await plane.cluster.delete(ClusterRole, { name });
    await expect
      .poll(() => plane.provisioned("conductor"), PLANE_PATIENCE)
      .toEqual([true, "ProvisioningComplete", "every check passed"]);
    await expect.poll(ours, PLANE_PATIENCE).toHaveLength(2);
  });
});
