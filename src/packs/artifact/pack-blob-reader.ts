import type { Digest } from "../../base/digest.ts";

/** Reads blobs by digest: a pack store, a registry, or what an agent holds. */
export interface PackBlobReader {
  /**
   * The blob, its bytes checked against the digest now, not when they were stored.
   *
   * @throws SeamError `BlobNotFound`, `DigestMismatch` (stored bytes were altered), `TooLarge`
   */
  get(digest: Digest, maxBytes: number): Promise<Uint8Array>;
}
