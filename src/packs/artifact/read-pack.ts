import { type Digest, digestOf, isDigest } from "../../base/digest.ts";
import { SeamError } from "../../base/errors.ts";
import type { JsonValue } from "../../base/json.ts";
import { type Bucket, bucketOf } from "./bucket.ts";
import { checkObject } from "./check-object.ts";
import { type LayerFacts, packChecksum } from "./checksum.ts";
import { readLayer } from "./layer.ts";
import { MAX_DOCUMENTS, MAX_LAYER_BYTES, MAX_MANIFEST_BYTES, MAX_UNPACKED_BYTES } from "./limits.ts";
import { readBucketManifest } from "./oci-image.ts";
import type { PackBlobReader } from "./pack-blob-reader.ts";
import { groupOf, objectIdentity, objectText, type PackDocument, type PackObject } from "./pack-object.ts";
import { builtinScope, scopesFromCrds } from "./scope.ts";
import { looksLikeJson, parseYaml } from "./yaml-documents.ts";

/** What to read: digests of the bucket manifests and the checksum over them. */
export interface PackDigests {
  readonly rbacDigest: string;
  readonly clusterScopedDigest?: string | undefined;
  readonly workloadDigest: string;
  readonly checksum: string;
}

/** A pack whose digests, checksum and content were all checked. */
export interface ReadPack {
  /** In bucket order, as the artifact holds them. */
  readonly documents: readonly PackDocument[];
  /** Manifests and layers by digest and size, in bucket order: the `refs` of an index item. */
  readonly refs: readonly { readonly digest: Digest; readonly size: number }[];
  /** Size of the layers unpacked, bytes. */
  readonly unpackedBytes: number;
}

/**
 * Reads an artifact and trusts nothing: every digest, the checksum, the size limits, and the content rules for each object.
 *
 * @throws SeamError `DigestMismatch`, `ChecksumMismatch`, `TooLarge`, `ManifestInvalid`, `LayerInvalid`, `PathRefused`, `ContentInvalid`,
 * and what `blobs` throws
 */
export async function readPack(blobs: PackBlobReader, digests: PackDigests): Promise<ReadPack> {
  const facts: LayerFacts[] = [];
  const refs: { digest: Digest; size: number }[] = [];
  const texts: { readonly bucket: Bucket; readonly file: string; readonly text: string }[] = [];
  let unpackedBytes = 0;
  for (const { bucket, digest } of bucketsOf(digests)) {
    const manifest = await fetchBlob(blobs, digest, MAX_MANIFEST_BYTES);
    const layer = readBucketManifest(manifest, bucket);
    const bytes = await fetchBlob(blobs, layer.digest, MAX_LAYER_BYTES);
    if (bytes.length !== layer.size)
      throw new SeamError({
        reason: "DigestMismatch",
        object: `layer ${layer.digest}`,
        expected: `has ${layer.size} bytes as its manifest says, found ${bytes.length}`,
      });
    const content = await readLayer(bytes, MAX_UNPACKED_BYTES - unpackedBytes);
    unpackedBytes += content.unpackedBytes;
    refs.push({ digest, size: manifest.length }, { digest: layer.digest, size: layer.size });
    facts.push({
      layer: bucket,
      digest: layer.digest,
      size: layer.size,
      uncompressedDigest: content.uncompressedDigest,
    });
    for (const file of content.files) texts.push({ bucket, file: file.name, text: file.text });
  }
  const checksum = packChecksum(facts);
  if (checksum !== digests.checksum)
    throw new SeamError({
      reason: "ChecksumMismatch",
      object: "pack artifact",
      field: "checksum",
      expected: `is ${checksum}, found ${digests.checksum}`,
      remedy: "build and publish the pack again",
    });
  return { documents: readDocuments(texts), refs, unpackedBytes };
}

