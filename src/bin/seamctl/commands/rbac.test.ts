import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestManagementCluster, openManagementCluster } from "../../../../test/support/management-cluster.ts";
import { runCommand } from "../../../../test/support/run-command.ts";
import { PermissionSet } from "../../../api/kinds/permission-set.ts";
import { RBACProfile } from "../../../api/kinds/rbac-profile.ts";
import { importRbac } from "../../../permissions/intake/import-rbac.ts";
import { applyImport, planImport, rbacOfFiles } from "../import-plan.ts";
import { readObjectFiles } from "../object-files.ts";

const ROLES = `
apiVersion: v1
kind: List
items:
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata: { name: reader, namespace: web }
    rules: [{ apiGroups: [""], resources: [pods], verbs: [get] }]
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata: { name: reader, namespace: web }
    roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
    subjects:
      - { kind: ServiceAccount, name: web, namespace: web }
      - { kind: Group, apiGroup: rbac.authorization.k8s.io, name: team }
`;
const WRITER = ROLES.replaceAll("reader", "writer").replace("verbs: [get]", "verbs: [update]");
const home = { namespace: "seam-tenant-tenant-1" };

let directory: string;
let management: TestManagementCluster;
const file = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "rbac-import-"));
  await writeFile(file("reader.yaml"), ROLES);
  await writeFile(file("writer.yaml"), WRITER);
  management = await openManagementCluster();
  await management.addTenant("tenant-1");
});

afterAll(async () => {
  await management.close();
  await rm(directory, { recursive: true });
});

async function imported(...names: readonly string[]) {
  return importRbac("tenant-1", rbacOfFiles(await readObjectFiles(names.map(file))));
}

describe("seamctl rbac import", () => {
  it("shows what it would make and what it cannot say, and answers 1 for what would be lost", async () => {
    const { code, out } = await runCommand(
      "rbac",
      "import",
      "--cluster",
      "tenant-1",
      "-f",
      file("reader.yaml"),
      "--dry-run",
    );
    expect(out).toBe(
      [
        "PRINCIPAL                       PERMISSION SET   WHERE    FROM              ACTION",
        "system:serviceaccount:web:web   web.reader       in web   Role web/reader   would import",
        "",
        "EFFECT   REASON         OBJECT                   WHY",
        "lost     GroupSubject   RoleBinding web/reader   Group team: a profile's principal is one identity, never a group; grant a principal and bind the group to it with an IdentityBinding (oidcConfig.groups or certificateConfig.matchOrganization)",
        "",
        "1 bindings: 1 grants become 1 profiles over 1 permission sets; 1 lost, 0 changed, 0 ignored, 0 of Kubernetes itself left out",
        "nothing was written",
        "",
      ].join("\n"),
    );
    expect(code).toBe(1);
  });

  it("prints objects that apply as they are, and the report beside them", async () => {
    const { out, err } = await runCommand(
      "rbac",
      "import",
      "--cluster",
      "tenant-1",
      "-f",
      file("reader.yaml"),
      "--dry-run",
      "-o",
      "yaml",
    );
    await writeFile(file("imported.yaml"), out);
    const objects = await readObjectFiles([file("imported.yaml")]);
    expect(objects.map(({ object }) => object.kind)).toEqual(["PermissionSet", "RBACProfile"]);
    expect(err).toContain("lost: GroupSubject: RoleBinding web/reader: Group team");
  });

  it("applies all of it, changes nothing the second time, and prunes only what it made itself", async () => {
    const { cluster } = management;
    const actions = async (...names: readonly string[]) => {
      const plan = await planImport(cluster, "tenant-1", await imported(...names));
      await applyImport(cluster, plan, false);
      return [plan.steps.map(({ action }) => action), plan.stale.map(({ object }) => object.metadata.name)];
    };
    expect(await actions("reader.yaml", "writer.yaml")).toEqual([["create", "create", "create"], []]);
    expect(await actions("writer.yaml", "reader.yaml")).toEqual([["keep", "keep", "keep"], []]);
    expect(await actions("reader.yaml")).toEqual([["keep", "change"], ["web.writer"]]);
    const profile = await cluster.get(RBACProfile, { ...home, name: "web.web" });
    expect(profile.spec.permissionDeclarations).toEqual([
      { permissionSetRef: "web.reader", scope: "namespaced", namespaces: ["web"] },
    ]);
    await cluster.create(PermissionSet, {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "PermissionSet",
      metadata: { ...home, name: "by-hand" },
      spec: { permissions: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] },
    });
    await applyImport(cluster, await planImport(cluster, "tenant-1", await imported("reader.yaml")), true);
    const left = await cluster.list(PermissionSet, home);
    expect(left.items.map(({ metadata }) => metadata.name)).toEqual(["by-hand", "web.reader"]);
  });

  it("writes nothing when one object has the name of somebody else's", async () => {
    const { cluster } = management;
    await cluster.create(PermissionSet, {
      apiVersion: "guardian.ontai.dev/v1alpha1",
      kind: "PermissionSet",
      metadata: { ...home, name: "web.writer" },
      spec: { permissions: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }] },
    });
    await expect(planImport(cluster, "tenant-1", await imported("writer.yaml"))).rejects.toThrow(
      "RBAC of tenant-1: 1 objects are refused, nothing was written\nPermissionSet seam-tenant-tenant-1/web.writer: exists and was not imported; rename or delete it",
    );
  });
});
