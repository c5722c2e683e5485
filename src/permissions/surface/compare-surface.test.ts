import { describe, expect, it } from "vitest";
import { WORLD_NOW_MS, randomWorld, ruleSetOf } from "../../../test/oracle/permission-worlds.ts";
import type { RbacSubject, RoleRef } from "../../api/builtin.ts";
import { SeededRandom } from "../../base/random.ts";
import { ruleOf } from "../rules/rule.ts";
import type { SnapshotContent } from "../snapshot/content.ts";
import { MAX_SURFACE_DIFFERENCES, compareSurface, surfaceAgrees } from "./compare-surface.ts";
import { type RbacObjects, rbacSurface } from "./rbac-surface.ts";

const RBAC = "rbac.authorization.k8s.io/v1";
const NAMESPACES = ["hello", "other"];
const WEB: RbacSubject = { kind: "ServiceAccount", namespace: "hello", name: "web" };
const reader = ruleSetOf([ruleOf({ verbs: ["get", "list"], apiGroups: [""], resources: ["pods"] })]);

function snapshot(more: Partial<SnapshotContent> = {}): SnapshotContent {
  const source = { profileNamespace: "n", profileName: "web", declaration: 0, permissionSet: "s", policy: "q" };
  return {
    ...randomWorld(new SeededRandom(1)),
    ruleSets: [reader],
    subjects: [
      {
        kind: "ServiceAccount",
        namespace: "hello",
        name: "web",
        principalRef: "system:serviceaccount:hello:web",
        bindings: [{ ruleSet: reader.id, scope: "namespaced", namespaces: ["hello"], expiresAt: "", source }],
      },
    ],
    profiles: [
      {
        namespace: "n",
        name: "web",
        principalRef: "system:serviceaccount:hello:web",
        generation: 1,
        provisioned: true,
      },
    ],
    suspendedPrincipals: [],
    ...more,
  };
}

const role = (name: string, verbs: readonly string[], resources = ["pods"], namespace = "hello") => ({
  apiVersion: RBAC,
  kind: "Role",
  metadata: { name, namespace },
  rules: [{ verbs, apiGroups: [""], resources }],
});
const bound = (name: string, ref: Partial<RoleRef>, subjects: readonly RbacSubject[], namespace = "hello") => ({
  apiVersion: RBAC,
  kind: "RoleBinding",
  metadata: { name, namespace },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role" as const, name, ...ref },
  subjects,
});
const clusterBound = (name: string, subjects: readonly RbacSubject[], labels = {}) => ({
  apiVersion: RBAC,
  kind: "ClusterRoleBinding",
  metadata: { name, labels },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole" as const, name },
  subjects,
});
const clusterRole = (name: string, verbs: readonly string[], resources = ["pods"]) => ({
  apiVersion: RBAC,
  kind: "ClusterRole",
  metadata: { name },
  rules: [{ verbs, apiGroups: [""], resources }],
});

function compare(objects: Partial<RbacObjects>, content = snapshot(), nowMs = WORLD_NOW_MS) {
  const surface = rbacSurface({ roles: [], clusterRoles: [], roleBindings: [], clusterRoleBindings: [], ...objects });
  return compareSurface(content, { surface, namespaces: NAMESPACES, nowMs });
}

