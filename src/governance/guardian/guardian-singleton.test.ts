import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type PermissionPlane,
  PLANE_PATIENCE,
  inSeam,
  openPermissionPlane,
} from "../../../test/support/permission-plane.ts";
import { RememberingTrail } from "../../../test/support/remembering-trail.ts";
import { CustomResourceDefinition } from "../../api/builtin.ts";
import { findCondition } from "../../api/conditions.ts";
import { Guardian } from "../../api/kinds/guardian.ts";
import { PermissionSet } from "../../api/kinds/permission-set.ts";
import { RBACProfile } from "../../api/kinds/rbac-profile.ts";
import { RBACPolicy } from "../../api/kinds/rbac-policy.ts";
import { SeamMembership } from "../../api/kinds/seam-membership.ts";
import { approvedGroups, discoveredGroups, uncoveredGroups } from "./api-groups.ts";

const API = "guardian.ontai.dev/v1alpha1" as const;
let plane: PermissionPlane;
const trail = new RememberingTrail();

const crd = (group: string) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `things.${group}` },
  spec: {
    group,
    scope: "Namespaced" as const,
    names: { kind: "Thing", listKind: "ThingList", plural: "things", singular: "thing" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
});

const guardian = () => plane.cluster.get(Guardian, inSeam("guardian"));
const ceiling = async () => (await plane.cluster.get(PermissionSet, inSeam("management-maximum"))).spec.permissions;

beforeAll(async () => {
  plane = await openPermissionPlane({ tenants: ["tenant-1"], trail });
});

afterAll(() => plane.close());

describe("API groups", () => {
  it("are those of neither Kubernetes nor ours, and those that a ceiling lacks", () => {
    const groups = ["cert-manager.io", "apps", "x.k8s.io", "y.x-k8s.io", "seam.ontai.dev", "kueue.example.com"].map(
      crd,
    );
    expect(discoveredGroups(groups)).toEqual(["cert-manager.io", "kueue.example.com"]);
    const pods = { apiGroups: ["cert-manager.io"], resources: ["*"], verbs: ["*"] };
    expect(uncoveredGroups(["cert-manager.io", "kueue.example.com"], [pods])).toEqual(["kueue.example.com"]);
    expect(uncoveredGroups(["a.b"], [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }])).toEqual([]);
    expect([...approvedGroups(" a.b, c.d ,")]).toEqual(["a.b", "c.d"]);
  });
});

describe("Guardian", () => {
  it("exists by itself, counts, and says when the fleet has no ceiling", async () => {
    await expect
      .poll(async () => findCondition((await guardian()).status?.conditions, "FleetCeilingPresent"), PLANE_PATIENCE)
      .toMatchObject({
        status: "False",
        message:
          "PermissionSet seam-system/management-maximum does not exist, so nothing is granted anywhere; create it",
      });
    await plane.cluster.create(PermissionSet, {
      apiVersion: API,
      kind: "PermissionSet",
      metadata: inSeam("management-maximum"),
      spec: { permissions: [{ apiGroups: [""], resources: ["*"], verbs: ["get"] }] },
    });
    await expect
      .poll(async () => (await guardian()).status, PLANE_PATIENCE)
      .toMatchObject({ clusters: 1, profiles: 1, provisionedProfiles: 1, discoveredAPIGroups: [] });
  });

  it("is one, named guardian", async () => {
    await expect(
      plane.cluster.create(Guardian, { apiVersion: API, kind: "Guardian", metadata: inSeam("other"), spec: {} }),
    ).rejects.toThrow("there is one Guardian, named guardian");
  });

  it("W27: no CRD widens the ceiling; a proposal waits for a person's approval, group by group", async () => {
    for (const group of ["cert-manager.io", "evil.example.com"])
      await plane.cluster.create(CustomResourceDefinition, crd(group));
    await expect
      .poll(async () => (await guardian()).status?.discoveredAPIGroups, PLANE_PATIENCE)
      .toEqual(["cert-manager.io", "evil.example.com"]);
    expect(findCondition((await guardian()).status?.conditions, "CeilingExtensionProposed")?.reason).toBe("SweepOff");
    expect(await ceiling()).toHaveLength(1);
    const change = (body: object) =>
      plane.cluster.patch(Guardian, inSeam("guardian"), { type: "merge", body: body as never });
    await change({ spec: { apiGroupSweep: "propose" } });
    await expect
      .poll(async () => (await guardian()).status?.proposedAPIGroups, PLANE_PATIENCE)
      .toEqual(["cert-manager.io", "evil.example.com"]);
    expect(findCondition((await guardian()).status?.conditions, "CeilingExtensionProposed")).toMatchObject({
      status: "True",
      reason: "AwaitingApproval",
      message: expect.stringContaining(
        "management-maximum does not cover cert-manager.io, evil.example.com; approve with",
      ),
    });
    expect(await ceiling()).toHaveLength(1);
    await change({ metadata: { annotations: { "ontai.dev/ceiling-extension-approved": "cert-manager.io" } } });
    await expect.poll(ceiling, PLANE_PATIENCE).toHaveLength(2);
    expect((await ceiling())[1]).toMatchObject({ apiGroups: ["cert-manager.io"], resources: ["*"] });
    await expect
      .poll(async () => (await guardian()).status?.proposedAPIGroups, PLANE_PATIENCE)
      .toEqual(["evil.example.com"]);
  });
});