function bucketsOf(digests: PackDigests): readonly { readonly bucket: Bucket; readonly digest: Digest }[] {
  const named: readonly (readonly [Bucket, string | undefined])[] = [
    ["rbac", digests.rbacDigest],
    ["cluster-scoped", digests.clusterScopedDigest],
    ["workload", digests.workloadDigest],
  ];
  return named.flatMap(([bucket, digest]) => {
    if (digest === undefined || digest === "") return [];
    if (!isDigest(digest))
      throw new SeamError({
        reason: "ManifestInvalid",
        object: "pack artifact",
        field: bucket,
        expected: "is a sha256 digest",
      });
    return [{ bucket, digest }];
  });
}

async function fetchBlob(blobs: PackBlobReader, digest: Digest, maxBytes: number): Promise<Uint8Array> {
  const bytes = await blobs.get(digest, maxBytes);
  if (bytes.length > maxBytes)
    throw new SeamError({ reason: "TooLarge", object: `blob ${digest}`, expected: `has at most ${maxBytes} bytes` });
  const found = digestOf(bytes);
  if (found !== digest)
    throw new SeamError({
      reason: "DigestMismatch",
      object: `blob ${digest}`,
      expected: `its bytes have that digest, found ${found}`,
      remedy: "the content was altered on the way; publish the pack again",
    });
  return bytes;
}

function readDocuments(
  texts: readonly { readonly bucket: Bucket; readonly file: string; readonly text: string }[],
): readonly PackDocument[] {
  const found: { readonly bucket: Bucket; readonly object: PackObject; readonly text: string }[] = [];
  for (const { bucket, file, text } of texts) {
    for (const value of valuesOf(text, file)) {
      const check = checkObject(value);
      if (!check.ok) throw contentInvalid(check.problems.map((problem) => problem.text).join(", "));
      if (found.length >= MAX_DOCUMENTS)
        throw new SeamError({
          reason: "TooLarge",
          object: "pack artifact",
          expected: `has at most ${MAX_DOCUMENTS} documents`,
        });
      found.push({ bucket, object: check.object, text: check.text });
    }
  }
  const scopes = scopesFromCrds(found.map(({ object }) => object));
  const seen = new Set<string>();
  return found.map(({ bucket, object, text }) => {
    const identity = objectIdentity(object);
    const who = objectText({ kind: object.kind, ...object.metadata });
    if (seen.has(identity)) throw contentInvalid(`${who} is there twice`);
    seen.add(identity);
    const group = groupOf(object);
    const known = builtinScope(group, object.kind) ?? scopes.get(`${group}/${object.kind}`);
    const namespaced = known === undefined ? object.metadata.namespace !== undefined : known === "Namespaced";
    if (namespaced !== (object.metadata.namespace !== undefined))
      throw contentInvalid(`${who} ${namespaced ? "names no namespace" : "is cluster-scoped but names a namespace"}`);
    const belongs = bucketOf(group, object.kind, namespaced);
    if (belongs !== bucket) throw contentInvalid(`${who} belongs to bucket ${belongs}, found in ${bucket}`);
    return { object, bucket, contentHash: digestOf(text) };
  });
}

/** Our own layers hold one JSON object per document; anything else goes through the YAML reader. */
function* valuesOf(text: string, file: string): Iterable<JsonValue> {
  if (!looksLikeOwnLayer(text)) {
    const parsed = parseYaml(text, file);
    const [problem] = parsed.problems;
    if (problem) throw contentInvalid(`${file}:${problem.line}: ${problem.text}`);
    for (const document of parsed.documents) yield document.value;
    return;
  }
  for (const part of text.split(/^---$/m)) {
    if (part.trim() === "") continue;
    try {
      yield JSON.parse(part) as JsonValue;
    } catch (cause) {
      throw contentInvalid(`${file}: a document is not JSON`, cause);
    }
  }
}

function looksLikeOwnLayer(text: string): boolean {
  return text === "" || (text.startsWith("---\n") && looksLikeJson(text.slice(4, 64)));
}

function contentInvalid(expected: string, cause?: unknown): SeamError {
  return new SeamError(
    { reason: "ContentInvalid", object: "pack artifact", expected, remedy: "build the pack again with pack publish" },
    { cause },
  );
}