describe("compareSurface", () => {
  it("agrees when the same rights stand in other words", () => {
    const report = compare({
      roles: [role("a", ["get"]), role("b", ["list", "get"])],
      roleBindings: [bound("a", {}, [WEB]), bound("b", {}, [WEB])],
    });
    expect(report).toMatchObject({ excess: [], missing: [], excessTotal: 0, missingTotal: 0 });
    expect(surfaceAgrees(report)).toBe(true);
  });

  it("names excess with subject, place, rule and binding, and what is missing", () => {
    const report = compare({
      clusterRoles: [clusterRole("wide", ["get", "delete"], ["pods", "secrets"])],
      roleBindings: [bound("wide", { kind: "ClusterRole" }, [WEB]), bound("gone", {}, [WEB])],
    });
    const subject = "ServiceAccount hello/web";
    expect(report.excess).toEqual([
      { subject, where: "in hello", rule: 'delete pods,secrets in ""', binding: "RoleBinding hello/wide" },
      { subject, where: "in hello", rule: 'get secrets in ""', binding: "RoleBinding hello/wide" },
    ]);
    expect(report.missing).toEqual([{ subject, where: "in hello", rule: 'list pods in ""', binding: "" }]);
    expect(surfaceAgrees(report)).toBe(false);
  });

  it("a cluster-wide binding of what is granted in one namespace is excess", () => {
    const { excess, missing } = compare({
      clusterRoles: [clusterRole("reader", ["get", "list"])],
      clusterRoleBindings: [clusterBound("reader", [WEB])],
    });
    expect(excess).toMatchObject([{ where: "cluster-wide", rule: 'get,list pods in ""' }]);
    expect(missing).toEqual([]);
  });

  it("sees rights that stay after the grant has gone, was suspended or has ended", () => {
    const objects = { roles: [role("a", ["get", "list"])], roleBindings: [bound("a", {}, [WEB])] };
    const one = snapshot().subjects[0];
    const ended = { ...one, bindings: [{ ...one?.bindings[0], expiresAt: new Date(WORLD_NOW_MS).toISOString() }] };
    for (const content of [
      snapshot({ subjects: [] }),
      snapshot({ suspendedPrincipals: ["system:serviceaccount:hello:web"] }),
      snapshot({ subjects: [ended] as never }),
    ])
      expect(compare(objects, content)).toMatchObject({ excessTotal: 1, missingTotal: 0 });
  });

  it("counts the groups of an account on both sides, and never what the API server binds for itself", () => {
    const group: RbacSubject = { kind: "Group", name: "system:serviceaccounts:hello" };
    const viaGroup = { clusterRoles: [clusterRole("reader", ["get", "list", "watch"])] };
    const { excess, missing } = compare({
      ...viaGroup,
      roleBindings: [bound("reader", { kind: "ClusterRole" }, [group])],
    });
    expect(excess).toMatchObject([{ rule: 'watch pods in ""', binding: "RoleBinding hello/reader" }]);
    expect(missing).toEqual([]);
    const bootstrap = { "kubernetes.io/bootstrapping": "rbac-defaults" };
    expect(compare({ ...viaGroup, clusterRoleBindings: [clusterBound("reader", [group], bootstrap)] })).toMatchObject({
      excessTotal: 0,
      missingTotal: 0,
    });
  });

  it("says nothing about subjects that nobody governs, nor about namespaces that do not exist", () => {
    const stranger: RbacSubject = { kind: "User", name: "stranger" };
    const objects = {
      clusterRoles: [clusterRole("all", ["*"])],
      clusterRoleBindings: [clusterBound("all", [stranger])],
    };
    const elsewhere = snapshot().subjects.map(({ bindings, ...rest }) =>
      Object.assign(rest, {
        bindings: bindings.map((binding) => Object.assign({}, binding, { namespaces: ["absent"] })),
      }),
    );
    expect(surfaceAgrees(compare(objects, snapshot({ subjects: elsewhere })))).toBe(true);
  });

  it("is bounded and counts the rest; the hash follows the surface and not its order", () => {
    const verbs = Array.from({ length: 80 }, (_, i) => `v${String(i).padStart(2, "0")}`);
    const roles = verbs.map((verb, i) => role(verb, [verb], [`r${i}`]));
    const roleBindings = verbs.map((verb) => bound(verb, {}, [WEB]));
    const report = compare({ roles, roleBindings });
    expect(report.excess).toHaveLength(MAX_SURFACE_DIFFERENCES);
    expect(report.excessTotal).toBe(80);
    expect(compare({ roles, roleBindings: roleBindings.toReversed() }).surfaceHash).toBe(report.surfaceHash);
    expect(compare({ roles, roleBindings: roleBindings.slice(1) }).surfaceHash).not.toBe(report.surfaceHash);
  });
});
