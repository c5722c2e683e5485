import { describe, expect, it } from "vitest";
import { randomWorld, WORLD_NOW_MS } from "../../../test/oracle/permission-worlds.ts";
import type {
  ClusterRoleBindingObject,
  ClusterRoleObject,
  RbacSubject,
  RoleBindingObject,
  RoleObject,
} from "../../api/builtin.ts";
import { SeededRandom } from "../../base/random.ts";
import { ANNOTATIONS, LABELS } from "../../api/names.ts";
import { planRbac } from "../materialise/plan-rbac.ts";
import { beyond } from "../reach/compare-reach.ts";
import { type PlacedRules, reachOf } from "../reach/reach.ts";
import { ruleOf } from "../rules/rule.ts";
import { subjectOfPrincipal } from "../rules/principal.ts";
import { subjectSortKey } from "../snapshot/content.ts";
import { rbacSurface, type RbacObjects } from "../surface/rbac-surface.ts";
import { validatePermissionSet } from "../validation/validate-permission-set.ts";
import { importRbac } from "./import-rbac.ts";

const RBAC = "rbac.authorization.k8s.io";
const role = (namespace: string, name: string, ...rules: NonNullable<RoleObject["rules"]>): RoleObject => ({
  apiVersion: `${RBAC}/v1`,
  kind: "Role",
  metadata: { namespace, name },
  rules,
});
const clusterRole = (name: string, ...rules: NonNullable<RoleObject["rules"]>): ClusterRoleObject => ({
  apiVersion: `${RBAC}/v1`,
  kind: "ClusterRole",
  metadata: { name },
  rules,
});
const roleBinding = (
  namespace: string,
  name: string,
  kind: "Role" | "ClusterRole",
  ref: string,
  ...subjects: RbacSubject[]
): RoleBindingObject => ({
  apiVersion: `${RBAC}/v1`,
  kind: "RoleBinding",
  metadata: { namespace, name },
  roleRef: { apiGroup: RBAC, kind, name: ref },
  subjects,
});
const clusterBinding = (name: string, ref: string, ...subjects: RbacSubject[]): ClusterRoleBindingObject => ({
  apiVersion: `${RBAC}/v1`,
  kind: "ClusterRoleBinding",
  metadata: { name },
  roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: ref },
  subjects,
});
const PODS = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
const account = (namespace: string, name: string): RbacSubject => ({ kind: "ServiceAccount", namespace, name });
const run = (objects: Partial<RbacObjects>) =>
  importRbac("c1", { roles: [], clusterRoles: [], roleBindings: [], clusterRoleBindings: [], ...objects });

