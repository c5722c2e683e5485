import { sha256Hex } from "../../base/digest.ts";
import { isJsonObject } from "../../base/json.ts";
import { MAX_CONTENT_BYTES, MAX_INLINE_CONTENT_BYTES } from "./limits.ts";

/**
 * Content that is too large for one Secret lies in several: the signed Secret then has `data.chunks` (this list as JSON) in place of
 * `data.content`, and each chunk's bytes stand in `data.chunk` of the Secret it names, in the same namespace.
 */
export interface ContentChunk {
  /** Secret in the tenant namespace. */
  readonly name: string;
  /** Hex SHA-256 of the bytes. */
  readonly sha256: string;
  readonly bytes: number;
}

/** Most chunks of one content. */
const MAX_CHUNKS = Math.ceil(MAX_CONTENT_BYTES / MAX_INLINE_CONTENT_BYTES);

/** Prefix of the names of a cluster's chunks. */
export function chunkPrefix(cluster: string): string {
  return `seam-snapshot-content-${cluster}-`;
}

/** A chunk with its bytes. */
export interface CutChunk extends ContentChunk {
  readonly data: Uint8Array;
}

/** Cuts content into parts of at most `size` bytes, one by one; names carry the content's hash, so chunks of two versions never mix. */
export function* chunksOf(cluster: string, hash12: string, content: Uint8Array, size: number): Generator<CutChunk> {
  for (let i = 0; i * size < content.length; i++) {
    const data = content.subarray(i * size, (i + 1) * size);
    yield { name: `${chunkPrefix(cluster)}${hash12}-${i}`, sha256: sha256Hex(data), bytes: data.length, data };
  }
}

/** Reads a list of chunks; undefined when it is not one, or names anything but a cluster's own chunks. */
export function parseChunkList(text: string, cluster: string): readonly ContentChunk[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // malformed is an answer here, not a failure
  }
  if (!Array.isArray(value) || value.length > MAX_CHUNKS) return undefined;
  const chunks: ContentChunk[] = [];
  for (const entry of value as readonly unknown[]) {
    if (!isJsonObject(entry)) return undefined;
    const { name, sha256, bytes } = entry;
    if (typeof name !== "string" || !name.startsWith(chunkPrefix(cluster)) || typeof sha256 !== "string")
      return undefined;
    if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 1 || bytes > MAX_INLINE_CONTENT_BYTES)
      return undefined;
    chunks.push({ name, sha256, bytes });
  }
  return chunks;
}
