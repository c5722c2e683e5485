import type { Digest } from "../../base/digest.ts";
import type { Descriptor } from "../artifact/oci-image.ts";
import type { PackBlobReader } from "../artifact/pack-blob-reader.ts";

/**
 * Where pack artifacts lie: content by digest, and names for it. The OCI image layout on disk is one; a registry has the same shape.
 * Every write is durable when it resolves, and safe beside other processes that use the same store.
 */
export interface PackBlobStore extends PackBlobReader {
  /** True when a blob of this digest is held; says nothing about its bytes. */
  has(digest: Digest): Promise<boolean>;

  /** Stores a blob. Storing what is there already costs nothing. @throws SeamError `DigestMismatch` when `bytes` do not have it */
  put(digest: Digest, bytes: Uint8Array): Promise<void>;

  /** Names a stored manifest or index; an existing tag moves. @throws SeamError `BlobNotFound`, `TagInvalid` */
  tag(repository: string, tag: string, descriptor: Descriptor): Promise<void>;

  /** What a tag names; undefined when there is none. */
  resolve(repository: string, tag: string): Promise<Descriptor | undefined>;

  /** Removes a tag; blobs stay until {@link collectGarbage}. */
  untag(repository: string, tag: string): Promise<void>;

  /** Tags of a repository, sorted. */
  tags(repository: string): Promise<readonly string[]>;

  /** Repositories that have a tag, sorted. */
  repositories(): Promise<readonly string[]>;

  /** Removes blobs that no tag reaches and that are older than `minAgeMs`, so that what is being written stays. Resolves with their number. */
  collectGarbage(minAgeMs: number): Promise<number>;
}