describe("importRbac", () => {
  it("makes a set per role and a profile per principal, in the tenant's namespace, under its policy", () => {
    const { sets, profiles, notes } = run({
      roles: [role("web", "reader", PODS)],
      clusterRoles: [clusterRole("view", PODS)],
      roleBindings: [
        roleBinding("web", "a", "Role", "reader", account("web", "web"), { kind: "User", name: "ada@example.net" }),
        roleBinding("web", "b", "ClusterRole", "view", account("web", "web")),
        roleBinding("shop", "b", "ClusterRole", "view", account("web", "web")),
      ],
    });
    expect(sets.map(({ metadata }) => metadata)).toEqual(
      ["view", "web.reader"].map((name) => ({
        name,
        namespace: "seam-tenant-c1",
        labels: { "ontai.dev/policy-type": "component", "ontai.dev/managed-by": "rbac-import" },
      })),
    );
    expect(sets[1]?.spec).toEqual({ description: "Imported from Role web/reader of c1.", permissions: [PODS] });
    expect(profiles.map(({ metadata }) => metadata.name)).toEqual([
      expect.stringMatching(/^ada-example-net-[0-9a-f]{8}$/),
      "web.web",
    ]);
    expect(profiles[1]?.spec).toEqual({
      principalRef: "system:serviceaccount:web:web",
      targetClusters: ["c1"],
      rbacPolicyRef: "cluster-policy",
      permissionDeclarations: [
        { permissionSetRef: "view", scope: "namespaced", namespaces: ["shop", "web"] },
        { permissionSetRef: "web.reader", scope: "namespaced", namespaces: ["web"] },
      ],
    });
    expect(notes).toEqual([]);
  });

  it("reports what cannot be expressed, why, and what to do", () => {
    const gathered = { ...clusterRole("gathered", PODS), aggregationRule: { clusterRoleSelectors: [] } };
    const { sets, notes, profiles } = run({
      roles: [
        role(
          "web",
          "odd",
          { apiGroups: [], resources: ["pods"], verbs: ["get"] },
          { nonResourceURLs: ["/x"], verbs: ["get"] },
        ),
        role("web", "broken", { apiGroups: [""], resources: ["po ds"], verbs: ["get"] }, PODS),
      ],
      clusterRoles: [gathered],
      roleBindings: [
        roleBinding("web", "odd", "Role", "odd", account("web", "web")),
        roleBinding("web", "broken", "Role", "broken", account("web", "web")),
        roleBinding("web", "gone", "Role", "gone", account("web", "web")),
      ],
      clusterRoleBindings: [
        clusterBinding("team", "gathered", { kind: "Group", name: "team" }, { kind: "Group", name: "system:masters" }),
        clusterBinding(
          "accounts",
          "gathered",
          account("kube-system", "x"),
          { kind: "ServiceAccount", name: "lost" },
          account("web", "web"),
        ),
      ],
    });
    expect(notes.map(({ effect, reason, object }) => `${effect} ${reason} ${object}`)).toEqual([
      "changed AggregatedRole ClusterRole gathered",
      "ignored InertRule Role web/odd",
      "ignored InertRule Role web/odd",
      "ignored NamespacelessAccount ClusterRoleBinding accounts",
      "ignored NothingGranted RoleBinding web/odd",
      "ignored RoleMissing RoleBinding web/gone",
      "ignored SystemSubject ClusterRoleBinding accounts",
      "ignored SystemSubject ClusterRoleBinding team",
      "lost GroupSubject ClusterRoleBinding team",
      "lost RuleInvalid Role web/broken",
    ]);
    expect(notes.find(({ reason }) => reason === "GroupSubject")).toEqual({
      reason: "GroupSubject",
      effect: "lost",
      object: "ClusterRoleBinding team",
      detail: "Group team: a profile's principal is one identity, never a group",
      remedy:
        "grant a principal and bind the group to it with an IdentityBinding (oidcConfig.groups or certificateConfig.matchOrganization)",
    });
    expect(notes.find(({ reason }) => reason === "RuleInvalid")?.detail).toContain(
      "rules[0].resources[0]: entries hold no white space",
    );
    // The rule beside the broken one is taken over all the same.
    expect(sets.map(({ metadata }) => metadata.name)).toEqual(["gathered", "web.broken"]);
    expect(profiles).toHaveLength(1);
  });

  it("grants exactly what the bindings of accounts and users do, never more, whatever the RBAC", () => {
    let checked = 0;
    for (let seed = 0; seed < 60; seed++) {
      const world = randomWorld(new SeededRandom(seed));
      const { objects } = planRbac(world, WORLD_NOW_MS, ["default", "other"]);
      const foreign = objects.map((object) =>
        Object.assign({}, object, { metadata: { ...object.metadata, labels: {} } }),
      );
      const of = (kind: string) => foreign.filter((object) => object.kind === kind);
      const rbac = {
        roles: [],
        clusterRoles: of("ClusterRole"),
        roleBindings: of("RoleBinding") as readonly RoleBindingObject[],
        clusterRoleBindings: of("ClusterRoleBinding") as readonly ClusterRoleBindingObject[],
      };
      const { sets, profiles, notes } = importRbac("c1", rbac);
      expect(sets.filter((set) => !validatePermissionSet(set).ok)).toEqual([]);
      const rulesOf = new Map(sets.map(({ metadata, spec }) => [metadata.name, spec.permissions.map(ruleOf)]));
      const surface = rbacSurface(rbac);
      const lossless = notes.every(({ reason }) => reason !== "RuleInvalid");
      for (const { spec } of profiles) {
        const key = subjectSortKey(subjectOfPrincipal(spec.principalRef));
        // A user of an account's name is the account, for Kubernetes and for a profile.
        const asUser = subjectSortKey({ kind: "User", namespace: "", name: spec.principalRef });
        const was = reachOf([...(surface.get(key) ?? []), ...(asUser === key ? [] : (surface.get(asUser) ?? []))]);
        const grants = spec.permissionDeclarations.map(({ permissionSetRef, scope, namespaces = [] }): PlacedRules => ({
          scope,
          namespaces,
          rules: rulesOf.get(permissionSetRef) ?? [],
        }));
        expect(beyond(was, reachOf(grants))).toEqual([]);
        expect(lossless ? beyond(reachOf(grants), was) : []).toEqual([]);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(100);
  });

  it("is deterministic, and takes over nothing that the plane materialised itself", () => {
    const objects = {
      clusterRoles: [clusterRole("view", PODS), clusterRole("edit", PODS)],
      clusterRoleBindings: [
        clusterBinding("b", "view", account("a", "a"), account("b", "b")),
        clusterBinding("a", "edit", account("b", "b")),
      ],
    };
    const shuffled = {
      clusterRoles: objects.clusterRoles.toReversed(),
      clusterRoleBindings: objects.clusterRoleBindings.toReversed(),
    };
    expect(JSON.stringify(run(shuffled))).toBe(JSON.stringify(run(objects)));
    const ours = clusterBinding("seam:x:y:00000000", "view", account("a", "a"));
    const marked = {
      ...ours,
      metadata: {
        ...ours.metadata,
        labels: { [LABELS.rbacManagedBy]: "guardian" },
        annotations: { [ANNOTATIONS.rbacOwner]: "guardian" },
      },
    };
    expect(run({ ...objects, clusterRoleBindings: [marked] }).profiles).toEqual([]);
  });

  it("no two roles share a name, and none takes the name of a ceiling", () => {
    const names = run({
      roles: [role("a", "b-c", PODS), role("a-b", "c", PODS)],
      clusterRoles: [clusterRole("a.b-c", PODS), clusterRole("cluster-maximum", PODS), clusterRole("Weird:Name", PODS)],
      roleBindings: [
        roleBinding("a", "x", "Role", "b-c", account("x", "x")),
        roleBinding("a-b", "x", "Role", "c", account("x", "x")),
      ],
      clusterRoleBindings: ["a.b-c", "cluster-maximum", "Weird:Name"].map((name) =>
        clusterBinding(name, name, account("x", "x")),
      ),
    }).sets.map(({ metadata }) => metadata.name);
    expect(names).toEqual([
      expect.stringMatching(/^a-b-c-[0-9a-f]{8}$/),
      "a-b.c",
      "a.b-c",
      expect.stringMatching(/^cluster-maximum-[0-9a-f]{8}$/),
      expect.stringMatching(/^weird-name-[0-9a-f]{8}$/),
    ]);
  });

  it("splits a principal with more bindings than one profile holds", () => {
    const many = Array.from({ length: 250 }, (_, i) => `r${String(i).padStart(3, "0")}`);
    const { profiles } = run({
      clusterRoles: many.map((name) => clusterRole(name, PODS)),
      clusterRoleBindings: many.map((name) => clusterBinding(name, name, account("x", "x"))),
    });
    expect(new Set(profiles.map(({ spec }) => spec.permissionDeclarations.length))).toEqual(new Set([200, 50]));
    expect(new Set(profiles.map(({ metadata }) => metadata.name)).size).toBe(2);
  });
});
