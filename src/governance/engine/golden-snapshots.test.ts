import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { worldOf } from "../../../test/support/permission-objects.ts";
import { type Random, SeededRandom } from "../../base/random.ts";
import { parseYaml } from "../../packs/artifact/yaml-documents.ts";
import { contentToJson } from "../../permissions/snapshot/content.ts";
import type { PermissionObject } from "./permission-object.ts";
import { engineOf } from "./permission-world.ts";

/**
 * Golden files of contents and their hashes (permissions §8.3, §20). A difference is a new version of every snapshot in every fleet and
 * needs a new schemaVersion or a very good reason; UPDATE_GOLDEN=1 writes the files anew.
 */
const FOLDER = fileURLToPath(new URL("../../../test/golden/permission-snapshots/", import.meta.url));
const inputs = readdirSync(FOLDER).filter((name) => name.endsWith(".yaml"));

function goldenOf(objects: readonly PermissionObject[]): string {
  const { snapshots } = engineOf(worldOf(objects, "ccs-mgmt")).view;
  const clusters = [...snapshots].sort(([a], [b]) => (a < b ? -1 : 1));
  const golden = clusters.map(([cluster, { content, contentHash }]) => [
    cluster,
    { contentHash, content: contentToJson(content) },
  ]);
  return `${JSON.stringify(Object.fromEntries(golden), undefined, 2)}\n`;
}

/** The same objects and the same lists in them, in another order; lists whose order says something stay. */
function shuffled(objects: readonly PermissionObject[], random: Random): readonly PermissionObject[] {
  const mixed = <T>(list: readonly T[]): T[] =>
    list
      .map((entry) => ({ entry, at: random.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ entry }) => entry);
  const inside = (value: unknown, key: string): unknown => {
    if (Array.isArray(value)) {
      const list = value.map((entry) => inside(entry, ""));
      // A declaration is known by its position.
      return key === "permissionDeclarations" ? list : mixed(list);
    }
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(mixed(Object.entries(value)).map(([name, entry]) => [name, inside(entry, name)]));
  };
  return mixed(objects).map((object) => inside(object, "") as PermissionObject);
}

describe("golden snapshots", () => {
  it("there are some", () => expect(inputs).toEqual(["layers.yaml", "people.yaml"]));

  it.each(inputs)("%s: the content and hash of the file, whatever the order of the input", (name) => {
    const { documents, problems } = parseYaml(readFileSync(`${FOLDER}${name}`, "utf8"), name);
    expect(problems).toEqual([]);
    const objects = documents.map(({ value }) => value as unknown as PermissionObject);
    const file = `${FOLDER}${name.replace(".yaml", ".golden")}`;
    const golden = goldenOf(objects);
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, golden);
    expect(golden).toBe(readFileSync(file, "utf8"));
    const random = new SeededRandom(8);
    for (let i = 0; i < 50; i++) expect(goldenOf(shuffled(objects, random))).toBe(golden);
  });
});
