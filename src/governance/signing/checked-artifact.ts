import { type Digest, isDigest } from "../../base/digest.ts";
import type { BlobRef } from "../../federation/index/index-document.ts";
import { MAX_MANIFEST_BYTES } from "../../packs/artifact/limits.ts";
import { parseJson, readDescriptor } from "../../packs/artifact/oci-image.ts";
import type { PackBlobReader } from "../../packs/artifact/pack-blob-reader.ts";
import type { PackDocument } from "../../packs/artifact/pack-object.ts";
import { readPack } from "../../packs/artifact/read-pack.ts";
import type { ManifestResource } from "../../packs/manifest/pack-manifest.ts";
import { SigningRefused } from "./refusal.ts";

/** What a PackDelivery or a seal says about its artifact. */
export interface ArtifactClaim {
  /** Digest of the OCI index. */
  readonly digest: string;
  readonly rbacDigest?: string;
  readonly clusterScopedDigest?: string;
  readonly workloadDigest?: string;
  readonly checksum?: string;
}

/** An artifact of which every byte was fetched and checked. */
export interface CheckedArtifact {
  readonly rbacDigest: string;
  readonly clusterScopedDigest?: string;
  readonly workloadDigest: string;
  readonly checksum: string;
  /** Bucket manifests and layers: the refs of the index item. */
  readonly refs: readonly BlobRef[];
  readonly resources: readonly ManifestResource[];
}

/** Artifacts remembered; one entry holds names and hashes, never content. */
const MAX_REMEMBERED = 64;

/**
 * Fetches artifacts and checks all they claim: the OCI index names exactly the claimed bucket manifests, every digest, size
 * and the checksum hold, and the content is what a pack may contain. What was checked once is remembered by its digests, since
 * content under a digest cannot change.
 */
export class ArtifactChecker {
  readonly #blobs: PackBlobReader;
  readonly #checked = new Map<string, CheckedArtifact>();

  constructor(blobs: PackBlobReader) {
    this.#blobs = blobs;
  }

  /**
   * @param fresh reads the bytes again even when they were checked before: a first signature never rests on memory
   * @throws SigningRefused, SeamError as {@link readPack}
   */
  async check(claim: ArtifactClaim, fresh: boolean): Promise<CheckedArtifact> {
    const { digest, rbacDigest, clusterScopedDigest, workloadDigest, checksum } = claim;
    if (rbacDigest === undefined || workloadDigest === undefined || checksum === undefined)
      throw new SigningRefused(
        "ArtifactInvalid",
        "a pack without rbacDigest, workloadDigest and checksum is a legacy single-layer pack; build it again with pack publish",
      );
    const key = [digest, rbacDigest, clusterScopedDigest ?? "", workloadDigest, checksum].join(" ");
    const known = this.#checked.get(key);
    if (known !== undefined && !fresh) return known;
    await this.#checkIndex(digest, [rbacDigest, clusterScopedDigest, workloadDigest]);
    const pack = await readPack(this.#blobs, { rbacDigest, clusterScopedDigest, workloadDigest, checksum });
    const artifact: CheckedArtifact = {
      rbacDigest,
      ...(clusterScopedDigest === undefined ? {} : { clusterScopedDigest }),
      workloadDigest,
      checksum,
      refs: uniqueRefs(pack.refs),
      resources: pack.documents.map(resourceOf),
    };
    this.#checked.delete(key);
    this.#checked.set(key, artifact);
    if (this.#checked.size > MAX_REMEMBERED) {
      const [oldest] = this.#checked.keys();
      if (oldest !== undefined) this.#checked.delete(oldest);
    }
    return artifact;
  }

  async #checkIndex(digest: string, claimed: readonly (string | undefined)[]): Promise<void> {
    if (!isDigest(digest)) throw new SigningRefused("ArtifactInvalid", "registryRef.digest is no sha256 digest");
    const what = `OCI index ${digest}`;
    const index = parseJson(await this.#blobs.get(digest, MAX_MANIFEST_BYTES), what);
    const manifests: unknown = index["manifests"];
    if (!Array.isArray(manifests)) throw new SigningRefused("ArtifactInvalid", `${what} has no list of manifests`);
    const named = (manifests as readonly unknown[]).map((entry) => readDescriptor(entry, what).digest);
    const expected = claimed.filter((entry) => entry !== undefined && entry !== "");
    if (named.length !== expected.length || new Set([...named, ...expected]).size !== new Set(named).size)
      throw new SigningRefused(
        "DigestMismatch",
        `${what} names the manifests ${named.join(", ")}, the PackDelivery ${expected.join(", ")}`,
      );
  }
}

function resourceOf({ object, contentHash }: PackDocument): ManifestResource {
  const { name, namespace } = object.metadata;
  const { apiVersion, kind } = object;
  return { apiVersion, kind, ...(namespace === undefined ? {} : { namespace }), name, specHash: contentHash };
}

/** Two empty buckets have one layer: a blob is named once. */
function uniqueRefs(refs: readonly { readonly digest: Digest; readonly size: number }[]): readonly BlobRef[] {
  return [...new Map(refs.map((ref) => [ref.digest, ref])).values()];
}
