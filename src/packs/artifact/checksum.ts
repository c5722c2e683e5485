import { canonicalJson } from "../../base/canonical-json.ts";
import { type Digest, digestOf } from "../../base/digest.ts";
import type { Bucket } from "./bucket.ts";

/** What the checksum says about one bucket. */
export interface LayerFacts {
  readonly layer: Bucket;
  readonly digest: Digest;
  /** Compressed, bytes. */
  readonly size: number;
  readonly uncompressedDigest: Digest;
}

/** `spec.checksum` (dispatcher §7.2): digest of the canonical JSON of the layer list in bucket order. */
export function packChecksum(layers: readonly LayerFacts[]): Digest {
  return digestOf(
    canonicalJson(
      layers.map(({ layer, digest, size, uncompressedDigest }) => ({ layer, digest, size, uncompressedDigest })),
    ),
  );
}
