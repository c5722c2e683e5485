import { canonicalJson } from "../../base/canonical-json.ts";
import type { Digest } from "../../base/digest.ts";
import { type JsonValue, isJsonObject } from "../../base/json.ts";
import { assemble, type AssembleOptions, type SourceObject } from "./assemble.ts";
import { BUCKETS, type Bucket } from "./bucket.ts";
import { checkObject } from "./check-object.ts";
import { packChecksum } from "./checksum.ts";
import { type Layer, writeLayer } from "./layer.ts";
import { BUCKET_MEDIA_TYPE, bucketIndex, bucketManifest, EMPTY_CONFIG, type OciBlob } from "./oci-image.ts";
import type { PackDocument } from "./pack-object.ts";
import { PackInvalid, type PackProblem } from "./pack-problem.ts";
import { readSourceDirectory, type SourceFile } from "./source-directory.ts";
import { parseYaml, type YamlDocument } from "./yaml-documents.ts";

/** A pack as an artifact, in memory: nothing is stored until {@link writePack}. */
export interface BuiltPack {
  /** In bucket order. */
  readonly documents: readonly PackDocument[];
  /** Manifest of every bucket that is written; rbac and workload always are. */
  readonly manifests: { readonly [B in Bucket]?: OciBlob };
  /** Every blob of the artifact but manifests and index. */
  readonly blobs: readonly OciBlob[];
  readonly index: OciBlob;
  /** `spec.checksum`. */
  readonly checksum: Digest;
  /** Things the author should know. */
  readonly warnings: readonly PackProblem[];
}

/**
 * Reads a directory of manifests and packs it. Equal content gives equal digests.
 *
 * @throws PackInvalid with every problem found
 * @throws SeamError `DirectoryUnreadable`, `TooLarge`
 */
export async function buildPack(directory: string, options: AssembleOptions = {}): Promise<BuiltPack> {
  const source = await readSourceDirectory(directory);
  return packSources(directory, source.files, options, source);
}

/** Packs files that are already in memory. `directory` is what errors name. Throws as {@link buildPack}. */
export async function packSources(
  directory: string,
  files: readonly SourceFile[],
  options: AssembleOptions = {},
  found: { readonly problems: readonly PackProblem[]; readonly warnings: readonly PackProblem[] } = {
    problems: [],
    warnings: [],
  },
): Promise<BuiltPack> {
  const problems = [...found.problems];
  const warnings = [...found.warnings];
  const objects: SourceObject[] = [];
  for (const file of files) {
    const parsed = parseYaml(file.text, file.file);
    problems.push(...parsed.problems);
    warnings.push(...parsed.warnings);
    for (const document of parsed.documents.flatMap(listItems)) {
      const check = checkObject(document.value);
      const at = { file: document.file, line: document.line };
      if (check.ok)
        objects.push({ ...at, object: check.object, ...(file.placedIn ? { placedIn: file.placedIn } : {}) });
      else for (const problem of check.problems) problems.push({ ...at, ...problem });
    }
  }
  const assembled = assemble(objects, options);
  problems.push(...assembled.problems);
  warnings.push(...assembled.warnings);
  if (problems.length === 0 && objects.length === 0)
    problems.push({
      file: ".",
      line: 1,
      reason: "Empty",
      text: "the directory holds no manifest",
      remedy: "add .yaml files with Kubernetes objects",
    });
  if (problems.length > 0) throw new PackInvalid(directory, inFileOrder(problems));
  return { ...(await encodeDocuments(assembled.documents)), warnings };
}

/** Encodes documents that were checked. */
export async function encodeDocuments(documents: readonly PackDocument[]): Promise<Omit<BuiltPack, "warnings">> {
  const layers: { readonly bucket: Bucket; readonly layer: Layer }[] = [];
  for (const bucket of BUCKETS) {
    const texts = documents.filter((d) => d.bucket === bucket).map(({ object }) => canonicalJson(object));
    if (texts.length > 0 || bucket !== "cluster-scoped") layers.push({ bucket, layer: await writeLayer(texts) });
  }
  const manifests = layers.map(({ bucket, layer }) => ({
    bucket,
    ...bucketManifest(bucket, { digest: layer.digest, size: layer.bytes.length }),
  }));
  const blobs: OciBlob[] = layers.map(({ bucket, layer }) => ({
    mediaType: BUCKET_MEDIA_TYPE[bucket],
    digest: layer.digest,
    size: layer.bytes.length,
    bytes: layer.bytes,
  }));
  const checksum = packChecksum(
    layers.map(({ bucket, layer: { digest, bytes, uncompressedDigest } }) => ({
      layer: bucket,
      digest,
      size: bytes.length,
      uncompressedDigest,
    })),
  );
  return {
    documents,
    manifests: Object.fromEntries(manifests.map((manifest) => [manifest.bucket, manifest])),
    blobs: [EMPTY_CONFIG, ...blobs],
    index: bucketIndex(manifests),
    checksum,
  };
}

/** Objects of a `v1 List` count as documents of their own. */
function listItems(document: YamlDocument): readonly YamlDocument[] {
  const { value } = document;
  if (!isJsonObject(value) || value["kind"] !== "List" || value["apiVersion"] !== "v1") return [document];
  const items: unknown = value["items"];
  return Array.isArray(items)
    ? (items as readonly JsonValue[]).map((value) => ({ value, file: document.file, line: document.line }))
    : [document];
}

function inFileOrder(problems: readonly PackProblem[]): readonly PackProblem[] {
  return [...problems].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}
