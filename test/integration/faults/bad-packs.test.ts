import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PackDelivery } from "../../../src/api/kinds/pack-delivery.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { openOciLayout } from "../../../src/packs/store/oci-layout.ts";
import type { PackBlobStore } from "../../../src/packs/store/pack-blob-store.ts";
import { publishPack } from "../../../src/roles/publish-pack.ts";
import { type TestManagementCluster, openManagementCluster } from "../../support/management-cluster.ts";

type Files = Readonly<Record<string, string | Uint8Array>>;

const NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: { name: app }\n---\n";
const config = (name: string, namespace = "app", more = "") =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: ${namespace} }\n${more}`;
const GOOD: Files = { "a.yaml": NAMESPACE + config("a") };
/** Nine references of ten of the level below, five levels: 10^5 elements from a few hundred bytes. */
const BOMB = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
  .concat(
    ["b:a", "c:b", "d:c", "e:d"].map((pair) => `${pair[0]}: &${pair[0]} [${Array(10).fill(`*${pair[2]}`).join()}]`),
  )
  .join("\n");

describe("publishing what cannot be published", () => {
  let management: TestManagementCluster;
  let packs: string;
  let store: PackBlobStore;
  const made: string[] = [];

  beforeAll(async () => {
    management = await openManagementCluster();
    await management.addTenant("tenant-1");
    packs = await mkdtemp(join(tmpdir(), "seam-packs-"));
    store = await openOciLayout(packs, systemClock);
  });
  afterAll(async () => {
    await management.close();
    for (const directory of [packs, ...made]) await rm(directory, { recursive: true, force: true });
  });

  async function directoryOf(files: Files): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), "seam-bad-pack-"));
    made.push(directory);
    for (const [file, content] of Object.entries(files)) {
      await mkdir(dirname(join(directory, file)), { recursive: true });
      await writeFile(join(directory, file), content);
    }
    return directory;
  }

  /** Every file of the store with a digest of its content, and the number of deliveries. */
  async function stored(): Promise<string> {
    const entries = await readdir(packs, { recursive: true, withFileTypes: true });
    const lines = await Promise.all(
      entries
        .filter((entry) => entry.isFile())
        .map(async (entry) => {
          const path = join(entry.parentPath, entry.name);
          return `${path} ${createHash("sha256")
            .update(await readFile(path))
            .digest("hex")}`;
        }),
    );
    const deliveries = await management.cluster.list(PackDelivery, {});
    return [...lines.toSorted(), String(deliveries.items.length)].join("\n");
  }

  async function refusal(files: Files, more: { name?: string; version?: string; to?: readonly string[] } = {}) {
    const before = await stored();
    const request = { directory: await directoryOf(files), name: "bad", version: "v1.0.0", to: ["tenant-1"], ...more };
    let text = "published";
    try {
      await publishPack(request, store, management.cluster);
    } catch (error) {
      text = error instanceof Error ? error.message.replaceAll(request.directory, "DIR") : String(error);
    }
    expect(await stored()).toBe(before);
    return text;
  }

  it.each<[string, Files, RegExp]>([
    ["a YAML error", { "a.yaml": `${NAMESPACE}a: b: c\n` }, /^a\.yaml:5: YAML error: Nested mappings .*; correct/m],
    [
      "a duplicate",
      { "a.yaml": config("x"), "b.yaml": config("x") },
      /^b\.yaml:1: ConfigMap app\/x: is already defined at a\.yaml:1; remove/m,
    ],
    [
      "no kind",
      { "a.yaml": "apiVersion: v1\nmetadata: { name: x }\n" },
      /^a\.yaml:1: object x: kind is missing; set kind/m,
    ],
    [
      "no apiVersion",
      { "a.yaml": "kind: ConfigMap\nmetadata: { name: x }\n" },
      /^a\.yaml:1: ConfigMap x: apiVersion is missing; set/m,
    ],
    [
      "no name",
      { "a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n" },
      /^a\.yaml:1: .*metadata\.name is missing; set/m,
    ],
    [
      "a name no API takes",
      { "a.yaml": config("Bad_Name") },
      /^a\.yaml:1: ConfigMap app\/Bad_Name: metadata\.name is not valid: "Bad_Name"; use lower-case/m,
    ],
    [
      "the wrong bucket",
      { "rbac/a.yaml": config("x") },
      /^rbac\/a\.yaml:1: .*belongs to bucket workload, not rbac; move it to workload\//m,
    ],
    [
      "a forbidden namespace",
      { "a.yaml": config("x", "seam-system") },
      /^a\.yaml:1: .*a pack may not hold objects in namespace seam-system; remove/m,
    ],
    ["an alias bomb", { "a.yaml": BOMB }, /^a\.yaml:1: YAML aliases expand too far/m],
    [
      "a bottomless document",
      { "a.yaml": `a: ${"[".repeat(20_000)}${"]".repeat(20_000)}\n` },
      /^a\.yaml:1: nests deeper than any Kubernetes object; flatten it/m,
    ],
    ["no document", { "a.yaml": "---\n---\n# nothing\n" }, /the directory holds no manifest; add/],
    [
      "an unknown kind without namespace",
      { "a.yaml": "apiVersion: example.org/v1\nkind: Gadget\nmetadata: { name: g }\n" },
      /^a\.yaml:1: Gadget g: kind Gadget of group example\.org is not known and names no namespace; add its Custom/m,
    ],
    [
      "a binary file",
      { "a.yaml": config("x"), "b.yaml": Uint8Array.from([0xff, 0xfe, 0, 1]) },
      /^b\.yaml:1: is not UTF-8 text; save/m,
    ],
    [
      "an object no cluster stores",
      { "a.yaml": config("x", "app", `data: { v: ${"y".repeat(1_600_000)} }\n`) },
      /^a\.yaml:1: ConfigMap app\/x: has \d+ bytes, more than 1572864; split/m,
    ],
  ])("names file, line and remedy of %s, and stores nothing", async (_what, files, expected) => {
    expect(await refusal(files)).toMatch(expected);
  });

  it("refuses 6000 objects at once", async () => {
    const text = Array.from({ length: 6000 }, (_, at) => config(`c${at}`)).join("---\n");
    expect(await refusal({ "a.yaml": text })).toContain("the pack has 6001 objects, more than 5000; split the pack");
  });

  it("names the flag that cannot be", async () => {
    expect(await refusal(GOOD, { name: "Bad_Name" })).toMatch(
      /^flag --name: must be of lower-case .* found "Bad_Name"; choose/,
    );
    expect(await refusal(GOOD, { name: "" })).toMatch(/^flag --name: .* found ""/);
    expect(await refusal(GOOD, { version: "not a version!" })).toMatch(
      /^flag --version: .* found "not a version!"; use/,
    );
    expect(await refusal(GOOD, { version: "../../x" })).toMatch(/^flag --version: /);
    expect(await refusal(GOOD, { to: [] })).toMatch(/^flag --to: must name at least one cluster/);
  });

  it("keeps a published version as it is: other content under the same version is refused, the same content is no news", async () => {
    const request = { name: "kept", version: "v1.0.0", to: ["tenant-1"] };
    const directory = await directoryOf(GOOD);
    expect((await publishPack({ directory, ...request }, store, management.cluster)).created).toBe(true);
    const before = await stored();
    expect((await publishPack({ directory, ...request }, store, management.cluster)).created).toBe(false);
    expect(await stored()).toBe(before);
    expect(await refusal({ "a.yaml": NAMESPACE + config("b") }, request)).toMatch(
      /PackDelivery seam-system\/kept-v1\.0\.0: is immutable and exists with other content or targets; publish under a new --version/,
    );
  });

  it("takes large CRDs with custom resources of theirs", async () => {
    const crd = (at: number) => `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: gadgets.g${at}.example.org }
spec:
  group: g${at}.example.org
  scope: Namespaced
  names: { kind: Gadget, plural: gadgets }
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, description: ${"d".repeat(500 * 1024)}, x-kubernetes-preserve-unknown-fields: true } }
`;
    const resource = (at: number) =>
      `apiVersion: g${at}.example.org/v1\nkind: Gadget\nmetadata: { name: g, namespace: app }\n`;
    const files = Object.fromEntries([0, 1, 2].map((at) => [`${at}.yaml`, `${crd(at)}---\n${resource(at)}`]));
    const request = { directory: await directoryOf(files), name: "large", version: "v1.0.0", to: ["tenant-1"] };
    expect((await publishPack(request, store, management.cluster)).pack.documents).toHaveLength(7);
  });
});
