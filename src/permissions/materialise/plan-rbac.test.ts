import { describe, expect, it } from "vitest";
import { scanDecision } from "../../../test/oracle/permission-scan.ts";
import { WORLD_NOW_MS, randomQuestion, randomWorld, ruleSetOf } from "../../../test/oracle/permission-worlds.ts";
import { SeededRandom } from "../../base/random.ts";
import type { AccessRequest } from "../rules/access-request.ts";
import { ruleAllows } from "../rules/match.ts";
import { parseServiceAccountUser } from "../rules/principal.ts";
import { ruleOf } from "../rules/rule.ts";
import { scopeAdmits } from "../rules/scope.ts";
import { type SnapshotContent, subjectSortKey } from "../snapshot/content.ts";
import { compareSurface, surfaceAgrees } from "../surface/compare-surface.ts";
import { type RbacSurface, rbacSurface } from "../surface/rbac-surface.ts";
import { type MaterialisedObject, isMaterialised, materialisedKey } from "./materialised.ts";
import { planRbac } from "./plan-rbac.ts";
import { rbacChanges } from "./rbac-changes.ts";

const NAMESPACES = ["default", "kube-system", "other"];

function surfaceOf(objects: readonly MaterialisedObject[]): RbacSurface {
  return rbacSurface({
    roles: [],
    clusterRoles: objects.filter(({ kind }) => kind === "ClusterRole"),
    roleBindings: objects.filter(({ kind }) => kind === "RoleBinding") as never,
    clusterRoleBindings: objects.filter(({ kind }) => kind === "ClusterRoleBinding") as never,
  });
}

/** What Kubernetes' RBAC decides over the objects. */
function rbacAllows(surface: RbacSurface, user: string, groups: readonly string[], request: AccessRequest): boolean {
  const account = parseServiceAccountUser(user);
  const keys = [
    subjectSortKey({ kind: "User", namespace: "", name: user }),
    ...(account === undefined ? [] : [subjectSortKey({ kind: "ServiceAccount", ...account })]),
    ...groups.map((name) => subjectSortKey({ kind: "Group", namespace: "", name })),
  ];
  return keys
    .flatMap((key) => surface.get(key) ?? [])
    .some((grant) => scopeAdmits(grant, request) && grant.rules.some((rule) => ruleAllows(rule, request)));
}

const reader = ruleSetOf([ruleOf({ verbs: ["get"], apiGroups: [""], resources: ["pods"] })]);

function content(
  ...bindings: readonly Partial<SnapshotContent["subjects"][number]["bindings"][number]>[]
): SnapshotContent {
  return {
    ...randomWorld(new SeededRandom(1)),
    ruleSets: [reader],
    suspendedPrincipals: [],
    subjects: [
      {
        kind: "ServiceAccount",
        namespace: "web",
        name: "web",
        principalRef: "system:serviceaccount:web:web",
        bindings: bindings.map((binding) =>
          Object.assign(
            {
              ruleSet: reader.id,
              scope: "cluster" as const,
              namespaces: [],
              expiresAt: "",
              source: {
                profileNamespace: "seam-tenant-c1",
                profileName: "web",
                declaration: 0,
                permissionSet: "reader",
                policy: "cluster-policy",
              },
            },
            binding,
          ),
        ),
      },
    ],
  };
}

