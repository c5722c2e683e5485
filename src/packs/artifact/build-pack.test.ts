import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { publicStyleBundle } from "../../../test/packs/public-style-bundle.ts";
import { SeededRandom } from "../../base/random.ts";
import { buildPack, packSources } from "./build-pack.ts";
import { objectIdentity } from "./pack-object.ts";
import { PackInvalid } from "./pack-problem.ts";

const cleanup: string[] = [];
afterEach(async () => {
  for (const directory of cleanup.splice(0)) await rm(directory, { recursive: true });
});

async function directoryOf(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "pack-"));
  cleanup.push(directory);
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, file)), { recursive: true });
    await writeFile(join(directory, file), text);
  }
  return directory;
}

async function problemsOf(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  try {
    await buildPack(await directoryOf(files));
  } catch (error) {
    if (error instanceof PackInvalid) return error.message.split("\n").slice(1);
    throw error;
  }
  return [];
}

const CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: apps }\n";

describe("buildPack", () => {
  it("splits into buckets and injects each referenced, undeclared namespace once", async () => {
    const pack = await buildPack(
      await directoryOf({
        "all.yaml": `${CONFIG}---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: r, namespace: other }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: s, namespace: apps }
---
apiVersion: example.org/v1
kind: Zone
metadata: { name: z }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: zones.example.org }
spec: { group: example.org, scope: Cluster, names: { kind: Zone, plural: zones } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: k, namespace: kube-system }
`,
      }),
    );
    expect(pack.documents.map((d) => `${d.bucket} ${objectIdentity(d.object)}`)).toEqual([
      "rbac rbac.authorization.k8s.io/Role/other/r",
      "rbac /ServiceAccount/apps/s",
      "cluster-scoped example.org/Zone//z",
      "cluster-scoped apiextensions.k8s.io/CustomResourceDefinition//zones.example.org",
      "workload /Namespace//apps",
      "workload /Namespace//other",
      "workload /ConfigMap/apps/a",
      "workload /ConfigMap/kube-system/k",
    ]);
  });

  it("gives equal digests for equal content, however it is spread over files", async () => {
    const one = await buildPack(
      await directoryOf({ "x.yaml": `${CONFIG}---\n${CONFIG.replace("name: a", "name: b")}` }),
    );
    const two = await buildPack(
      await directoryOf({
        "a/1.yml": CONFIG,
        "b/2.json": JSON.stringify({ kind: "ConfigMap", metadata: { namespace: "apps", name: "b" }, apiVersion: "v1" }),
      }),
    );
    expect(two.index.digest).toBe(one.index.digest);
    expect(two.checksum).toBe(one.checksum);
    const other = await buildPack(await directoryOf({ "x.yaml": CONFIG }));
    expect(other.checksum).not.toBe(one.checksum);
  });

  it("is the same artifact on every machine", async () => {
    const pack = await packSources("golden", [{ file: "a.yaml", text: CONFIG }]);
    expect(pack.index.digest).toMatchInlineSnapshot(
      `"sha256:00420b452a58ae986ffd27b62083748fd940cc8f81aa2e204ff0d5245e4b6cd1"`,
    );
    expect(pack.checksum).toMatchInlineSnapshot(
      `"sha256:17ccb5c1f0b63e9a40397de1c25bc17df1a3a0338cae91a8a73e4678f4c28545"`,
    );
  });

  it("names file, line and remedy of every problem at once", async () => {
    const problems = await problemsOf({
      "a.yaml": "kind: ConfigMap\nmetadata: { name: a, namespace: x }\n---\napiVersion: v1\nmetadata: { name: b }\n",
      "b.yaml": "# comment\n\napiVersion: v1\nkind: ConfigMap\nmetadata: { namespace: x }\n",
      "broken.yaml": "apiVersion: v1\nkind: [unclosed\n",
      "dup.yaml": `${CONFIG}---\n${CONFIG}`,
      "gen.yaml": "apiVersion: v1\nkind: Pod\nmetadata: { generateName: p-, namespace: x }\n",
      "rbac/pod.yaml": CONFIG.replace("name: a", "name: placed"),
      "seam.yaml": CONFIG.replace("apps", "seam-system"),
      "group.yaml":
        "apiVersion: guardian.ontai.dev/v1alpha1\nkind: RBACPolicy\nmetadata: { name: p, namespace: apps }\n",
      "scope.yaml": "apiVersion: example.org/v1\nkind: Thing\nmetadata: { name: t }\n",
      "bool.yaml": CONFIG.replace("name: a", "name: bool, annotations: { on: yes }"),
    });
    expect(problems).toEqual([
      "a.yaml:1: ConfigMap x/a: apiVersion is missing; set apiVersion, for example v1 or apps/v1",
      "a.yaml:4: object b: kind is missing; set kind, for example ConfigMap",
      "b.yaml:3: ConfigMap x/(unnamed): metadata.name is missing; set metadata.name",
      expect.stringMatching(
        /^bool\.yaml:1: ConfigMap apps\/bool: metadata\.annotations\[true\] is true, not a string; write "true" in quotes$/,
      ),
      expect.stringMatching(/^broken\.yaml:\d: YAML error: .+; correct the YAML/),
      "dup.yaml:5: ConfigMap apps/a: is already defined at dup.yaml:1; remove one of the two",
      "gen.yaml:1: Pod x/(unnamed): metadata.generateName is set; set metadata.name: a pack names its objects",
      "group.yaml:1: RBACPolicy apps/p: a pack may not hold objects of group guardian.ontai.dev; remove it; the platform owns it",
      "rbac/pod.yaml:1: ConfigMap apps/placed: belongs to bucket workload, not rbac; move it to workload/",
      "scope.yaml:1: Thing t: kind Thing of group example.org is not known and names no namespace; add its CustomResourceDefinition to the pack, set metadata.namespace, or place the file under cluster-scoped/",
      "seam.yaml:1: ConfigMap seam-system/a: a pack may not hold objects in namespace seam-system; remove it; the platform owns it",
    ]);
  });

  it("refuses alias bombs without expanding them", async () => {
    const bomb = Array.from({ length: 12 }, (_, i) =>
      i === 0
        ? "a0: &a0 [x, x, x, x, x, x, x, x, x]"
        : `a${i}: &a${i} [${Array(9)
            .fill(`*a${i - 1}`)
            .join(", ")}]`,
    ).join("\n");
    const problems = await problemsOf({ "bomb.yaml": `${CONFIG}data:\n${bomb.replace(/^/gm, "  ")}\n` });
    expect(problems).toEqual([
      expect.stringMatching(/^bomb\.yaml:1: YAML aliases expand too far .*; write the repeated parts out/),
    ]);
  });

  it("refuses links and says what an empty directory lacks", async () => {
    const directory = await directoryOf({ "README.md": "hello" });
    await symlink("/etc/hosts", join(directory, "hosts.yaml"));
    await expect(buildPack(directory)).rejects.toThrow(
      "hosts.yaml:1: is a link or special file; replace it by a regular file",
    );
    await expect(buildPack(await directoryOf({}))).rejects.toThrow("the directory holds no manifest");
    await expect(buildPack("/nonexistent/pack")).rejects.toThrow(
      "must be a readable directory of Kubernetes manifests",
    );
  });

  it("reads numbers and words as kubectl does, and warns about words", async () => {
    const pack = await packSources("x", [
      { file: "a.yaml", text: `${CONFIG}mode: 0644\nday: 2024-01-01\ntime: 12:30:00\nflag: yes\ntext: "yes"\n` },
    ]);
    expect(pack.documents.find((d) => d.object.kind === "ConfigMap")?.object).toMatchObject({
      mode: 420,
      day: "2024-01-01",
      time: "12:30:00",
      flag: true,
      text: "yes",
    });
    expect(pack.warnings.map((w) => `${w.file}:${w.line} ${w.text}`)).toEqual([
      "a.yaml:7 unquoted yes is read as true (YAML 1.1, as kubectl reads it)",
    ]);
  });

  it("packs a large public-style bundle", async () => {
    const files = publicStyleBundle(
      {
        crds: 2,
        crdBytes: 500 * 1024,
        customResourcesPerCrd: 20,
        configMaps: 60,
        deployments: 40,
        clusterRoles: 20,
        webhooks: 4,
      },
      new SeededRandom(1),
    );
    const pack = await packSources("big", files);
    expect(pack.documents.length).toBe(2 + 40 + 60 + 60 + 80 + 4 + 1);
    expect(pack.manifests["cluster-scoped"]).toBeDefined();
  });
});
