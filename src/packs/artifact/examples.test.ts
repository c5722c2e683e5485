import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { plannedInventory } from "../order/execution-order.ts";
import { buildPack } from "./build-pack.ts";

const example = (version: string) =>
  fileURLToPath(new URL(`../../../examples/packs/hello/${version}`, import.meta.url));

describe("examples/packs/hello", () => {
  it.each([
    ["v1", 8],
    ["v2", 9],
  ])("%s is a pack without problems or warnings", async (version, objects) => {
    const pack = await buildPack(example(version));
    expect(pack.warnings).toEqual([]);
    expect(pack.documents).toHaveLength(objects);
    expect(plannedInventory(pack.documents).map((ref) => ref.kind)).toContain("Deployment");
  });

  it("changes content between its versions", async () => {
    const [one, two] = await Promise.all([buildPack(example("v1")), buildPack(example("v2"))]);
    expect(two.checksum).not.toBe(one.checksum);
    expect(two.manifests.rbac?.digest).toBe(one.manifests.rbac?.digest);
  });
});
