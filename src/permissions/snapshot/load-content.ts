import { digestOf } from "../../base/digest.ts";
import type { SnapshotContent } from "./content.ts";
import { MAX_CONTENT_BYTES } from "./limits.ts";
import { parseContent } from "./parse-content.ts";
import { SnapshotRefused } from "./snapshot-failure.ts";

/**
 * Content that a verified statement names by hash: the bytes are hashed, then parsed, never decoded twice (permissions §9.3).
 *
 * @throws SnapshotRefused TOO_LARGE, CONTENT_HASH_MISMATCH, UNSUPPORTED_SCHEMA or INVALID_CONTENT
 */
export function loadContent(bytes: Uint8Array, contentHash: string): SnapshotContent {
  if (bytes.length > MAX_CONTENT_BYTES)
    throw new SnapshotRefused("TOO_LARGE", `content has ${bytes.length} bytes, at most ${MAX_CONTENT_BYTES}`);
  const found = digestOf(bytes);
  if (found !== contentHash)
    throw new SnapshotRefused("CONTENT_HASH_MISMATCH", `the statement names ${contentHash}, the content is ${found}`);
  return parseContent(bytes);
}