describe("SeamMembership", () => {
  const principalRef = "system:serviceaccount:seam-system:dispatcher";
  const membership = async () => {
    const { status } = await plane.cluster.get(SeamMembership, inSeam("dispatcher"));
    return [status?.admitted, findCondition(status?.conditions, "Admitted")?.reason];
  };

  it("invariant 15: is admitted by its own provisioned profile, and the admission goes when the profile regresses", async () => {
    await plane.cluster.create(SeamMembership, {
      apiVersion: "seam.ontai.dev/v1alpha1",
      kind: "SeamMembership",
      metadata: inSeam("dispatcher"),
      spec: { appIdentityRef: "dispatcher", domainIdentityRef: "dispatcher.id", principalRef, tier: "infrastructure" },
    });
    await expect.poll(membership, PLANE_PATIENCE).toEqual([false, "PrincipalMismatch"]);
    await plane.cluster.create(RBACProfile, {
      apiVersion: API,
      kind: "RBACProfile",
      metadata: inSeam("rbac-dispatcher"),
      spec: {
        principalRef,
        domainIdentityRef: "other.id",
        targetClusters: ["management"],
        rbacPolicyRef: "management-policy",
        permissionDeclarations: [{ permissionSetRef: "management-maximum", scope: "cluster" }],
      },
    });
    await expect.poll(membership, PLANE_PATIENCE).toEqual([false, "DomainIdentityMismatch"]);
    const profile = (spec: object) =>
      plane.cluster.patch(RBACProfile, inSeam("rbac-dispatcher"), { type: "merge", body: { spec } as never });
    await profile({ domainIdentityRef: "dispatcher.id" });
    await expect.poll(membership, PLANE_PATIENCE).toEqual([false, "RBACProfileNotProvisioned"]);
    await plane.cluster.create(RBACPolicy, {
      apiVersion: API,
      kind: "RBACPolicy",
      metadata: inSeam("management-policy"),
      spec: { subjectScope: "platform", maximumPermissionSetRef: "management-maximum", enforcementMode: "strict" },
    });
    await expect.poll(membership, PLANE_PATIENCE).toEqual([true, "MembershipAdmitted"]);
    const { status } = await plane.cluster.get(SeamMembership, inSeam("dispatcher"));
    expect(status).toMatchObject({ permissionSnapshotRef: "snapshot-management" });
    await profile({ suspend: true });
    await expect.poll(membership, PLANE_PATIENCE).toEqual([false, "RBACProfileNotProvisioned"]);
    const after = await plane.cluster.get(SeamMembership, inSeam("dispatcher"));
    expect(after.status?.admittedAt).toBe(status?.admittedAt);
    expect(findCondition(after.status?.conditions, "Validated")?.message).toBe(
      "SeamMembership seam-system/dispatcher: spec.principalRef: a provisioned RBACProfile, found rbac-dispatcher not provisioned; see condition Provisioned of that profile",
    );
  });

  it("tells the audit log each verdict once, also over a new leader, and that an admitted declaration is gone", async () => {
    const told = () =>
      trail.records
        .filter(({ action }) => action.startsWith("seammembership."))
        .map(({ action, decision, code, matchedPolicy }) => [action, decision, code, matchedPolicy]);
    const before = [
      ["seammembership.refused", "deny", "PrincipalMismatch", undefined],
      ["seammembership.refused", "deny", "DomainIdentityMismatch", undefined],
      ["seammembership.refused", "deny", "RBACProfileNotProvisioned", undefined],
      ["seammembership.admitted", "admit", "MembershipAdmitted", "seam-system/rbac-dispatcher"],
      ["seammembership.withdrawn", "deny", "RBACProfileNotProvisioned", undefined],
    ];
    expect(told()).toEqual(before);
    expect(trail.records.find(({ action }) => action === "seammembership.admitted")).toMatchObject({
      subject: principalRef,
      resource: "seammemberships.seam.ontai.dev/dispatcher",
      namespace: "seam-system",
      details: { generation: 1, domainIdentityRef: "dispatcher.id", tier: "infrastructure" },
    });
    await plane.restart();
    await plane.cluster.patch(RBACProfile, inSeam("rbac-dispatcher"), {
      type: "merge",
      body: { spec: { suspend: false } } as never,
    });
    await expect.poll(membership, PLANE_PATIENCE).toEqual([true, "MembershipAdmitted"]);
    await plane.cluster.delete(SeamMembership, inSeam("dispatcher"));
    await expect
      .poll(() => told().slice(before.length), PLANE_PATIENCE)
      .toEqual([
        ["seammembership.admitted", "admit", "MembershipAdmitted", "seam-system/rbac-dispatcher"],
        ["seammembership.withdrawn", "system", "Deleted", undefined],
      ]);
  });
});
