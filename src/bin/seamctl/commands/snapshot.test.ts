import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ruleSetOf } from "../../../../test/oracle/permission-worlds.ts";
import { type TestManagementCluster, openManagementCluster } from "../../../../test/support/management-cluster.ts";
import { runCommand } from "../../../../test/support/run-command.ts";
import { Secret } from "../../../api/builtin.ts";
import { PermissionSnapshot } from "../../../api/kinds/permission-snapshot.ts";
import { hash12 } from "../../../permissions/snapshot/snapshot-version.ts";
import { chunksOf } from "../../../permissions/snapshot/content-chunks.ts";
import { type SnapshotContent, contentToJson, encodeContent } from "../../../permissions/snapshot/content.ts";
import { ruleOf } from "../../../permissions/rules/rule.ts";
import { readStoredSnapshot, snapshotJson } from "../stored-snapshot.ts";

const VERSION = "e1.s1.0123456789ab";
const key = { namespace: "seam-system", name: "snapshot-tenant-1" };
let directory: string;
let management: TestManagementCluster;
const file = (name: string): string => join(directory, name);

function content(verb: string): SnapshotContent {
  const set = ruleSetOf([ruleOf({ verbs: [verb], apiGroups: [""], resources: ["pods"] })]);
  const source = { profileNamespace: "n", profileName: "p", declaration: 0, permissionSet: "s", policy: "q" };
  return {
    schemaVersion: 2,
    targetCluster: "tenant-1",
    ceilings: {},
    ruleSets: [set],
    subjects: [
      {
        kind: "User",
        namespace: "",
        name: "ada",
        principalRef: "ada",
        bindings: [{ ruleSet: set.id, scope: "namespaced", namespaces: ["web"], expiresAt: "", source }],
      },
    ],
    profiles: [],
    suspendedPrincipals: [],
    freshnessWindowSeconds: 300,
    maxOfflineSeconds: 86_400,
  };
}

async function save(name: string, verb: string): Promise<string> {
  const { contentHash } = encodeContent(content(verb));
  const view = { cluster: "tenant-1", version: VERSION, contentHash, content: content(verb), object: undefined };
  await writeFile(file(name), JSON.stringify(snapshotJson(view)));
  return file(name);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapshot-"));
  management = await openManagementCluster();
  await management.addTenant("tenant-1");
});

afterAll(async () => {
  await management.close();
  await rm(directory, { recursive: true });
});

describe("seamctl snapshot", () => {
  it("shows what a snapshot grants to whom, where and from which profile", async () => {
    const { out, code } = await runCommand("snapshot", "show", await save("a.json", "get"));
    expect(out).toContain("holds:        1 subjects, 1 grants, 1 rule sets, 0 profiles");
    expect(out).toContain(
      [
        "WHO        WHERE    WHAT             UNTIL   FROM",
        'User ada   in web   get pods in ""   -       RBACProfile n/p, PermissionSet s',
      ].join("\n"),
    );
    expect(code).toBe(0);
    expect((await runCommand("snapshot", "show", file("a.json"), "--subject", "bob")).out).toContain("no grant to bob");
  });

  it("diffs decisions: 0 for none, 1 and every right for some", async () => {
    const [a, b] = [await save("a.json", "get"), await save("b.json", "list")];
    expect(await runCommand("snapshot", "diff", a, a)).toMatchObject({
      code: 0,
      out: `tenant-1 ${VERSION} and tenant-1 ${VERSION} decide alike: the same content\n`,
    });
    const { out, code } = await runCommand("snapshot", "diff", a, b);
    expect(out).toContain(
      [
        "WHO        CHANGE   WHERE    WHAT",
        'User ada   loses    in web   get pods in ""',
        'User ada   gains    in web   list pods in ""',
      ].join("\n"),
    );
    expect(code).toBe(1);
  });

  it("believes no content that is not what its hash names", async () => {
    await writeFile(
      file("bad.json"),
      (await save("a.json", "get")) &&
        JSON.stringify({ cluster: "c", version: "v", contentHash: "sha256:0", content: {} }),
    );
    expect((await runCommand("snapshot", "show", file("bad.json"))).err).toContain(
      "holds content that is not what its hash names",
    );
    expect((await runCommand("snapshot", "show", file("none.json"))).err).toContain(
      "must be what `snapshot show -o json` printed (ENOENT",
    );
  });

  it("reads the object, whether its content stands inline or in chunks, and refuses an altered one", async () => {
    const { cluster } = management;
    const { bytes, contentHash } = encodeContent(content("get"));
    const header = { targetCluster: "tenant-1", version: VERSION, epoch: 1, sequence: 1, contentHash };
    const object = { apiVersion: "guardian.ontai.dev/v1alpha1", kind: "PermissionSnapshot", metadata: key } as const;
    await expect(readStoredSnapshot(cluster, "tenant-1")).rejects.toThrow(
      "PermissionSnapshot seam-system/snapshot-tenant-1: does not exist; name a governed cluster",
    );
    const inline = await cluster.create(PermissionSnapshot, {
      ...object,
      spec: { ...contentToJson(content("get")), ...header },
    } as never);
    expect((await readStoredSnapshot(cluster, "tenant-1")).content).toEqual(content("get"));
    const chunks = [...chunksOf("tenant-1", hash12(contentHash), bytes, 100)];
    for (const { name, data } of chunks)
      await cluster.create(Secret, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name, namespace: "seam-tenant-tenant-1" },
        data: { chunk: Buffer.from(data).toString("base64") },
      });
    const contentRef = { chunks: chunks.map(({ name, sha256, bytes: size }) => ({ name, sha256, bytes: size })) };
    await cluster.update(PermissionSnapshot, { ...object, metadata: inline.metadata, spec: { ...header, contentRef } });
    expect((await readStoredSnapshot(cluster, "tenant-1")).content).toEqual(content("get"));
    const { metadata } = await cluster.get(PermissionSnapshot, key);
    await cluster.update(PermissionSnapshot, {
      ...object,
      metadata,
      spec: { ...contentToJson(content("*")), ...header },
    } as never);
    await expect(readStoredSnapshot(cluster, "tenant-1")).rejects.toThrow(
      "holds content that is not what its hash names",
    );
  });
});
