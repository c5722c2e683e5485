import { gzipSync } from "node:zlib";
import { buffer } from "node:stream/consumers";
import { pack as tarPack } from "tar-stream";
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../base/digest.ts";
import { SeamError } from "../../base/errors.ts";
import type { Bucket } from "./bucket.ts";
import { packSources } from "./build-pack.ts";
import { packChecksum } from "./checksum.ts";
import { readLayer, writeLayer } from "./layer.ts";
import { bucketManifest } from "./oci-image.ts";
import { readPack } from "./read-pack.ts";
import { writtenPack } from "../store/write-pack.ts";

const CONFIG = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "apps" } };

function reader(blobs: ReadonlyMap<string, Uint8Array>) {
  return {
    get: (digest: Digest) => {
      const bytes = blobs.get(digest);
      return bytes ? Promise.resolve(bytes) : Promise.reject(new Error(`not held: ${digest}`));
    },
  };
}

/** An artifact with any content, honest in all its digests. */
async function artifactOf(texts: Partial<Record<Bucket, readonly string[]>>) {
  const blobs = new Map<string, Uint8Array>();
  const facts = [];
  const digests: Partial<Record<Bucket, Digest>> = {};
  for (const bucket of ["rbac", "cluster-scoped", "workload"] as const) {
    const layer = await writeLayer(texts[bucket] ?? []);
    const manifest = bucketManifest(bucket, { digest: layer.digest, size: layer.bytes.length });
    blobs.set(layer.digest, layer.bytes).set(manifest.digest, manifest.bytes);
    digests[bucket] = manifest.digest;
    facts.push({
      layer: bucket,
      digest: layer.digest,
      size: layer.bytes.length,
      uncompressedDigest: layer.uncompressedDigest,
    });
  }
  const checksum = packChecksum(facts);
  return {
    blobs,
    digests: {
      rbacDigest: digests.rbac ?? "",
      clusterScopedDigest: digests["cluster-scoped"],
      workloadDigest: digests.workload ?? "",
      checksum,
    },
  };
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof SeamError) return `${error.reason}: ${error.message}`;
    throw error;
  }
  return "accepted";
}

async function tarGz(name: string, type: "file" | "symlink", content = "---\n{}\n"): Promise<Uint8Array> {
  const archive = tarPack();
  if (type === "file") archive.entry({ name }, content);
  else archive.entry({ name, type, linkname: "/etc/passwd" });
  archive.finalize();
  return gzipSync(await buffer(archive));
}

describe("readPack", () => {
  it("gives back what was packed", async () => {
    const built = await packSources("x", [{ file: "a.json", text: JSON.stringify(CONFIG) }]);
    const blobs = new Map(
      [...built.blobs, ...Object.values(built.manifests)].map((b) => [b.digest as string, b.bytes]),
    );
    const read = await readPack(reader(blobs), writtenPack("r", built));
    expect(read.documents).toEqual(built.documents);
    expect(read.refs.map((ref) => ref.size)).toEqual(read.refs.map((ref) => blobs.get(ref.digest)?.length));
  });

  it("refuses altered layers, manifests and checksums by name", async () => {
    const { blobs, digests } = await artifactOf({ workload: [JSON.stringify(CONFIG)] });
    for (const digest of blobs.keys()) {
      const altered = new Map(blobs);
      const bytes = Uint8Array.from(blobs.get(digest) ?? []);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      altered.set(digest, bytes);
      expect(await reasonOf(readPack(reader(altered), digests))).toMatch(/^DigestMismatch: blob sha256:/);
    }
    expect(await reasonOf(readPack(reader(blobs), { ...digests, checksum: digestOf("x") }))).toMatch(
      /^ChecksumMismatch/,
    );
    expect(await reasonOf(readPack(reader(blobs), { ...digests, clusterScopedDigest: undefined }))).toMatch(
      /^ChecksumMismatch/,
    );
    expect(await reasonOf(readPack(reader(blobs), { ...digests, workloadDigest: digests.rbacDigest }))).toMatch(
      /^ManifestInvalid/,
    );
  });

  it("applies the content rules to honest artifacts too", async () => {
    const cases: readonly (readonly [Partial<Record<Bucket, readonly unknown[]>>, RegExp])[] = [
      [{ workload: [CONFIG, CONFIG] }, /ConfigMap apps\/a is there twice/],
      [{ rbac: [CONFIG] }, /belongs to bucket workload, found in rbac/],
      [
        { workload: [{ ...CONFIG, metadata: { name: "a", namespace: "ont-system" } }] },
        /may not hold objects in namespace ont-system/,
      ],
      [{ workload: [{ ...CONFIG, metadata: { name: "a" } }] }, /names no namespace/],
      [{ workload: [{ ...CONFIG, metadata: { generateName: "a" } }] }, /generateName/],
      [{ workload: [{ apiVersion: "v1", kind: "Node", metadata: { name: "n" } }] }, /objects of kind Node/],
    ];
    for (const [content, message] of cases) {
      const texts = Object.fromEntries(
        Object.entries(content).map(([b, list]) => [b, list.map((o) => JSON.stringify(o))]),
      );
      const { blobs, digests } = await artifactOf(texts);
      const reason = await reasonOf(readPack(reader(blobs), digests));
      expect(reason).toMatch(/^ContentInvalid/);
      expect(reason).toMatch(message);
    }
  });

  it("reads layers of multi-document YAML", async () => {
    const { blobs, digests } = await artifactOf({
      workload: ["apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: apps"],
    });
    const read = await readPack(reader(blobs), digests);
    expect(read.documents.map((d) => d.object)).toEqual([CONFIG]);
  });
});

describe("readLayer", () => {
  it("refuses bombs, garbage, links and paths that leave the archive", async () => {
    const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024));
    expect(await reasonOf(readLayer(bomb, 1024 * 1024))).toMatch(/^TooLarge/);
    expect(await reasonOf(readLayer(Buffer.from("not gzip at all"), 1024))).toMatch(/^LayerInvalid/);
    expect(await reasonOf(readLayer(gzipSync(Buffer.from("not tar".repeat(200))), 4096))).toMatch(/^LayerInvalid/);
    expect(await reasonOf(readLayer(await tarGz("../a.yaml", "file"), 4096))).toMatch(/^PathRefused/);
    expect(await reasonOf(readLayer(await tarGz("/a.yaml", "file"), 4096))).toMatch(/^PathRefused/);
    expect(await reasonOf(readLayer(await tarGz("a.yaml", "symlink"), 4096))).toMatch(/^PathRefused/);
  });
});
