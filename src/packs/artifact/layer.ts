import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { gzipSync } from "fflate";
import { extract, pack } from "tar-stream";
import { type Digest, digestOf } from "../../base/digest.ts";
import { errorMessage, SeamError } from "../../base/errors.ts";
import { MAX_LAYER_BYTES } from "./limits.ts";

/** A bucket's content: one tar with one file, gzip-compressed (dispatcher §7.2). */
export interface Layer {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  /** Digest of the tar. */
  readonly uncompressedDigest: Digest;
}

/** Name of the only file of a layer. */
const FILE = "manifests.yaml";
/** Most entries a foreign layer may have. */
const MAX_ENTRIES = 10_000;

const gunzipAsync = promisify(gunzip);

/**
 * A layer of the canonical JSON texts of its documents, each introduced by `---` (JSON is YAML, and reads the same under every
 * version of it). Equal input gives equal bytes on every machine: fixed tar header, gzip time 0, and a compressor in JavaScript,
 * because the native one differs between builds.
 */
export async function writeLayer(documents: readonly string[]): Promise<Layer> {
  const content = Buffer.from(documents.map((text) => `---\n${text}\n`).join(""));
  const archive = pack();
  archive.entry({ name: FILE, mode: 0o644, uid: 0, gid: 0, uname: "", gname: "", mtime: new Date(0) }, content);
  archive.finalize();
  const tar = await buffer(archive);
  const bytes = gzipSync(tar, { mtime: 0, level: 6 });
  if (bytes.length > MAX_LAYER_BYTES)
    throw layerError(
      "TooLarge",
      `has at most ${MAX_LAYER_BYTES} bytes compressed, found ${bytes.length}`,
      "split the pack",
    );
  return { bytes, digest: digestOf(bytes), uncompressedDigest: digestOf(tar) };
}

/** What a layer unpacks to. */
export interface LayerContent {
  readonly uncompressedDigest: Digest;
  /** Size of the tar, bytes. */
  readonly unpackedBytes: number;
  /** Text of every manifest file, in archive order. */
  readonly files: readonly { readonly name: string; readonly text: string }[];
}

/**
 * Unpacks a layer. Never more than `maxUnpackedBytes` in memory: a compression bomb ends with the first byte beyond.
 *
 * @throws SeamError `LayerInvalid`, `TooLarge`, `PathRefused`
 */
export async function readLayer(bytes: Uint8Array, maxUnpackedBytes: number): Promise<LayerContent> {
  if (bytes.length > MAX_LAYER_BYTES)
    throw layerError("TooLarge", `has at most ${MAX_LAYER_BYTES} bytes, found ${bytes.length}`);
  let tar: Buffer;
  try {
    tar = await gunzipAsync(bytes, { maxOutputLength: Math.max(1, maxUnpackedBytes) });
  } catch (cause) {
    if (cause instanceof RangeError)
      throw layerError("TooLarge", `the pack unpacks to more than the limit (${maxUnpackedBytes} bytes were left)`);
    throw layerError("LayerInvalid", `is gzip (${errorMessage(cause)})`);
  }
  return { uncompressedDigest: digestOf(tar), unpackedBytes: tar.length, files: await readTar(tar) };
}

async function readTar(tar: Buffer): Promise<LayerContent["files"]> {
  const files: { name: string; text: string }[] = [];
  const reader = extract();
  reader.end(tar);
  let entries = 0;
  try {
    for await (const entry of reader) {
      const { name, type } = entry.header;
      if (++entries > MAX_ENTRIES) throw layerError("TooLarge", `has at most ${MAX_ENTRIES} archive entries`);
      if (name.startsWith("/") || name.includes("\\") || name.split("/").includes(".."))
        throw layerError("PathRefused", `holds only relative paths without "..", found ${JSON.stringify(name)}`);
      if (type === "directory") {
        entry.resume();
        continue;
      }
      if (type !== "file" && type !== "contiguous-file")
        throw layerError("PathRefused", `holds only regular files, found ${type ?? "unknown"} ${JSON.stringify(name)}`);
      const content = await buffer(entry);
      if (!/\.ya?ml$/.test(name)) continue;
      files.push({ name, text: new TextDecoder("utf-8", { fatal: true }).decode(content) });
    }
  } catch (cause) {
    if (cause instanceof SeamError) throw cause;
    throw layerError("LayerInvalid", `is a tar archive of UTF-8 files (${errorMessage(cause)})`);
  }
  return files;
}

function layerError(reason: string, expected: string, remedy?: string): SeamError {
  return new SeamError({ reason, object: "pack layer", expected, ...(remedy === undefined ? {} : { remedy }) });
}
