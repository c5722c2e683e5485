import { execFile } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { digestOf } from "../../base/digest.ts";
import { packSources } from "../artifact/build-pack.ts";
import { openOciLayout } from "./oci-layout.ts";
import { writePack } from "./write-pack.ts";

const run = promisify(execFile);
const cleanup: string[] = [];
afterEach(async () => {
  for (const directory of cleanup.splice(0)) await rm(directory, { recursive: true });
});

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "layout-"));
  cleanup.push(directory);
  return directory;
}

const TEXT = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: apps }\n";

describe("openOciLayout", () => {
  it("is an OCI image layout that another reader of the standard can walk", async () => {
    const directory = await folder();
    const written = await writePack(
      await openOciLayout(directory),
      "packs.seam.local/x",
      "v1",
      await packSources("x", [{ file: "a.yaml", text: TEXT }]),
    );
    expect(JSON.parse(await readFile(join(directory, "oci-layout"), "utf8"))).toEqual({ imageLayoutVersion: "1.0.0" });
    const index = JSON.parse(await readFile(join(directory, "index.json"), "utf8")) as {
      manifests: { digest: string; annotations: object }[];
    };
    expect(index.manifests.map((m) => m.annotations)).toContainEqual({
      "org.opencontainers.image.ref.name": "packs.seam.local/x:v1",
    });
    for (const name of await readdir(join(directory, "blobs", "sha256")))
      expect(digestOf(await readFile(join(directory, "blobs", "sha256", name)))).toBe(`sha256:${name}`);
    const again = await openOciLayout(directory);
    expect((await again.resolve("packs.seam.local/x", "v1"))?.digest).toBe(written.registryRef.digest);
    expect(await again.tags("packs.seam.local/x")).toEqual(["v1", "v1-rbac", "v1-workload"]);
  });

  it("notices a stored blob whose bytes were altered, and heals it by storing it again", async () => {
    const directory = await folder();
    const store = await openOciLayout(directory);
    const bytes = Buffer.from("content");
    const digest = digestOf(bytes);
    await store.put(digest, bytes);
    await writeFile(join(directory, "blobs", "sha256", digest.slice(7)), "c0ntent");
    await expect(store.get(digest, 100)).rejects.toMatchObject({ reason: "DigestMismatch" });
    await store.put(digest, bytes);
    expect(Buffer.from(await store.get(digest, 100)).toString()).toBe("content");
  });

  it("refuses bytes of another digest, missing blobs, sizes beyond the limit, bad tags, other layouts", async () => {
    const directory = await folder();
    const store = await openOciLayout(directory);
    const bytes = Buffer.from("content");
    await expect(store.put(digestOf("other"), bytes)).rejects.toMatchObject({ reason: "DigestMismatch" });
    await expect(store.get(digestOf("other"), 10)).rejects.toMatchObject({ reason: "BlobNotFound" });
    await store.put(digestOf(bytes), bytes);
    await expect(store.get(digestOf(bytes), 3)).rejects.toMatchObject({ reason: "TooLarge" });
    const descriptor = { mediaType: "x/y", digest: digestOf(bytes), size: 7 };
    await expect(store.tag("Upper Case", "v1", descriptor)).rejects.toMatchObject({ reason: "TagInvalid" });
    await expect(store.tag("x", "v1", { ...descriptor, digest: digestOf("no") })).rejects.toMatchObject({
      reason: "BlobNotFound",
    });
    await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"9.0.0"}');
    await expect(openOciLayout(directory)).rejects.toMatchObject({ reason: "LayoutUnsupported" });
  });

  it("keeps every tag when processes write at once", async () => {
    const directory = await folder();
    const script = `
      import { openOciLayout } from ${JSON.stringify(new URL("./oci-layout.ts", import.meta.url).href)};
      import { digestOf } from ${JSON.stringify(new URL("../../base/digest.ts", import.meta.url).href)};
      const store = await openOciLayout(process.argv[1]);
      for (let i = 0; i < 10; i++) {
        const bytes = Buffer.from(process.argv[2] + i);
        await store.put(digestOf(bytes), bytes);
        await store.tag("repo", process.argv[2] + i, { mediaType: "x/y", digest: digestOf(bytes), size: bytes.length });
      }`;
    await Promise.all(
      ["a", "b", "c"].map((name) => run(process.execPath, ["--input-type=module", "-e", script, directory, name])),
    );
    expect(await (await openOciLayout(directory)).tags("repo")).toHaveLength(30);
  });

  it("collects what no tag reaches, and spares what is young", async () => {
    const directory = await folder();
    const store = await openOciLayout(directory);
    const pack = await packSources("x", [{ file: "a.yaml", text: TEXT }]);
    await writePack(store, "r", "v1", pack);
    await store.put(digestOf("loose"), Buffer.from("loose"));
    expect(await store.collectGarbage(60_000)).toBe(0);
    const old = new Date(Date.now() - 120_000);
    for (const name of await readdir(join(directory, "blobs", "sha256")))
      await utimes(join(directory, "blobs", "sha256", name), old, old);
    expect(await store.collectGarbage(60_000)).toBe(1);
    for (const tag of await store.tags("r")) await store.untag("r", tag);
    expect(await store.collectGarbage(60_000)).toBe(pack.blobs.length + 3);
  });
});
