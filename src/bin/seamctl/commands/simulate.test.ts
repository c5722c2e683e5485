import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../../../../test/support/run-command.ts";

const EXAMPLE = fileURLToPath(new URL("../../../../examples/permissions", import.meta.url));
const FLEET = `
apiVersion: seam.ontai.dev/v1alpha1
kind: TalosCluster
metadata: { name: tenant-1, namespace: seam-tenant-tenant-1 }
spec: { mode: import, role: tenant }
---
apiVersion: guardian.ontai.dev/v1alpha1
kind: PermissionSet
metadata: { name: management-maximum, namespace: seam-system }
spec:
  permissions:
    - { apiGroups: ["*"], resources: ["*"], verbs: [get, list, watch, create, update, patch] }
`;
const CONFIGURER = (verbs: string) => `
apiVersion: guardian.ontai.dev/v1alpha1
kind: PermissionSet
metadata: { name: hello-configurer, namespace: seam-system }
spec:
  description: Changes the one ConfigMap of the example.
  permissions:
    - { apiGroups: [""], resources: [configmaps], resourceNames: [hello], verbs: [${verbs}] }
`;

let directory: string;
const file = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "simulate-"));
  await writeFile(file("fleet.yaml"), FLEET);
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function simulate(proposal: string, ...more: readonly string[]) {
  await writeFile(file("proposal.yaml"), proposal);
  return runCommand("simulate", "--base", file("fleet.yaml"), "--base", EXAMPLE, "-f", file("proposal.yaml"), ...more);
}

describe("seamctl simulate", () => {
  it("says who gains and loses what, where, and answers 1", async () => {
    const { code, out } = await simulate(CONFIGURER("update, get, delete"));
    expect(out).toContain("PermissionSet seam-system/hello-configurer   changed    Valid");
    // The policy's mode is audit: what lies beyond the ceiling is told and not granted.
    expect(out).toContain(
      "RBACProfile seam-system/hello: TrimmedInAudit: not granted hello-configurer: delete configmaps",
    );
    expect(out).toContain(
      [
        "CLUSTER    WHO                          CHANGE   WHERE      WHAT",
        'tenant-1   ServiceAccount hello/hello   loses    in hello   patch configmaps in "" named hello',
        "",
        "decisions change on 1 of 2 clusters: 0 gain, 1 lose",
      ].join("\n"),
    );
    expect(code).toBe(1);
  });

  it("answers 0 for what changes nothing, and for losses when only gains are to fail", async () => {
    expect(await simulate(CONFIGURER("patch, update"))).toMatchObject({
      code: 0,
      out: expect.stringContaining("no decision changes on any of 2 clusters"),
    });
    expect((await simulate(CONFIGURER("update"), "--fail-on", "gain")).code).toBe(0);
    expect((await simulate(CONFIGURER("update, patch, create"), "--fail-on", "gain")).code).toBe(1);
  });

  it("says what the API server would refuse and what the plane would, all of it, and answers 1", async () => {
    const { code, out } = await simulate(
      `
apiVersion: guardian.ontai.dev/v1alpha1
kind: PermissionSet
metadata: { name: bad, namespace: seam-system }
spec: { permissions: [{ resources: [pods], verbs: [get] }] }
---
apiVersion: guardian.ontai.dev/v1alpha1
kind: RBACProfile
metadata: { name: stray, namespace: seam-system }
spec:
  principalRef: ada
  targetClusters: [tenant-1]
  rbacPolicyRef: nowhere
  permissionDeclarations: [{ permissionSetRef: gone, scope: cluster }]
`,
      "--fail-on",
      "refused",
    );
    expect(out).toContain("PermissionSet seam-system/bad   refused   refused by the API server");
    expect(out).toContain("apiGroups is required for resource rules");
    expect(out).toContain("RBACPolicy seam-system/nowhere exists, found none; create it or name another");
    expect(code).toBe(1);
  });

  it("deletes as if, and follows the fleet's ceiling into the layers", async () => {
    const base = ["--base", file("fleet.yaml"), "--base", EXAMPLE];
    const gone = await runCommand("simulate", ...base, "-o", "json", "--delete", "RBACProfile/seam-system/hello");
    expect(JSON.parse(gone.out)).toMatchObject({
      refused: [],
      objects: [{ object: "RBACProfile seam-system/hello", change: "removed" }],
      clusters: [{ cluster: "tenant-1", change: "changed", decisions: { subjects: [{ change: "loses" }] } }],
    });
    const tightened = await simulate(FLEET.slice(FLEET.indexOf("---") + 4).replace("create, update, patch", "update"));
    expect(tightened.out).toContain("PermissionSet seam-tenant-tenant-1/cluster-maximum   changed");
    expect(tightened.out).toContain("User conductor               loses    cluster-wide   create,patch * in *");
    expect(tightened.out).toContain("ServiceAccount hello/hello   loses    in hello");
  });

  it.each<readonly [readonly string[], number, string]>([
    [["simulate"], 2, "simulate needs -f with proposed objects or --delete"],
    [["simulate", "--delete", "Pod/a/b"], 2, "--delete must be KIND/NAMESPACE/NAME with one of TalosCluster"],
    [["simulate", "-f", "/nonexistent.yaml"], 1, "/nonexistent.yaml: must be a readable file or directory (ENOENT"],
    [["simulate", "-f", "x", "--fail-on", "all"], 2, '--fail-on must be one of any, gain, refused, found "all"'],
  ])("refuses %j", async (args, exit, text) => {
    const { code, err } = await runCommand(...args);
    expect(err).toContain(text);
    expect(code).toBe(exit);
  });

  it("names the file and line of what is no object", async () => {
    expect((await simulate("kind: Nothing\n")).err).toContain(
      `${file("proposal.yaml")}:1: an object has apiVersion, kind and metadata.name; complete it or take it out`,
    );
  });
});