describe("planRbac", () => {
  it("gives Kubernetes' own RBAC exactly the decisions of the snapshot", () => {
    let allowed = 0;
    const disagreeing: unknown[] = [];
    for (let seed = 0; seed < 150; seed++) {
      const random = new SeededRandom(seed);
      const world = randomWorld(random);
      const { objects } = planRbac(world, WORLD_NOW_MS, NAMESPACES);
      const surface = surfaceOf(objects);
      const wrong: unknown[] = [];
      for (let i = 0; i < 100; i++) {
        const { user, groups, request } = randomQuestion(random);
        // RBAC has no word for a denied principal that is in a group, and no grant in a namespace that does not exist.
        if (world.suspendedPrincipals.includes(user)) continue;
        if (request.form === "resource" && !["", ...NAMESPACES].includes(request.namespace)) continue;
        const wanted = scanDecision(world, user, groups, request, WORLD_NOW_MS) === "allowed";
        if (rbacAllows(surface, user, groups, request) !== wanted) wrong.push({ seed, user, groups, request, wanted });
        if (wanted) allowed++;
      }
      expect(wrong).toEqual([]);
      const report = compareSurface(world, { surface, namespaces: NAMESPACES, nowMs: WORLD_NOW_MS });
      // Only a suspended account keeps, through its groups, what the snapshot denies it.
      if (world.suspendedPrincipals.length === 0 && !surfaceAgrees(report)) disagreeing.push({ seed, ...report });
    }
    expect(disagreeing).toEqual([]);
    expect(allowed).toBeGreaterThan(1_000);
  });

  it("names objects by profile, marks them as ours, and binds in the namespaces there are", () => {
    const plan = planRbac(content({ scope: "namespaced", namespaces: ["default", "later"] }), WORLD_NOW_MS, NAMESPACES);
    expect(plan.objects.map(materialisedKey)).toEqual([
      expect.stringMatching(/^ClusterRole seam:seam-tenant-c1:web:[0-9a-f]{8}$/),
      expect.stringMatching(/^RoleBinding default\/seam:seam-tenant-c1:web:[0-9a-f]{8}$/),
    ]);
    expect(plan.objects.every(isMaterialised)).toBe(true);
    expect(plan.objects[1]).toMatchObject({
      metadata: {
        labels: { "ontai.dev/managed-by": "guardian", "ontai.dev/rbac-profile": "seam-tenant-c1.web" },
        annotations: { "ontai.dev/rbac-owner": "guardian", "ontai.dev/rbac-profile": "seam-tenant-c1/web" },
      },
      roleRef: { kind: "ClusterRole", name: plan.objects[0]?.metadata.name },
      subjects: [{ kind: "ServiceAccount", namespace: "web", name: "web" }],
    });
    const every = planRbac(content({ scope: "namespaced" }), WORLD_NOW_MS, NAMESPACES);
    expect(every.objects).toHaveLength(1 + NAMESPACES.length);
  });

  it("leaves out what has ended, and says when the next grant ends", () => {
    const end = new Date(WORLD_NOW_MS + 5_000).toISOString();
    const world = content({ expiresAt: end });
    expect(planRbac(world, WORLD_NOW_MS, [])).toMatchObject({ objects: [{}, {}], nextEndMs: WORLD_NOW_MS + 5_000 });
    expect(planRbac(world, WORLD_NOW_MS + 5_000, [])).toEqual({ objects: [], nextEndMs: undefined });
    const suspended = { ...content({}), suspendedPrincipals: ["system:serviceaccount:web:web"] };
    expect(planRbac(suspended, WORLD_NOW_MS, []).objects).toEqual([]);
  });

  it("cuts rules that no object could hold into several roles", () => {
    const names = (i: number) => Array.from({ length: 400 }, (_, n) => `${"x".repeat(200)}-${i}-${n}`);
    const wide = ruleSetOf(
      Array.from({ length: 8 }, (_, i) =>
        ruleOf({ verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: names(i) }),
      ),
    );
    const world = { ...content({ ruleSet: wide.id }), ruleSets: [wide] };
    const roles = planRbac(world, WORLD_NOW_MS, []).objects.filter(({ kind }) => kind === "ClusterRole");
    expect(roles.length).toBeGreaterThan(1);
    expect(Math.max(...roles.map((role) => JSON.stringify(role).length))).toBeLessThan(512 * 1024);
    expect(roles.flatMap((role) => ("rules" in role ? (role.rules ?? []) : []))).toHaveLength(8);
  });
});

describe("rbacChanges", () => {
  const { objects } = planRbac(content({}, { scope: "namespaced", namespaces: ["default"] }), WORLD_NOW_MS, NAMESPACES);

  it("writes roles before bindings, removes bindings before roles, and nothing that stands", () => {
    const fresh = rbacChanges(objects, []);
    expect(fresh.write.map(({ wanted }) => wanted.kind)).toEqual(["ClusterRole", "ClusterRoleBinding", "RoleBinding"]);
    expect(rbacChanges(objects, objects)).toEqual({ remove: [], write: [], foreign: [], beyondLimit: 0 });
    expect(rbacChanges([], objects).remove.map(({ kind }) => kind)).toEqual([
      "ClusterRoleBinding",
      "RoleBinding",
      "ClusterRole",
    ]);
  });

  it("puts back what somebody changed", () => {
    const altered = objects.map((object) =>
      object.kind === "ClusterRole"
        ? Object.assign({}, object, { rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }] })
        : object,
    );
    expect(rbacChanges(objects, altered).write).toMatchObject([{ wanted: { kind: "ClusterRole" }, held: {} }]);
  });

  it("never touches what is not ours: not by its name, not by the annotation that packs carry too", () => {
    const [role] = objects;
    if (role === undefined) throw new Error("no role");
    const foreign = { ...role, metadata: { name: role.metadata.name, annotations: role.metadata.annotations ?? {} } };
    const pack = { ...foreign, metadata: { ...foreign.metadata, name: "hello" } };
    const changes = rbacChanges(objects, [foreign, pack]);
    expect(changes.foreign).toEqual([materialisedKey(role)]);
    expect(changes.remove).toEqual([]);
    expect(changes.write.map(({ wanted }) => wanted.kind)).not.toContain("ClusterRole");
  });

  it("beyond its limit it takes rights away and gives none", () => {
    const [role, ...bindings] = objects;
    if (role === undefined) throw new Error("no role");
    const stale = { ...role, metadata: { ...role.metadata, name: "seam:old:old:00000000" } };
    expect(rbacChanges(objects, [stale], 2)).toMatchObject({ beyondLimit: 1, write: [], remove: [stale] });
    expect(bindings).toHaveLength(2);
  });
});
