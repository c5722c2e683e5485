import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Secret } from "../../api/builtin.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { TalosCluster } from "../../api/kinds/talos-cluster.ts";
import { signedSnapshotSecretName, tenantNamespace } from "../../api/names.ts";
import {
  type PermissionPlane,
  PLANE_PATIENCE,
  inSeam,
  openPermissionPlane,
} from "../../../test/support/permission-plane.ts";
import { RememberingTrail } from "../../../test/support/remembering-trail.ts";

const home = tenantNamespace("tenant-1");
const trail = new RememberingTrail();
let plane: PermissionPlane;

const web = {
  principalRef: "system:serviceaccount:web:web",
  targetClusters: ["tenant-1"],
  permissionDeclarations: [{ permissionSetRef: "reader", scope: "cluster" as const }],
  rbacPolicyRef: "cluster-policy",
};

/** Resolves with the records of an action on an object once there are so many. */
async function records(action: Parameters<RememberingTrail["of"]>[0], name: string, count: number) {
  const found = () => trail.of(action).filter(({ resource }) => resource.endsWith(`/${name}`));
  await expect.poll(() => found().length, PLANE_PATIENCE).toBe(count);
  return found();
}

beforeAll(async () => {
  plane = await openPermissionPlane({ tenants: ["tenant-1"], trail });
  await plane.permissionSet("management-maximum", ["get", "list"]);
  await plane.permissionSet("reader", ["get", "delete"], home);
});

afterAll(() => plane.close());

describe("audit of the management side", () => {
  it("hears of a ceiling's first rules, of policies that are valid and of what they refuse", async () => {
    const [ceiling] = await records("ceiling.changed", "management-maximum", 1);
    expect(ceiling).toMatchObject({
      kind: "PermissionSet",
      namespace: "seam-system",
      details: { rules: 1, before: "" },
    });
    const [valid] = await records("rbacpolicy.validated", "cluster-policy", 1);
    expect(valid).toMatchObject({ decision: "admit", code: "ValidationPassed", namespace: home });
    await plane.cluster.create(RBACPolicy, {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "RBACPolicy",
      metadata: inSeam("broken"),
      spec: { subjectScope: "platform", maximumPermissionSetRef: "nowhere", enforcementMode: "strict" },
    });
    const [refused] = await records("rbacpolicy.validation_failed", "broken", 1);
    expect(refused).toMatchObject({ decision: "deny", code: "PermissionSetNotFound" });
  });

  it("hears of provisioning, of what a ceiling took, of regression and of removal, each once", async () => {
    await plane.profile("web", web, home);
    const [provisioned] = await records("rbacprofile.provisioned", "web", 1);
    expect(provisioned).toMatchObject({
      decision: "admit",
      subject: "system:serviceaccount:web:web",
      matchedPolicy: `${home}/cluster-policy`,
      details: { generation: 1 },
    });
    const [trimmed] = await records("ceiling.trimmed", "web", 1);
    expect(trimmed).toMatchObject({ decision: "audit", details: { message: expect.stringContaining("delete pods") } });

    await plane.cluster.delete(PermissionSet, { namespace: home, name: "reader" });
    const [regressed] = await records("rbacprofile.deprovisioned", "web", 1);
    expect(regressed).toMatchObject({ decision: "deny", code: "PermissionSetMissing" });
    await plane.permissionSet("reader", ["get"], home);
    await records("rbacprofile.provisioned", "web", 2);
    await plane.cluster.delete(RBACProfile, { namespace: home, name: "web" });
    expect(await records("rbacprofile.deprovisioned", "web", 2)).toMatchObject([{}, { code: "Deleted" }]);
  });

  it("hears of each version that is computed and signed, and of no renewal", async () => {
    const computed = trail.of("permissionsnapshot.computed").map(({ snapshotVersion }) => snapshotVersion);
    const signed = trail.of("snapshot.signed").map(({ snapshotVersion }) => snapshotVersion);
    expect(computed.length).toBeGreaterThan(2);
    expect(new Set(computed).size).toBe(computed.length);
    await expect.poll(() => trail.of("snapshot.signed").length, PLANE_PATIENCE).toBe(computed.length);
    expect(signed.every((version) => computed.includes(version))).toBe(true);
    expect(trail.of("epg.computation_complete")[0]?.details).toMatchObject({ clusters: 1, recomputed: 1 });
  });

  it("hears of a forged signature, which is replaced", async () => {
    const key = { namespace: home, name: signedSnapshotSecretName("tenant-1") };
    const { data } = await plane.cluster.get(Secret, key);
    const envelope = Buffer.from(data?.["envelope"] ?? "", "base64")
      .toString()
      .replace(/"sig":"...../, '"sig":"AAAAA');
    await plane.cluster.patch(Secret, key, {
      type: "merge",
      body: { data: { envelope: Buffer.from(envelope).toString("base64") } },
    });
    const [forged] = await records("signature.forged", key.name, 1);
    expect(forged).toMatchObject({ decision: "deny", kind: "Secret", subject: "cluster:tenant-1" });
  });

  it("tells nothing again after a restart, which finds every status as it stands", async () => {
    await plane.profile("late", { ...web, principalRef: "system:serviceaccount:late:late" }, home);
    await records("rbacprofile.provisioned", "late", 1);
    await expect.poll(async () => (await plane.provisioned("late", home))[0], PLANE_PATIENCE).toBe(true);
    /** What was told of sets, policies and profiles that are older than the restart. */
    const told = () =>
      trail.records
        .filter(({ kind = "", resource }) => /^(PermissionSet|RBAC)/.test(kind) && !resource.endsWith("/later"))
        .map(({ action, resource }) => `${action} ${resource}`);
    const before = told();
    await plane.restart();
    await plane.profile("later", { ...web, principalRef: "system:serviceaccount:later:later" }, home);
    await records("rbacprofile.provisioned", "later", 1);
    expect(told()).toEqual(before);
  });

  it("hears that a cluster which is no longer governed has its snapshot withdrawn", async () => {
    await plane.cluster.delete(TalosCluster, { namespace: home, name: "tenant-1" });
    const [withdrawn] = await records("permissionsnapshot.withdrawn", "snapshot-tenant-1", 1);
    expect(withdrawn).toMatchObject({
      subject: "cluster:tenant-1",
      snapshotVersion: expect.stringMatching(/^e\d+\.s/),
    });
  });
});
