import { BUCKETS } from "../artifact/bucket.ts";
import type { BuiltPack } from "../artifact/build-pack.ts";
import type { Digest } from "../../base/digest.ts";
import type { PackBlobStore } from "./pack-blob-store.ts";

/** Where a pack was written: the artifact fields of a PackDelivery spec (resources-seam §1.1). */
export interface WrittenPack {
  readonly registryRef: { readonly url: string; readonly digest: Digest };
  readonly checksum: Digest;
  readonly rbacDigest: Digest;
  /** Absent when the bucket is empty. */
  readonly clusterScopedDigest?: Digest;
  readonly workloadDigest: Digest;
}

/**
 * Stores a built pack: blobs first, then manifests, then the index, then the tags, so that whatever a tag names is complete.
 * Tags: `{version}` for the index, `{version}-{bucket}` for its parts (dispatcher §7.2).
 *
 * @param repository for example `packs.seam.local/hello`
 */
export async function writePack(
  store: PackBlobStore,
  repository: string,
  version: string,
  pack: Pick<BuiltPack, "blobs" | "manifests" | "index" | "checksum">,
): Promise<WrittenPack> {
  for (const blob of pack.blobs) await store.put(blob.digest, blob.bytes);
  for (const bucket of BUCKETS) {
    const manifest = pack.manifests[bucket];
    if (manifest) await store.put(manifest.digest, manifest.bytes);
  }
  await store.put(pack.index.digest, pack.index.bytes);
  for (const bucket of BUCKETS) {
    const manifest = pack.manifests[bucket];
    if (manifest) await store.tag(repository, `${version}-${bucket}`, manifest);
  }
  await store.tag(repository, version, pack.index);
  return writtenPack(repository, pack);
}

/** The PackDelivery fields of a built pack. */
export function writtenPack(
  repository: string,
  pack: Pick<BuiltPack, "manifests" | "index" | "checksum">,
): WrittenPack {
  const { rbac, workload, "cluster-scoped": clusterScoped } = pack.manifests;
  if (rbac === undefined || workload === undefined)
    throw new Error("a pack always has an rbac and a workload manifest");
  return {
    registryRef: { url: repository, digest: pack.index.digest },
    checksum: pack.checksum,
    rbacDigest: rbac.digest,
    ...(clusterScoped ? { clusterScopedDigest: clusterScoped.digest } : {}),
    workloadDigest: workload.digest,
  };
}
