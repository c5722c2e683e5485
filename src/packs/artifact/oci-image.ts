import { type Digest, digestOf, isDigest } from "../../base/digest.ts";
import { SeamError } from "../../base/errors.ts";
import { type JsonObject, isJsonObject } from "../../base/json.ts";
import type { Bucket } from "./bucket.ts";
import { MAX_LAYER_BYTES, MAX_MANIFEST_BYTES } from "./limits.ts";

/** OCI descriptor: names one blob. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
}

/** Media type of an OCI image manifest. */
export const IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
/** Media type of an OCI index. */
export const IMAGE_INDEX = "application/vnd.oci.image.index.v1+json";
/** Config of an artifact that has none. */
export const EMPTY_CONFIG: Descriptor & { readonly bytes: Uint8Array } = {
  mediaType: "application/vnd.oci.empty.v1+json",
  digest: digestOf("{}"),
  size: 2,
  bytes: Buffer.from("{}"),
};

/** `artifactType` of a bucket's manifest and media type of its layer (dispatcher §7.2). */
export const BUCKET_MEDIA_TYPE: Readonly<Record<Bucket, string>> = {
  rbac: "application/vnd.ontai.rbac.v1",
  "cluster-scoped": "application/vnd.ontai.cluster-scoped.v1",
  workload: "application/vnd.ontai.workload.v1",
};

/** Layer types of the original, accepted on read for any bucket. */
const LEGACY_LAYER_TYPES = new Set([
  "application/vnd.oci.image.layer.v1.tar",
  "application/vnd.oci.image.layer.v1.tar+gzip",
]);

/** A blob with its descriptor. */
export interface OciBlob extends Descriptor {
  readonly bytes: Uint8Array;
}

/** Image manifest of one bucket with its one layer. */
export function bucketManifest(bucket: Bucket, layer: { readonly digest: Digest; readonly size: number }): OciBlob {
  const mediaType = BUCKET_MEDIA_TYPE[bucket];
  return jsonBlob(IMAGE_MANIFEST, {
    schemaVersion: 2,
    mediaType: IMAGE_MANIFEST,
    artifactType: mediaType,
    config: { mediaType: EMPTY_CONFIG.mediaType, digest: EMPTY_CONFIG.digest, size: EMPTY_CONFIG.size },
    layers: [{ mediaType, digest: layer.digest, size: layer.size }],
  });
}

/** Index over the manifests of all buckets. */
export function bucketIndex(manifests: readonly (Descriptor & { readonly bucket: Bucket })[]): OciBlob {
  return jsonBlob(IMAGE_INDEX, {
    schemaVersion: 2,
    mediaType: IMAGE_INDEX,
    manifests: manifests.map(({ mediaType, digest, size, bucket }) => ({
      mediaType,
      digest,
      size,
      artifactType: BUCKET_MEDIA_TYPE[bucket],
    })),
  });
}

/**
 * Descriptor of the only layer of a bucket's manifest.
 *
 * @throws SeamError `ManifestInvalid`, `TooLarge`
 */
export function readBucketManifest(bytes: Uint8Array, bucket: Bucket): Descriptor {
  const what = `OCI manifest of bucket ${bucket}`;
  if (bytes.length > MAX_MANIFEST_BYTES)
    throw new SeamError({ reason: "TooLarge", object: what, expected: `has at most ${MAX_MANIFEST_BYTES} bytes` });
  const manifest = parseJson(bytes, what);
  const layers: unknown = manifest["layers"];
  if (manifest["schemaVersion"] !== 2 || !Array.isArray(layers) || layers.length !== 1)
    throw invalid(what, "is an image manifest with exactly one layer");
  const layer = readDescriptor(layers[0], what);
  if (layer.mediaType !== BUCKET_MEDIA_TYPE[bucket] && !LEGACY_LAYER_TYPES.has(layer.mediaType))
    throw invalid(what, `its layer is ${BUCKET_MEDIA_TYPE[bucket]}, found ${layer.mediaType}`);
  if (layer.size > MAX_LAYER_BYTES)
    throw new SeamError({
      reason: "TooLarge",
      object: what,
      expected: `its layer has at most ${MAX_LAYER_BYTES} bytes`,
    });
  return layer;
}

/** Reads one descriptor. @throws SeamError `ManifestInvalid` */
export function readDescriptor(value: unknown, what: string): Descriptor {
  if (!isJsonObject(value)) throw invalid(what, "every descriptor is an object");
  const { mediaType, digest, size, artifactType } = value;
  const annotations: unknown = value["annotations"];
  if (typeof mediaType !== "string" || typeof digest !== "string" || !isDigest(digest))
    throw invalid(what, "every descriptor has a mediaType and a sha256 digest");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw invalid(what, "every descriptor has a size in bytes");
  return {
    mediaType,
    digest,
    size,
    ...(typeof artifactType === "string" ? { artifactType } : {}),
    ...(isJsonObject(annotations) ? { annotations: stringsOf(annotations) } : {}),
  };
}

/** Parses OCI JSON. @throws SeamError `ManifestInvalid` */
export function parseJson(bytes: Uint8Array, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid(what, "is JSON");
  }
  if (!isJsonObject(value)) throw invalid(what, "is a JSON object");
  return value;
}

function stringsOf(object: JsonObject): Record<string, string> {
  return Object.fromEntries(Object.entries(object).filter((e): e is [string, string] => typeof e[1] === "string"));
}

function jsonBlob(mediaType: string, value: JsonObject): OciBlob {
  const bytes = Buffer.from(JSON.stringify(value));
  return { mediaType, bytes, digest: digestOf(bytes), size: bytes.length };
}

function invalid(object: string, expected: string): SeamError {
  return new SeamError({ reason: "ManifestInvalid", object, expected });
}
